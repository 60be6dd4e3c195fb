import { expect, test } from 'vitest';
import { StatisticsKey } from '../gen/xueliang/v1/statistics_pb';
import { choiceOf, daysOf, depthOf, faultOf, queryOf, requestOf } from './query';

const TODAY = '2026-11-30';

test('without a word it is the last 31 days, and an address brings back what was chosen', () => {
  const usual = choiceOf({}, TODAY);
  expect(usual).toEqual({ from: '2026-10-31', to: TODAY, division: '', drills: false });
  expect(daysOf(usual).length).toBe(31);
  const choice = { from: '2026-01-01', to: '2026-03-31', division: '330282', drills: true };
  expect(choiceOf(queryOf(choice), TODAY)).toEqual(choice);
  expect(choiceOf({ from: '2026-02-30', to: 'x' }, TODAY)).toEqual(usual);
});

test('a year is the longest, and nothing ends before it begins', () => {
  const of = (from: string, to: string) => faultOf({ from, to, division: '', drills: false });
  expect([of('2026-11-30', '2026-11-29'), of('2025-11-30', TODAY), of('2025-11-29', TODAY), of(TODAY, TODAY)]).toEqual(['days', undefined, 'long', undefined]);
});

test('both days are included, as the site has them', () => {
  const request = requestOf({ from: TODAY, to: TODAY, division: '', drills: false }, 'Asia/Shanghai', StatisticsKey.HOUR, 0, 24);
  expect(new Date(Number(request.fromUnixUs / 1000n)).toISOString()).toBe('2026-11-29T16:00:00.000Z');
  expect(request.toUnixUs - request.fromUnixUs).toBe(86_400_000_000n);
});

test('divisions are told apart one step below what is asked for, or below what all that is to be seen lies in', () => {
  const tree = [{ code: '33', depth: 0 }, { code: '3302', depth: 1 }, { code: '330282', depth: 2 }];
  expect([depthOf(tree, ''), depthOf(tree, '3302'), depthOf([], ''), depthOf(tree, 'elsewhere')]).toEqual([2, 3, 0, 2]);
  const two = [{ code: '330282', depth: 2 }, { code: '330281', depth: 2 }, { code: '330281101', depth: 3 }];
  expect(depthOf(two, ''), 'of several each').toBe(3);
});
