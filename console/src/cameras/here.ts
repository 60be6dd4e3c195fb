// The list of cameras of this page: it stays as it was while one of them is opened.
import { shallowRef, watch } from 'vue';
import { reasonOf } from '../reason';
import { client } from '../bus/transport';
import { CameraService } from '../gen/xueliang/v1/camera_pb';
import { DivisionService } from '../gen/xueliang/v1/duty_pb';
import { session } from '../session/here';
import { Listing, type Ask } from './listing';

/** A page of a thousand takes a moment on a slow line. */
const WITHIN_MS = 20_000;

export const ask: Ask = (request, signal) => client(CameraService).listCameras(request, { signal, timeoutMs: WITHIN_MS });

/** Nodes report every two seconds; the strip above the list is as old. */
export const EVERY_MS = 5000;

export const listing = new Listing(ask, reasonOf);

/** How far down somebody was. */
export const scrolled = { px: 0 };

/** A division that can be asked for. */
export interface DivisionChoice {
  code: string;
  name: string;
  depth: number;
}

/** The divisions that whoever is signed in may see, above before below; empty where they may not be listed. */
export const divisions = shallowRef<DivisionChoice[]>([]);

/** More would not be found in a list: a text finds them. */
const MOST_DIVISIONS = 2000;

/** Asks for the divisions. Without the right to them the list of cameras names those that it shows. */
export async function learnDivisions(): Promise<void> {
  const seat = session.seat.value;
  const found: { path: string[]; one: DivisionChoice }[] = [];
  let pageToken = '';
  try {
    do {
      const answer = await client(DivisionService).listDivisions({ pageSize: 1000, pageToken }, { timeoutMs: WITHIN_MS });
      for (const one of answer.divisions) {
        found.push({ path: one.pathCodes, one: { code: one.code, name: one.name, depth: Math.max(0, one.pathCodes.length - 1) } });
      }
      pageToken = answer.nextPageToken;
    } while (pageToken !== '' && found.length < MOST_DIVISIONS);
  } catch {
    return;
  }
  // An answer to somebody else.
  if (seat !== session.seat.value) return;
  const key = (path: string[]): string => path.join(' ');
  found.sort((a, b) => (key(a.path) < key(b.path) ? -1 : 1));
  divisions.value = found.map(({ one }) => one);
}

// What was listed is of one session, and of its rights.
watch(session.seat, () => {
  listing.clear();
  divisions.value = [];
  scrolled.px = 0;
}, { flush: 'sync' });
