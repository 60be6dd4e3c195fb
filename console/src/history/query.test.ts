import { expect, test } from 'vitest';
import { Kind, Level } from '../gen/xueliang/v1/alert_pb';
import { CaseFlag, CaseState, FalseAlarmReason, NotAcceptedReason } from '../gen/xueliang/v1/case_pb';
import { ALL, choiceOf, faultOf, queryOf, requestOf, type Choice } from './query';

const ZONE = 'Asia/Shanghai';

test('an address brings back what was chosen', () => {
  const choice: Choice = {
    from: '2026-11-01', to: '2026-11-30', division: '330282', camera: 'pond', kind: Kind.FIRE_FLAME, level: Level.LEVEL_2,
    state: CaseState.FALSE_ALARM, flag: CaseFlag.OVERDUE, reason: { of: 'false', number: FalseAlarmReason.LIGHT },
    number: '33028220261130010200001', misses: true,
  };
  expect(choiceOf(queryOf(choice))).toEqual(choice);
  expect(queryOf(ALL)).toEqual({});
  expect(choiceOf({})).toEqual(ALL);
  expect(choiceOf({ state: 'open' }).state).toBe('open');
});

test('what an address says wrongly is not asked for', () => {
  const wrong = { from: '2026-02-30', to: 'x', kind: '0', level: '9', state: 'half', flag: '99', reason: 'false-99', misses: 'yes', division: null };
  expect(choiceOf(wrong)).toEqual(ALL);
});

test('both days are included, as the site has them', () => {
  const request = requestOf({ ...ALL, from: '2026-11-30', to: '2026-11-30' }, ZONE, 100);
  expect(new Date(Number(request.fromUnixUs / 1000n)).toISOString()).toBe('2026-11-29T16:00:00.000Z');
  expect(request.toUnixUs - request.fromUnixUs).toBe(86_400_000_000n);
  const open = requestOf(ALL, ZONE, 100);
  expect([open.fromUnixUs, open.toUnixUs, open.states, open.levels]).toEqual([0n, 0n, [], []]);
});

test('a reason is asked for by its verdict, and all are counted with the first page only', () => {
  const request = requestOf({ ...ALL, reason: { of: 'declined', number: NotAcceptedReason.SLIGHT } }, ZONE, 100);
  expect([request.notAcceptedReasons, request.falseAlarmReasons, request.cancelReasons]).toEqual([[NotAcceptedReason.SLIGHT], [], []]);
  expect([request.withTotal, requestOf(ALL, ZONE, 100, 'next').withTotal]).toEqual([true, false]);
});

test('open and over are all states, each in one of them', () => {
  const [open, over] = (['open', 'over'] as const).map((state) => requestOf({ ...ALL, state }, ZONE, 1).states);
  expect(open).toContain(CaseState.NEW);
  expect(over).toContain(CaseState.CLOSED);
  expect(new Set([...(open ?? []), ...(over ?? [])]).size).toBe(18);
});

test('what the service would refuse is said before it is asked', () => {
  expect(faultOf({ ...ALL, from: '2026-11-30', to: '2026-11-01' })).toBe('days');
  expect(faultOf({ ...ALL, number: '3302' })).toBe('number');
  expect(faultOf({ ...ALL, from: '2026-11-30', to: '2026-11-30', number: '33028200000020261130' })).toBeUndefined();
});
