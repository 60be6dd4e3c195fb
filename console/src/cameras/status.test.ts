import { create } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import { Kind } from '../gen/xueliang/v1/alert_pb';
import { AccountingSchema, CameraStatusSchema, CoverageSchema, Granted, Signal } from '../gen/xueliang/v1/camera_pb';
import { accountOf, byKind, percent, revisit, toneOf } from './status';

const coverage = (kind: Kind, granted: Granted, intervalUs = 0) =>
  create(CoverageSchema, { kind, granted, intervalUs: BigInt(intervalUs) });

test('lost critical coverage is worst, a camera that rests as planned is neither good nor bad', () => {
  const tone = (of: Parameters<typeof create<typeof CameraStatusSchema>>[1]) => toneOf(create(CameraStatusSchema, of));
  expect(tone({ signal: Signal.STREAMING, criticalLost: [Kind.WATER_ZONE_ENTRY], blind: false })).toBe('bad');
  expect(tone({ signal: Signal.OFFLINE, blind: true })).toBe('warn');
  expect(tone({ signal: Signal.STREAMING, lacksCoverage: true })).toBe('warn');
  // Only the bus tells which lack is one: by day an uncovered rule, by night a camera that is off as planned.
  const uncovered = [coverage(Kind.FIRE_FLAME, Granted.NOT_COVERED)];
  expect(tone({ signal: Signal.STREAMING, coverage: uncovered })).toBe('good');
  expect(tone({ signal: Signal.EXPECTED_OFF, coverage: uncovered })).toBe('idle');
  expect(tone({ signal: Signal.NOT_CONNECTED })).toBe('idle');
  expect(tone({ signal: Signal.NOT_CONNECTED, lacksCoverage: true })).toBe('warn');
  expect(tone({ signal: Signal.OFFLINE, drill: true })).toBe('idle');
});

test('of a kind the least of its rules counts, and the longest interval', () => {
  const rules = [coverage(Kind.LEFT_OBJECT, Granted.GUARANTEED, 1000), coverage(Kind.LEFT_OBJECT, Granted.NOT_COVERED, 500), coverage(Kind.ZONE_INTRUSION, Granted.GUARANTEED)];
  expect(byKind(rules)).toEqual([
    { kind: Kind.LEFT_OBJECT, granted: Granted.NOT_COVERED, intervalUs: 1000 },
    { kind: Kind.ZONE_INTRUSION, granted: Granted.GUARANTEED, intervalUs: 0 },
  ]);
  expect(revisit(rules)).toEqual({ leastUs: 500, mostUs: 1000 });
  expect(revisit([])).toBeUndefined();
});

test('a unit that stands in no column shows', () => {
  const units = { received: 10n, lookedAt: 2n, referenced: 3n, inRing: 1n, inFlight: 1n };
  const reasons = { skipped: [{ reason: 'expired', units: 1n }], lost: [{ reason: 'deadline', units: 1n }] };
  expect(accountOf(create(AccountingSchema, { ...units, ...reasons }))?.missing).toBe(1);
  expect(accountOf(create(AccountingSchema, { ...units, ...reasons, received: 9n }))?.missing).toBe(0);
  expect(accountOf(undefined)).toBeUndefined();
});

test('no share that is something is told as nothing', () => {
  expect([percent(0, 5), percent(1, 100_000), percent(1, 30), percent(99_999, 100_000), percent(5, 5)]).toEqual([
    '0 %', '< 0.1 %', '3.3 %', '> 99.9 %', '100 %',
  ]);
});
