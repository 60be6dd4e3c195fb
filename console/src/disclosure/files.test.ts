import { expect, test } from 'vitest';
import { NotWhole, sumOfBytes } from '../ledger/file';
import { receiveFiles } from './files';

const text = (words: string): Uint8Array => new TextEncoder().encode(words);
const sheet = (...files: [string, string][]): Uint8Array =>
  text(JSON.stringify({ release: 3, redacted: true, files: files.map(([file, of]) => ({ file, sha256: sumOfBytes(text(of)) })) }));
async function* sent(...pieces: [string, Uint8Array][]): AsyncGenerator<{ fileName: string; data: Uint8Array }> {
  for (const [fileName, data] of pieces) yield await Promise.resolve({ fileName, data });
}

test('files come in pieces one after the other, the sheet last, and each is what the sheet says', async () => {
  const files = await receiveFiles(sent(
    ['release-3-001.jpg', text('one')], ['', text(' and more')], ['release-3-002.jpg', text('two')],
    ['release-3.json', sheet(['release-3-001.jpg', 'one and more'], ['release-3-002.jpg', 'two'])],
  ));
  expect(files.map((one) => one.name)).toEqual(['release-3-001.jpg', 'release-3-002.jpg', 'release-3.json']);
  expect(new TextDecoder().decode(files[0]?.bytes)).toBe('one and more');
  expect(files[1]?.sha256).toBe(sumOfBytes(text('two')));
});

test('a release without its sheet, or with other pictures than the sheet names, is none', async () => {
  const picture: [string, Uint8Array] = ['release-3-001.jpg', text('one')];
  await expect(receiveFiles(sent(picture))).rejects.toThrow(NotWhole);
  await expect(receiveFiles(sent())).rejects.toThrow(NotWhole);
  await expect(receiveFiles(sent(picture, ['release-3.json', sheet(['release-3-001.jpg', 'another'])]))).rejects.toThrow(NotWhole);
  await expect(receiveFiles(sent(picture, ['release-3.json', sheet(['release-3-001.jpg', 'one'], ['release-3-002.jpg', 'two'])]))).rejects.toThrow(NotWhole);
});
