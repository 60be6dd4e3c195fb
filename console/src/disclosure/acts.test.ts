import { create } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import {
  ReleaseSchema, ReleaseState, ViewingOutcome, ViewingSchema, ViewingState, ViewingStepSchema, type Release, type Viewing,
} from '../gen/xueliang/v1/disclosure_pb';
import type { Right } from '../session/session';
import { hasExamined, isOwnRelease, outcomes, releaseActs, requestActs, stretchFault, type Asker } from './acts';

const who = (name: string, ...rights: Right[]): Asker => ({ name, may: (right) => rights.includes(right) });
const dora = who('dora', 'PrepareRelease', 'ExamineViewings');
const lea = who('lea', 'ApproveRelease', 'GrantViewings');
const ada = who('ada', 'ReadRegister');
/** Where the service lets everybody in, one has all rights. */
const local = who('local', 'PrepareRelease', 'ApproveRelease', 'ExamineViewings', 'GrantViewings');

const release = (state: ReleaseState, preparedBy = 'dora'): Release => create(ReleaseSchema, { state, preparedBy });
const viewing = (state: ViewingState, examinedBy = 'dora'): Viewing => {
  const steps = state === ViewingState.RECEIVED ? [] : [create(ViewingStepSchema, { state: ViewingState.EXAMINED, account: examinedBy })];
  return create(ViewingSchema, { state, steps });
};

test('a release takes two accounts: one prepares and fetches it, another decides', () => {
  expect(releaseActs(release(ReleaseState.PREPARED), dora)).toEqual([]);
  expect(releaseActs(release(ReleaseState.PREPARED), lea)).toEqual(['decide']);
  expect(releaseActs(release(ReleaseState.PREPARED, 'local'), local)).toEqual([]);
  expect(isOwnRelease(release(ReleaseState.PREPARED, 'local'), local)).toBe(true);
  expect(isOwnRelease(release(ReleaseState.PREPARED), lea)).toBe(false);
  expect(releaseActs(release(ReleaseState.APPROVED), dora)).toEqual(['fetch']);
  for (const state of [ReleaseState.REFUSED, ReleaseState.EXPIRED]) {
    expect([dora, lea, local].flatMap((one) => releaseActs(release(state), one))).toEqual([]);
  }
});

test('a request goes from hand to hand, and who examined it does not decide', () => {
  const states = [
    ViewingState.RECEIVED, ViewingState.EXAMINED, ViewingState.GRANTED, ViewingState.REFUSED, ViewingState.SHOWN, ViewingState.CLOSED,
  ];
  expect(states.map((state) => requestActs(viewing(state), dora))).toEqual([
    ['examine', 'close'], ['examine', 'close'], ['show', 'close'], ['close'], ['show', 'close'], [],
  ]);
  expect(states.map((state) => requestActs(viewing(state), lea))).toEqual([[], ['decide'], [], [], [], []]);
  expect(requestActs(viewing(ViewingState.EXAMINED, 'local'), local)).not.toContain('decide');
  expect(requestActs(viewing(ViewingState.EXAMINED), local)).toContain('decide');
  expect(hasExamined(viewing(ViewingState.EXAMINED), 'dora')).toBe(true);
});

test('who reads registers does nothing with what they see', () => {
  expect(releaseActs(release(ReleaseState.PREPARED), ada)).toEqual([]);
  expect(releaseActs(release(ReleaseState.APPROVED), ada)).toEqual([]);
  expect(requestActs(viewing(ViewingState.EXAMINED), ada)).toEqual([]);
});

test('what was granted and is not taken up can end so, what was shown ends as shown', () => {
  expect(outcomes(ViewingState.GRANTED)).toEqual([ViewingOutcome.WITHDRAWN, ViewingOutcome.NOT_TAKEN_UP]);
  expect(outcomes(ViewingState.SHOWN)).toEqual([ViewingOutcome.SHOWN]);
  expect(outcomes(ViewingState.CLOSED)).toEqual([]);
});

test('a stretch is one that is over, of a day at most', () => {
  const hour = 3_600_000;
  const now = 1_796_000_000_000;
  expect(stretchFault(now - 24 * hour, now, now)).toBeUndefined();
  expect(stretchFault(now - 24 * hour - 1, now, now)).toBe('long');
  expect(stretchFault(now, now, now)).toBe('order');
  expect(stretchFault(now - hour, now + 1, now)).toBe('ahead');
  expect(stretchFault(undefined, now, now)).toBe('missing');
});
