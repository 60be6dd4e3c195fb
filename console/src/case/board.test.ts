import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import { Level } from '../gen/xueliang/v1/alert_pb';
import { CaseSchema, CaseState, Supervision, type Case } from '../gen/xueliang/v1/case_pb';
import { ALL, GROUPS, counts, groupOf, isWanted, keyOf, listed, overWith } from './board';
import { OPEN_STATES } from './timers';

const NOW = 1_790_000_000_000;
const us = (at: number): bigint => BigInt(at) * 1000n;
const one = (init: MessageInitShape<typeof CaseSchema>): Case => create(CaseSchema, init);
const named = (one: Case): string => `${one.number} ${one.unit}`;

test('each state has its place on the board, and what is open never stands under what is over', () => {
  const states = Object.values(CaseState).filter((one): one is CaseState => typeof one === 'number' && one !== CaseState.UNSPECIFIED);
  expect(states).toHaveLength(18);
  for (const state of states) {
    expect(GROUPS).toContain(groupOf(state));
    expect(groupOf(state) === 'over', CaseState[state]).toBe(!OPEN_STATES.includes(state));
  }
});

test('a filter leaves what is asked for, and all its conditions hold', () => {
  const case_ = one({ number: '3302', unit: '消防大队', assistingUnits: ['网格'], level: Level.LEVEL_2, overdue: true, supervision: Supervision.MANUAL });
  for (const [wanted, is] of [
    [{}, true],
    [{ level: Level.LEVEL_2 }, true],
    [{ level: Level.LEVEL_1 }, false],
    [{ unit: '消防大队' }, true],
    [{ unit: '网格' }, true],
    [{ unit: '水务' }, false],
    [{ overdue: true, supervised: true }, true],
    [{ text: ' 消防 ' }, true],
    [{ text: '3303' }, false],
    [{ text: '3302', unit: '水务' }, false],
  ] as const) {
    expect(isWanted(case_, { ...ALL, ...wanted }, named), JSON.stringify(wanted)).toBe(is);
  }
  expect(isWanted(one({}), { ...ALL, overdue: true }, named)).toBe(false);
  expect(isWanted(one({}), { ...ALL, supervised: true }, named)).toBe(false);
});

test('a group lists the most pressing first, and what is over by when it changed', () => {
  const timer = (left: number): { dueUnixUs: bigint; soonUnixUs: bigint } => ({ dueUnixUs: us(NOW + left), soonUnixUs: us(NOW) });
  const cases = [
    one({ number: 'a', state: CaseState.DISPATCHED, timers: [timer(5000)], level: Level.LEVEL_3 }),
    one({ number: 'b', state: CaseState.DISPATCHED, timers: [timer(-5000)], level: Level.LEVEL_4, overdue: true }),
    one({ number: 'c', state: CaseState.DISPATCHED, timers: [timer(5000)], level: Level.LEVEL_1 }),
    one({ number: 'd', state: CaseState.CLOSED, changedUnixUs: us(NOW - 9) }),
    one({ number: 'e', state: CaseState.FALSE_ALARM, changedUnixUs: us(NOW) }),
  ];
  expect(listed(cases, 'accept', ALL, named, NOW).map((one) => one.number)).toEqual(['b', 'c', 'a']);
  expect(listed(cases, 'over', ALL, named, NOW).map((one) => one.number)).toEqual(['e', 'd']);
  expect(counts(cases, ALL, named).get('accept')).toEqual({ all: 3, overdue: 1 });
  expect(counts(cases, { ...ALL, level: Level.LEVEL_1 }, named).get('accept')).toEqual({ all: 1, overdue: 0 });
});

test('damaged cases stand before all others of their group', () => {
  const cases = [
    one({ number: 'a', state: CaseState.NEW, level: Level.LEVEL_1, openedUnixUs: 1n }),
    one({ number: 'b', state: CaseState.NEW, level: Level.LEVEL_4, openedUnixUs: 2n, damaged: true }),
    one({ number: 'c', state: CaseState.CLOSED, changedUnixUs: us(NOW) }),
    one({ number: 'd', state: CaseState.CLOSED, changedUnixUs: 0n, damaged: true }),
  ];
  expect(listed(cases, 'judge', ALL, named, NOW).map((one) => one.number)).toEqual(['b', 'a']);
  expect(listed(cases, 'over', ALL, named, NOW).map((one) => one.number)).toEqual(['d', 'c']);
});

test('a case that was reopened is not among those that are over, and none stands there twice', () => {
  const over = (number: string, alertId = ''): Case => one({ number, subject: { alertId }, state: CaseState.CLOSED });
  const reopened = one({ number: '2', state: CaseState.REOPENED });
  const untouched = one({ subject: { alertId: 'x' }, state: CaseState.NEW });
  const numbers = (cases: Case[]): string[] => cases.map((one) => one.number || keyOf(one));
  expect(numbers(overWith([over('4'), over('3')], [over('3'), over('2'), over('1')], [reopened, untouched]))).toEqual(['4', '3', '1']);
  expect(numbers(overWith([], [over('2'), over('', 'y')], [reopened, untouched]))).toEqual(['y']);
  // What was closed after the open ones were asked for is told as it is now.
  expect(numbers(overWith([over('2')], [], [reopened]))).toEqual(['2']);
});

test('a case is found by its alert, which it keeps when it is given a number', () => {
  expect(keyOf(one({ subject: { alertId: 'a' } }))).toBe('a');
  expect(keyOf(one({ subject: { alertId: 'a' }, number: '1' }))).toBe('a');
  expect(keyOf(one({ number: '1' }))).toBe('1');
});
