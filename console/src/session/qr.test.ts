import decodeQR from 'qr/decode.js';
import { expect, test } from 'vitest';
import { grouped, qrOf } from './qr';

/** What is drawn, as a camera sees it: dark on light, some pixels a module. */
function seen({ side, path }: ReturnType<typeof qrOf>, scale = 6): { width: number; height: number; data: Uint8Array } {
  const width = side * scale;
  const data = new Uint8Array(width * width * 4).fill(255);
  for (const [, x, y] of path.matchAll(/M(\d+) (\d+)h1v1h-1z/g)) {
    for (let dy = 0; dy < scale; dy++) {
      for (let dx = 0; dx < scale; dx++) {
        const at = ((Number(y) * scale + dy) * width + Number(x) * scale + dx) * 4;
        data.fill(0, at, at + 3);
      }
    }
  }
  return { width, height: width, data };
}

test('what a device reads from the drawing is what was to be told', () => {
  for (const name of ['ana', `a${'.long-name'.repeat(6)}`]) {
    const url = `otpauth://totp/xueliang:${name}?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP&issuer=xueliang`;
    expect(decodeQR(seen(qrOf(url)))).toBe(url);
  }
});

test('a secret stands in groups of four', () => {
  expect(grouped('JBSWY3DPEH')).toBe('JBSW Y3DP EH');
});
