import { expect, test } from 'vitest';
import { stampIn } from '../zone';
import { around, latest, LONGEST_MS, momentOf, ofAlert, queryOf, REACHES, stretchOf } from './stretch';

const ZONE = 'Asia/Shanghai';
/** 2026-11-30 10:00:00 there. */
const NOW = Date.UTC(2026, 10, 30, 2, 0, 0);

test('a time is the last one before now, and a day can be said with it', () => {
  const told = (written: string, zone = ZONE, now = NOW): string => {
    const at = momentOf(written, now, zone);
    return at === undefined ? '' : stampIn(at, zone);
  };
  expect(told('09:03')).toBe('2026-11-30 09:03:00');
  expect(told(' 9:03:20 ')).toBe('2026-11-30 09:03:20');
  expect(told('14:03')).toBe('2026-11-29 14:03:00');
  expect(told('14\uff1a03')).toBe('2026-11-29 14:03:00');
  expect(told('11-28 23:59')).toBe('2026-11-28 23:59:00');
  expect(told('2025/1/2 03:04')).toBe('2025-01-02 03:04:00');
  expect(told('00:30', 'UTC', Date.UTC(2026, 0, 1, 0, 10))).toBe('2025-12-31 00:30:00');
});

test('an hour after a clock was set is found where the clock shows it', () => {
  const summer = Date.UTC(2026, 2, 29, 12, 0, 0);
  const at = momentOf('03:30', summer, 'Europe/Berlin');
  expect(at).toBe(Date.UTC(2026, 2, 29, 1, 30, 0));
});

test('what is no time is refused', () => {
  for (const wrong of ['', 'noon', '25:00', '12:60', '2026-13-01 10:00', '2026-02-30 10:00', '14']) {
    expect(momentOf(wrong, NOW, ZONE), wrong).toBeUndefined();
  }
});

test('a stretch has the moment in it, lies before now and is no longer than the service explains', () => {
  expect(around(NOW - 600_000, 5, NOW)).toEqual({ fromMs: NOW - 900_000, toMs: NOW - 300_000 });
  for (const reach of REACHES) {
    const { fromMs, toMs } = around(NOW - LONGEST_MS, reach, NOW);
    expect(toMs - fromMs, 'as far before as after').toBe(2 * reach * 60_000);
    expect(toMs - fromMs).toBeLessThanOrEqual(LONGEST_MS);
  }
  const late = around(NOW - 10_000, 15, NOW);
  expect(late.toMs).toBe(NOW);
  expect(late.fromMs).toBeLessThan(NOW - 10_000);
  expect(latest(15, NOW)).toEqual({ fromMs: NOW - 900_000, toMs: NOW });
  const long = ofAlert(NOW - 2 * LONGEST_MS, NOW);
  expect(long.toMs - long.fromMs).toBe(LONGEST_MS);
});

test('an address brings a stretch back, and no other than one that can be explained', () => {
  const stretch = latest(60, NOW);
  expect(stretchOf(queryOf(stretch))).toEqual(stretch);
  for (const query of [{}, { from: '5', to: '5' }, { from: '9', to: '5' }, { from: 'a', to: 'b' }, { from: '0', to: String(NOW) }]) {
    expect(stretchOf(query)).toBeUndefined();
  }
});
