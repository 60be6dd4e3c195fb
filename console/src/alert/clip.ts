// Original footage, piece by piece, into one file that the browser can play.
import type { GetClipResponse } from '../gen/xueliang/v1/evidence_pb';

/** More than this a page does not hold in memory. */
export const MOST_BYTES = 1_000_000_000;

/** The whole of a clip. `told` hears how much has come, and how much there is, where that is known. */
export async function collect(
  pieces: AsyncIterable<Pick<GetClipResponse, 'data' | 'evidence'>>,
  told: (done: number, all: number) => void,
): Promise<Blob> {
  const parts: Uint8Array<ArrayBuffer>[] = [];
  let [done, all] = [0, 0];
  for await (const piece of pieces) {
    if (piece.evidence) all = Number(piece.evidence.sizeBytes);
    if (piece.data.length > 0) parts.push(new Uint8Array(piece.data));
    done += piece.data.length;
    if (done > MOST_BYTES) throw new Error(`${done} bytes`);
    told(done, all);
  }
  return new Blob(parts, { type: 'video/mp4' });
}

/** Bytes in the unit that people read. */
export function sizeWord(bytes: number): string {
  if (bytes < 1_000_000) return `${Math.ceil(bytes / 1000)} kB`;
  return bytes < 1_000_000_000 ? `${(bytes / 1_000_000).toFixed(1)} MB` : `${(bytes / 1_000_000_000).toFixed(1)} GB`;
}
