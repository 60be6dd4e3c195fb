// A stretch of time as the address has it: milliseconds, each end by itself.
import type { LocationQuery } from 'vue-router';

/** What it says wrongly is left out. */
export function stretchOf(query: LocationQuery): { fromMs: number | undefined; toMs: number | undefined } {
  const time = (value: unknown): number | undefined => (typeof value === 'string' && /^\d{1,15}$/.test(value) ? Number(value) || undefined : undefined);
  return { fromMs: time(query['from']), toMs: time(query['to']) };
}
