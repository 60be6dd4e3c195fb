import { expect, test } from 'vitest';
import { AlertState, Kind, KindClass, Lane, Level, Resolution } from '../gen/xueliang/v1/alert_pb';
import type { Row } from '../bus/messages';
import { lines, type Line } from './order';

const row = (id: string, change: Partial<Row>): Row => ({
  id, revision: 1, kind: Kind.FIRE_FLAME, kindClass: KindClass.EVENT, level: Level.LEVEL_3, lane: Lane.MAJOR,
  state: AlertState.FIRING, resolution: Resolution.UNSPECIFIED, cameraId: 'c', cameraName: 'c', divisionName: '', address: '', zone: '',
  startedMs: 0, lastSeenMs: 0, resolvedMs: 0, count: 1, ageMs: 0, late: false, volatile: false, drill: false,
  publisher: '', camerasBehind: 0, hasStill: false, ...change,
});

const told = (all: Line[]): string =>
  all.map((line) => (line.type === 'head' ? `[${line.count}]` : line.row.id)).join(' ');

test('the most urgent lane is on top, in it the worst and the newest, and what has ended hides nothing that fires', () => {
  const critical = { lane: Lane.CRITICAL, level: Level.LEVEL_2 };
  const ended = { state: AlertState.RESOLVED };
  const all = [
    row('minor', { lane: Lane.MINOR, level: Level.LEVEL_4, startedMs: 99 }),
    row('over', { ...critical, ...ended, resolvedMs: 50 }),
    row('older', { ...critical, startedMs: 1 }),
    row('newer', { ...critical, startedMs: 2 }),
    row('extreme', { ...critical, level: Level.LEVEL_1, startedMs: 0 }),
    row('over-later', { ...critical, ...ended, resolvedMs: 60 }),
    row('camera', { kindClass: KindClass.DEVICE, lane: Lane.CRITICAL }),
  ];
  expect(told(lines(all, 'hazards'))).toBe('[3] extreme newer older [0] [1] minor [2] over-later over');
  expect(told(lines(all, 'ops'))).toBe('[1] camera [0] [0]');
});

test('an alert of a lane that is not known here is shown all the same', () => {
  expect(told(lines([row('a', { lane: Lane.UNSPECIFIED })], 'hazards'))).toBe('[0] [0] [1] a');
});
