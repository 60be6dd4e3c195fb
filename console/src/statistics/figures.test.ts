import { create } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import { CaseStatisticsSchema, StatisticsKey } from '../gen/xueliang/v1/statistics_pb';
import { along, lineOf, OUTCOMES, perCent, worst, type Line } from './figures';

const line = (key: string, falsePart: number, falseWhole: number): Line => ({
  ...lineOf(create(CaseStatisticsSchema, { cases: 1n })), key, falsePart, falseWhole,
});

test('a line is named by what its group is of, and holds all of its cases', () => {
  const told = lineOf(create(CaseStatisticsSchema, {
    of: [{ key: StatisticsKey.KIND, number: 102 }], cases: 6n, confirmed: 1n, judgedFalse: 2n, unjudged: 3n, falseAlarms: { part: 2n, whole: 3n },
  }));
  expect([told.key, told.cases, told.falsePart, told.falseWhole]).toEqual(['102', 6, 2, 3]);
  expect(OUTCOMES.reduce((sum, name) => sum + told.outcomes[name], 0)).toBe(told.cases);
  const keys = [{ key: StatisticsKey.HOUR, number: 0 }, { key: StatisticsKey.DIVISION, text: '330282' }, { key: StatisticsKey.MODEL }];
  expect(keys.map((of) => lineOf(create(CaseStatisticsSchema, { of: [of] })).key)).toEqual(['0', '330282', '']);
});

test('hours and days stand there in order, also where nothing happened', () => {
  const told = along(['0', '1', '2'], [line('2', 1, 1), line('0', 0, 1)]);
  expect(told.map((one) => [one.key, one.cases])).toEqual([['0', 1], ['1', 0], ['2', 1]]);
});

test('the most false alarms come first, of as many the larger share, and what nobody judged is no share of anything', () => {
  const told = worst([line('a', 2, 9), line('b', 0, 0), line('c', 5, 90), line('d', 2, 3), line('e', 0, 4)]);
  expect(told.map((one) => one.key)).toEqual(['c', 'd', 'a', 'e']);
});

test('of few there is no percentage', () => {
  expect([perCent(1, 3), perCent(29, 29), perCent(3, 30), perCent(0, 0)]).toEqual(['', '', '10 %', '']);
});
