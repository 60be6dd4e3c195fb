// The files of a release: pictures, and the sheet that vouches for them.
import type { GetReleaseResponse } from '../gen/xueliang/v1/disclosure_pb';
import { NotWhole, sumOfBytes } from '../ledger/file';

export interface ReleaseFile {
  name: string;
  bytes: Uint8Array<ArrayBuffer>;
  sha256: string;
}

/** What the sheet says of a file. */
interface Vouched {
  file: string;
  sha256: string;
}

/** The files the sheet names; nothing where it is no sheet. */
function vouched(sheet: string): Vouched[] {
  const read: unknown = JSON.parse(sheet);
  const files = typeof read === 'object' && read !== null && 'files' in read ? read.files : undefined;
  return Array.isArray(files) ? (files as Vouched[]) : [];
}

/**
 * All files, the sheet last. They are whole where the sheet has come, and names just these pictures with their checksums;
 * otherwise none is given.
 */
export async function receiveFiles(pieces: AsyncIterable<Pick<GetReleaseResponse, 'fileName' | 'data'>>): Promise<ReleaseFile[]> {
  const files: { name: string; parts: Uint8Array[] }[] = [];
  for await (const piece of pieces) {
    if (piece.fileName !== '') files.push({ name: piece.fileName, parts: [] });
    files.at(-1)?.parts.push(piece.data);
  }
  const whole = files.map(({ name, parts }) => {
    const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const part of parts) {
      bytes.set(part, at);
      at += part.length;
    }
    return { name, bytes, sha256: sumOfBytes(bytes) };
  });
  const sheet = whole.at(-1);
  if (!sheet?.name.endsWith('.json')) throw new NotWhole();
  const said = vouched(new TextDecoder().decode(sheet.bytes));
  const pictures = whole.slice(0, -1);
  const matches = (one: ReleaseFile, at: number): boolean => said[at]?.file === one.name && said[at].sha256 === one.sha256;
  if (said.length !== pictures.length || !pictures.every(matches)) throw new NotWhole();
  return whole;
}
