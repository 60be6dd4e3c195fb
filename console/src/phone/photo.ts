// A photo as it is sent: drawn anew, so that it is small and holds the picture alone. Where and with what it was taken stays here.

/** The service takes no more. */
const MOST_BYTES = 1 << 20;
/** Longest sides that are tried, in pixels, and how good the picture is then. */
const TRIES = [[1600, 0.82], [1280, 0.75], [960, 0.7]] as const;

/** Width and height within a longest side; never larger than it is. */
export function within(width: number, height: number, longest: number): [number, number] {
  const scale = Math.min(1, longest / Math.max(width, height));
  return [Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale))];
}

/** A photo's JPEG, small enough to be sent. */
export async function shrink(file: Blob): Promise<Uint8Array> {
  // As it is held: the browser turns it by what the camera has noted.
  const picture = await createImageBitmap(file, { imageOrientation: 'from-image' });
  try {
    for (const [longest, quality] of TRIES) {
      const [width, height] = within(picture.width, picture.height, longest);
      const canvas = document.createElement('canvas');
      canvas.width = width;
      canvas.height = height;
      const pen = canvas.getContext('2d');
      if (!pen) throw new Error('canvas');
      pen.drawImage(picture, 0, 0, width, height);
      const made = await new Promise<Blob | null>((done) => {
        canvas.toBlob(done, 'image/jpeg', quality);
      });
      if (made && made.size <= MOST_BYTES) return new Uint8Array(await made.arrayBuffer());
    }
  } finally {
    picture.close();
  }
  throw new Error('too large');
}
