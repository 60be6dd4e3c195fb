// Which stretch of time is to be explained: what people write as a time, in the site's zone.
import { stampIn } from '../zone';

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;

/** The service explains no more at once. */
export const LONGEST_MS = 6 * 60 * MINUTE;

/** How long a stretch may be chosen, minutes. */
export const LENGTHS = [1, 5, 15, 60, 360] as const;

export interface Stretch {
  fromMs: number;
  toMs: number;
}

/** The moment that a clock in a zone shows so. */
function momentIn(zone: string, stamp: string): number | undefined {
  const asUtc = Date.parse(`${stamp.replace(' ', 'T')}Z`);
  if (Number.isNaN(asUtc)) return undefined;
  // The zone's distance is known at a moment only: guessed, and corrected once where a clock is set in between.
  let at = asUtc;
  for (let tries = 0; tries < 2; tries++) {
    const shown = Date.parse(`${stampIn(at, zone).replace(' ', 'T')}Z`);
    at += asUtc - shown;
  }
  return at;
}

/**
 * The moment that somebody means by `14:03`, `14:03:20`, `11-29 14:03` or `2026-11-29 14:03`; the last one before now where the
 * day is left out. `undefined`: it is no time.
 */
export function momentOf(written: string, nowMs: number, zone: string): number | undefined {
  // A full-width colon is what a Chinese keyboard gives.
  const text = written.trim().replaceAll('\uff1a', ':').replaceAll('/', '-');
  const match = /^(?:(?:(\d{4})-)?(\d{1,2})-(\d{1,2})[ T]+)?(\d{1,2}):(\d{2})(?::(\d{2}))?$/.exec(text);
  if (!match) return undefined;
  const [, year, month, day, hour, minute, second] = match;
  if (Number(hour) > 23 || Number(minute) > 59 || Number(second ?? 0) > 59) return undefined;
  const today = stampIn(nowMs, zone);
  const two = (part: string): string => part.padStart(2, '0');
  const date = day && month ? `${year ?? today.slice(0, 4)}-${two(month)}-${two(day)}` : today.slice(0, 10);
  const time = `${two(hour ?? '')}:${minute ?? ''}:${second ?? '00'}`;
  const at = momentIn(zone, `${date} ${time}`);
  if (at === undefined || !stampIn(at, zone).startsWith(date)) return undefined;
  if (day || at <= nowMs) return at;
  return momentIn(zone, `${stampIn(at - DAY, zone).slice(0, 10)} ${time}`);
}

/** How far before and after a moment, minutes. */
export const REACHES = [1, 5, 15, 60, 180] as const;

/** The stretch from so many minutes before a moment until as many after it. None lies ahead of now. */
export function around(atMs: number, minutes: number, nowMs: number): Stretch {
  const toMs = Math.min(atMs + minutes * MINUTE, nowMs);
  return { fromMs: Math.min(atMs - minutes * MINUTE, toMs - 1000), toMs };
}

/** The stretch that has just ended. */
export function latest(minutes: number, nowMs: number): Stretch {
  return { fromMs: nowMs - minutes * MINUTE, toMs: nowMs };
}

/** What an alert is explained by: from a while before it began until a while after it ended, or was last seen. */
export function ofAlert(startedMs: number, endMs: number): Stretch {
  const fromMs = startedMs - 2 * MINUTE;
  return { fromMs, toMs: Math.min(Math.max(endMs, startedMs) + MINUTE, fromMs + LONGEST_MS) };
}

/** A stretch as the address says it. */
export function queryOf(stretch: Stretch): { from: string; to: string } {
  return { from: String(Math.round(stretch.fromMs)), to: String(Math.round(stretch.toMs)) };
}

/** What an address says; `undefined` where that is no stretch that can be explained. */
export function stretchOf(query: Record<string, unknown>): Stretch | undefined {
  const [from, to] = [query['from'], query['to']];
  if (typeof from !== 'string' || typeof to !== 'string' || !/^\d{1,15}$/.test(from) || !/^\d{1,15}$/.test(to)) return undefined;
  const stretch = { fromMs: Number(from), toMs: Number(to) };
  const length = stretch.toMs - stretch.fromMs;
  return length > 0 && length <= LONGEST_MS ? stretch : undefined;
}
