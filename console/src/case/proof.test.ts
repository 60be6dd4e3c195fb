import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { sumOf } from './proof';

test('the sum of a file in pieces is that of the whole', async () => {
  const pieces = ['照片', '', 'of the lane'].map((text) => new TextEncoder().encode(text));
  const stream = new ReadableStream<Uint8Array>({
    start: (controller) => {
      for (const piece of pieces) controller.enqueue(piece);
      controller.close();
    },
  });
  expect(await sumOf(stream)).toBe(createHash('sha256').update('照片of the lane').digest('hex'));
});
