import { create } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import { Level, ListAlertsResponseSchema } from '../gen/xueliang/v1/alert_pb';
import { CaseSchema, CaseState } from '../gen/xueliang/v1/case_pb';
import { newest, staleSince, waiting } from './figures';

test('each open case that is no drill stands in one line and one level', () => {
  const cases = [
    create(CaseSchema, { state: CaseState.NEW, level: Level.LEVEL_1, overdue: true }),
    create(CaseSchema, { state: CaseState.NEW, level: Level.LEVEL_4 }),
    create(CaseSchema, { state: CaseState.RETURNED, level: Level.LEVEL_2 }),
    create(CaseSchema, { state: CaseState.NEW, level: Level.LEVEL_1, overdue: true, subject: { drill: true } }),
    create(CaseSchema, { state: CaseState.CLOSED, level: Level.LEVEL_2 }),
  ];
  const rows = waiting(cases);
  expect(rows.map((row) => row.all)).toEqual([2, 1, 0, 0, 0, 0]);
  expect(rows[0]).toEqual({ group: 'judge', levels: [1, 0, 0, 1], all: 2, overdue: 1 });
});

test('what is suppressed is not shown, and no more than fit', () => {
  const told = create(ListAlertsResponseSchema, {
    records: ['a', 'b', 'c', 'd'].map((alertId) => ({ alert: { alertId } })), suppressedAlertIds: ['b'],
  });
  expect(newest(told, 2).map((one) => one.alertId)).toEqual(['a', 'c']);
});

test('the screen says since when its oldest part is out of date, and nothing while all come', () => {
  const every = 5000;
  expect(staleSince([{ atMs: 90_000, everyMs: every }, { atMs: 99_000, everyMs: every }], 100_000)).toBeUndefined();
  expect(staleSince([{ atMs: 80_000, everyMs: every }, { atMs: 99_000, everyMs: every }], 100_000)).toBe(80_000);
  expect(staleSince([{ atMs: 80_000, everyMs: 60_000 }], 100_000), 'what is asked for seldom may be older').toBeUndefined();
  expect(staleSince([{ atMs: 0, everyMs: every }], 100_000), 'never').toBe(0);
});
