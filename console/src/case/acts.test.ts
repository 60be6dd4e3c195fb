import { create } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import { CaseAct, CaseActionSchema, FalseAlarmReason } from '../gen/xueliang/v1/case_pb';
import { ACTS, NOTHING_SAID, actionOf, isSaid, offered } from './acts';
import { isTooShort } from '../said';
import { numberOfAction } from './event';

const asked = ACTS.filter((one) => one.act !== CaseAct.CLAIM);

test('each act asks the service for just that act', () => {
  expect(asked.length).toBeGreaterThan(25);
  for (const { act } of asked) {
    const action = create(CaseActionSchema, actionOf(act, NOTHING_SAID));
    expect(numberOfAction(action), CaseAct[act]).toBe(act);
  }
  expect(() => actionOf(CaseAct.CLAIM, NOTHING_SAID)).toThrow('CLAIM');
});

test('keys that mean something else on a desk are left alone, and no act stands twice', () => {
  const taken = new Set('jkostpxcv123?'.split(''));
  for (const { key, act } of ACTS) expect(taken.has(key) && key !== '', CaseAct[act]).toBe(false);
  expect(new Set(ACTS.map((one) => one.act)).size).toBe(ACTS.length);
});

// States with what the service allows in them to somebody with every right.
test.for([
  ['new', [CaseAct.CLAIM, CaseAct.CONFIRM, CaseAct.FALSE_ALARM, CaseAct.NOT_ACCEPT, CaseAct.MERGE, CaseAct.CLEAR, CaseAct.RELEASE, CaseAct.URGE, CaseAct.SUPERVISE]],
  ['confirmed', [CaseAct.DISPATCH, CaseAct.URGE, CaseAct.SUPERVISE, CaseAct.EXTEND]],
  ['dispatched', [CaseAct.ACCEPT, CaseAct.RETURN, CaseAct.DISPATCH, CaseAct.URGE, CaseAct.SUPERVISE, CaseAct.EXTEND]],
  ['handling', [CaseAct.FEEDBACK, CaseAct.ASK_SUSPENSION, CaseAct.SUSPEND, CaseAct.URGE, CaseAct.SUPERVISE, CaseAct.EXTEND]],
  ['verifying', [CaseAct.PASS, CaseAct.REWORK, CaseAct.URGE, CaseAct.SUPERVISE, CaseAct.EXTEND]],
] as [string, CaseAct[]][])('in one state, %s, no key means two things', ([, may]) => {
  const keys = offered(may).map((one) => one.key);
  expect(keys).toHaveLength(may.length);
  expect(new Set(keys).size).toBe(keys.length);
});

test('only what the service allows is offered', () => {
  expect(offered([CaseAct.ACCEPT]).map((one) => one.act)).toEqual([CaseAct.ACCEPT]);
  expect(offered([])).toEqual([]);
  expect(offered([CaseAct.OVERDUE])).toEqual([]);
});

test('what has to be said is said before it is asked for', () => {
  const ask = ACTS.find((one) => one.act === CaseAct.FALSE_ALARM)?.ask;
  const feedback = ACTS.find((one) => one.act === CaseAct.FEEDBACK)?.ask;
  if (!ask || !feedback) throw new Error('both ask for something');
  expect(isSaid(ask, NOTHING_SAID)).toBe(false);
  expect(isSaid(ask, { ...NOTHING_SAID, choice: FalseAlarmReason.LIGHT })).toBe(true);
  // Another reason is told in words.
  expect(isSaid(ask, { ...NOTHING_SAID, choice: FalseAlarmReason.OTHER })).toBe(false);
  expect(isSaid(ask, { ...NOTHING_SAID, choice: FalseAlarmReason.OTHER, note: '水面反光' })).toBe(true);
  // Too short is too short, also where no note is needed.
  expect(isSaid(ask, { ...NOTHING_SAID, choice: FalseAlarmReason.LIGHT, note: '光' })).toBe(false);
  expect(isSaid(feedback, { ...NOTHING_SAID, note: '已清理完毕' })).toBe(false);
  expect(isSaid(feedback, { ...NOTHING_SAID, note: '已清理完毕', proofs: ['ab'] })).toBe(true);
});

test('words that are too short to be kept are told from none, and from enough', () => {
  expect(['', '  ', '光', ' 三个字 ', '水面反光'].map(isTooShort)).toEqual([false, false, true, true, false]);
});
