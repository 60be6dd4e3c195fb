import { expect, test } from 'vitest';
import { NotWhole, receive, sumOfBytes } from './file';

const text = (words: string): Uint8Array => new TextEncoder().encode(words);
const piece = (csv: Uint8Array, entries = 0n, sha256 = ''): { csv: Uint8Array; entries: bigint; sha256: string } => ({ csv, entries, sha256 });
async function* sent<T>(...pieces: T[]): AsyncGenerator<T> {
  for (const one of pieces) yield await Promise.resolve(one);
}
const SUM = sumOfBytes(text('\ufeff编号\r\n1\r\n'));

test('a file is what the service sent, byte for byte, with its entries and its checksum', async () => {
  const told: number[] = [];
  const bytes = text('\ufeff编号\r\n1\r\n');
  // A piece may end within a character.
  const made = await receive(sent(piece(bytes.slice(0, 4)), piece(bytes.slice(4)), piece(text(''), 1n, SUM)), (done) => told.push(done));
  expect(new Uint8Array(await made.file.arrayBuffer())).toEqual(bytes);
  expect([made.entries, made.sha256]).toEqual([1n, SUM]);
  expect(told.at(-1)).toBe(bytes.length);
});

test('a file that ends early, or is another than the service made, is none', async () => {
  const none = (): void => undefined;
  await expect(receive(sent(piece(text('\ufeff编号\r\n'))), none)).rejects.toThrow(NotWhole);
  await expect(receive(sent(piece(text('\ufeff编号\r\n'), 1n, SUM)), none)).rejects.toThrow(NotWhole);
  await expect(receive(sent(), none)).rejects.toThrow(NotWhole);
});
