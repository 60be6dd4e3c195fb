// Days as a site's calendar has them, written as 2026-11-30.
import { momentOf } from './explain/stretch';
import { stampIn } from './zone';

const DAY_MS = 86_400_000;

/** Days that are asked for lie between these. */
export const FIRST_DAY = '2000-01-01';
export const LAST_DAY = '2100-12-31';

/** Whether this is a day, as a calendar has it. */
export function isDay(text: string): boolean {
  return /^\d{4}-\d{2}-\d{2}$/.test(text) && dayAfter(text, 0) === text;
}

/** Whether it is one that somebody may mean, and not a year that is still being typed. */
export function isSensibleDay(text: string): boolean {
  return isDay(text) && text >= FIRST_DAY && text <= LAST_DAY;
}

/** The day so many days later, or earlier; empty where there is none. */
export function dayAfter(day: string, days: number): string {
  const at = Date.parse(`${day}T00:00:00Z`) + days * DAY_MS;
  return Number.isNaN(at) ? '' : new Date(at).toISOString().slice(0, 10);
}

/** The day of a moment in a zone. */
export function dayOf(atMs: number, zone: string): string {
  return stampIn(atMs, zone).slice(0, 10);
}

/** When a day begins in a zone; 0 for what is no day. */
export function beginOf(day: string, zone: string): number {
  return (isDay(day) && momentOf(`${day} 00:00`, 0, zone)) || 0;
}

/** A moment in milliseconds as the protocol has it. */
export function micros(ms: number): bigint {
  return BigInt(Math.round(ms)) * 1000n;
}
