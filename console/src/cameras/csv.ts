// The list of cameras as a file for a spreadsheet. All that match, not only those that were scrolled to.
import type { CameraStatus, ListCamerasResponse } from '../gen/xueliang/v1/camera_pb';
import { MOST, type Ask } from './listing';
import { requestOf, type Choice } from './query';

/** More than a service watches; whoever has more is told that some are missing. */
export const MOST_ROWS = 100_000;

/**
 * One cell. What a spreadsheet would calculate is kept from it: names are written by people, and by their systems. So are numbers
 * of cases and codes of divisions, of which it would keep 15 digits at most.
 */
export function cell(value: string | number): string {
  if (typeof value === 'number') return String(value);
  const safe = /^[=+\-@\t\r]|^\d{12,}$/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** Lines of cells as a file. It says by its first character that it is UTF-8, which a spreadsheet would not guess. */
export function file(lines: Iterable<readonly (string | number)[]>): string {
  let text = '\ufeff';
  for (const line of lines) text += `${line.map(cell).join(',')}\r\n`;
  return text;
}

/** Asks for all that match, page by page. */
export async function all(
  ask: Ask, choice: Choice, signal: AbortSignal, progress: (listed: number, total: number) => void,
): Promise<{ cameras: CameraStatus[]; names: Map<string, string>; complete: boolean }> {
  const cameras = new Map<string, CameraStatus>();
  const names = new Map<string, string>();
  let token = '';
  do {
    const answer: ListCamerasResponse = await ask(requestOf(choice, MOST, token), signal);
    for (const one of answer.cameras) cameras.set(one.cameraId, one);
    for (const one of answer.divisions) names.set(one.code, one.name);
    token = answer.nextPageToken;
    progress(cameras.size, answer.total);
  } while (token !== '' && cameras.size < MOST_ROWS);
  return { cameras: [...cameras.values()], names, complete: token === '' };
}
