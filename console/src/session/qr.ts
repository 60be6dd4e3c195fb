// A text as a QR code, drawn by the page itself: what it says is a secret, and nothing else is asked for it.
import { encodeQR } from 'qr';

export interface Drawing {
  /** Its side in modules, the quiet margin included. */
  side: number;
  /** The dark modules, as a path of an SVG whose unit is a module. */
  path: string;
}

/** Modules of light around it, as the standard (ISO/IEC 18004) asks for. */
const MARGIN = 4;

export function qrOf(text: string): Drawing {
  const rows = encodeQR(text, 'raw', { border: MARGIN });
  const path = rows.flatMap((row, y) => row.flatMap((dark, x) => (dark ? `M${x} ${y}h1v1h-1z` : []))).join('');
  return { side: rows.length, path };
}

/** A secret in groups of four, as people read it from one device to another. */
export function grouped(secret: string): string {
  return secret.match(/.{1,4}/g)?.join(' ') ?? '';
}
