// Files that the service sends in pieces: put together byte for byte, with their checksums.
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex } from '@noble/hashes/utils.js';
import type { ExportRegisterResponse } from '../gen/xueliang/v1/evidence_pb';

/** A file of the register. */
export interface Exported {
  file: Blob;
  entries: bigint;
  sha256: string;
}

/** What came is not the whole file. */
export class NotWhole extends Error {}

/** The checksum of bytes, in hexadecimal digits. */
export function sumOfBytes(bytes: Uint8Array): string {
  return bytesToHex(sha256(bytes));
}

/**
 * The file as the service sent it. It is whole where the last piece has come, with the checksum of just these bytes. `told`
 * hears how many bytes have come.
 */
export async function receive(
  pieces: AsyncIterable<Pick<ExportRegisterResponse, 'csv' | 'entries' | 'sha256'>>, told: (bytes: number) => void,
): Promise<Exported> {
  const parts: Uint8Array<ArrayBuffer>[] = [];
  const hash = sha256.create();
  let [bytes, entries, sum] = [0, 0n, ''];
  for await (const piece of pieces) {
    parts.push(new Uint8Array(piece.csv));
    hash.update(piece.csv);
    bytes += piece.csv.length;
    if (piece.sha256 !== '') [entries, sum] = [piece.entries, piece.sha256];
    told(bytes);
  }
  if (sum === '' || sum !== bytesToHex(hash.digest())) throw new NotWhole();
  return { file: new Blob(parts, { type: 'text/csv;charset=utf-8' }), entries, sha256: sum };
}
