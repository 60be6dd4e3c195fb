import { create } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import { CaseSchema, CaseStage, type Case } from '../gen/xueliang/v1/case_pb';
import { timersAt, urgency } from './timers';

const NOW = 1_790_000_000_000;
const MINUTE = 60_000;
const us = (at: number): bigint => BigInt(at) * 1000n;

/** A case with timers of ten minutes that end in so many minutes. */
const due = (...minutes: number[]): Case =>
  create(CaseSchema, {
    timers: minutes.map((left, at) => ({
      stage: at === 0 ? CaseStage.JUDGE : CaseStage.CLOSE,
      dueUnixUs: us(NOW + left * MINUTE),
      soonUnixUs: us(NOW + (left - 2) * MINUTE),
    })),
  });

test('a timer tells what is left, that it ends soon, or by how much it is exceeded', () => {
  const standings = (left: number): string => {
    const [one] = timersAt(due(left), NOW);
    return `${one?.standing} ${(one?.lengthMs ?? 0) / MINUTE}`;
  };
  expect(standings(5)).toBe('runs 5');
  expect(standings(2)).toBe('soon 2');
  expect(standings(0)).toBe('over 0');
  expect(standings(-3)).toBe('over 3');
});

test('one that stands says what is left and presses nobody', () => {
  const one = due(5);
  if (one.timers[0]) one.timers[0].pausedUnixUs = us(NOW - 60 * MINUTE);
  expect(timersAt(one, NOW)).toEqual([{ stage: CaseStage.JUDGE, standing: 'stands', lengthMs: 65 * MINUTE, dueMs: NOW + 5 * MINUTE }]);
  expect(urgency(one, NOW)).toBe(Number.MAX_SAFE_INTEGER);
});

test('the longest over its limit comes first, then what ends next, then what has no limit', () => {
  const cases = { none: due(), later: due(30), late: due(-1), latest: due(40, -5), next: due(3) };
  const order = Object.entries(cases).sort(([, a], [, b]) => urgency(a, NOW) - urgency(b, NOW)).map(([name]) => name);
  expect(order).toEqual(['latest', 'late', 'next', 'later', 'none']);
  expect(timersAt(cases.latest, NOW).map((one) => one.standing)).toEqual(['over', 'runs']);
});
