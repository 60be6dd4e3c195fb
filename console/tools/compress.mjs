// Puts a Brotli and a gzip copy beside each text file of the build, so that the bus compresses nothing while it serves.
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync, gzipSync } from 'node:zlib';

const app = join(dirname(fileURLToPath(import.meta.url)), '../embed/app');
const texts = new Set(['.html', '.js', '.css', '.svg', '.json', '.txt']);
for (const entry of readdirSync(app, { recursive: true, withFileTypes: true })) {
  if (!entry.isFile() || !texts.has(extname(entry.name))) continue;
  const path = join(entry.parentPath ?? entry.path, entry.name);
  const plain = readFileSync(path);
  for (const [ending, packed] of [
    ['.br', brotliCompressSync(plain)],
    ['.gz', gzipSync(plain, { level: 9 })],
  ]) {
    // Of a few hundred bytes nothing is won.
    if (packed.length < plain.length * 0.9) writeFileSync(path + ending, packed);
  }
}
