import { create } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import { GetClipResponseSchema, type GetClipResponse } from '../gen/xueliang/v1/evidence_pb';
import { collect, sizeWord } from './clip';

const texts = ['', 'ftyp', 'moov', 'mdat'];

async function* pieces(failsAt = texts.length): AsyncIterable<GetClipResponse> {
  for (const [at, text] of texts.entries()) {
    await Promise.resolve();
    if (at === failsAt) throw new Error('cut off');
    const evidence = at === 0 ? { sizeBytes: 12n } : undefined;
    yield create(GetClipResponseSchema, { data: new TextEncoder().encode(text), evidence });
  }
}

test('the pieces make one file, and it is told how far that is', async () => {
  const heard: string[] = [];
  const blob = await collect(pieces(), (done, all) => heard.push(`${done}/${all}`));
  expect(await blob.text()).toBe('ftypmoovmdat');
  expect(blob.type).toBe('video/mp4');
  expect(heard).toEqual(['0/12', '4/12', '8/12', '12/12']);
});

test('a part is not taken for the whole', async () => {
  await expect(collect(pieces(3), () => undefined)).rejects.toThrow('cut off');
});

test('sizes are told in the unit that people read', () => {
  expect([900, 1_234_000, 2_500_000_000].map(sizeWord)).toEqual(['1 kB', '1.2 MB', '2.5 GB']);
});
