import { expect, test } from 'vitest';
import { beginOf, dayAfter, dayOf, isDay, isSensibleDay } from './days';

test('days follow each other as a calendar has them', () => {
  expect([dayAfter('2026-11-30', 1), dayAfter('2026-03-01', -1), dayAfter('2028-03-01', -1)]).toEqual(['2026-12-01', '2026-02-28', '2028-02-29']);
  expect(['2026-11-30', '2026-02-30', '2026-1-1', 'x', ''].map(isDay)).toEqual([true, false, false, false, false]);
});

test('a year that is still being typed is no day that is meant', () => {
  expect(['0020-11-30', '1999-12-31', '2000-01-01', '2100-12-31', '2101-01-01', '2026-02-30', ''].map(isSensibleDay)).toEqual([false, false, true, true, false, false, false]);
});

test('a day begins at the midnight of its zone', () => {
  const begin = beginOf('2026-11-30', 'Asia/Shanghai');
  expect(new Date(begin).toISOString()).toBe('2026-11-29T16:00:00.000Z');
  expect([dayOf(begin, 'Asia/Shanghai'), dayOf(begin - 1, 'Asia/Shanghai')]).toEqual(['2026-11-30', '2026-11-29']);
  expect(beginOf('never', 'Asia/Shanghai')).toBe(0);
});
