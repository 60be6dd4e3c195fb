// The checksum of a file. The browser's own is there for pages over TLS only; this one is there for all.
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex } from '@noble/hashes/utils.js';

/** So many sums prove one feedback at most. */
export const MOST_PROOFS = 32;

/** SHA-256 of a stream in hexadecimal digits. It is read piece by piece, whatever its length. */
export async function sumOf(stream: ReadableStream<Uint8Array>): Promise<string> {
  const hash = sha256.create();
  const reader = stream.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return bytesToHex(hash.digest());
    hash.update(value);
  }
}
