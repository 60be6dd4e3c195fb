import { expect, test } from 'vitest';
import { Memory } from './memory';

test('what has not changed for longest is forgotten first and no more is held', () => {
  const memory = new Memory(3);
  for (const alert of ['a', 'b', 'c']) expect(memory.repeats(alert, 1n, false)).toBe(false);
  for (let revision = 2n; revision < 100n; revision++) expect(memory.repeats('a', revision, false)).toBe(false);
  expect(memory.repeats('d', 1n, false)).toBe(false);
  expect([memory.repeats('a', 99n, false), memory.repeats('c', 1n, false)]).toEqual([true, true]);
  expect(memory.size).toBe(3);
  expect(memory.repeats('b', 1n, false), 'forgotten').toBe(false);
});

test('a volatile state is given once and its record once more', () => {
  const memory = new Memory(8);
  const told = (
    [
      [1n, true], [1n, true], [1n, false], [1n, false], [1n, true], [2n, false], [1n, true],
    ] as [bigint, boolean][]
  ).map(([revision, volatile]) => memory.repeats('a', revision, volatile));
  expect(told).toEqual([false, true, false, true, true, false, true]);
});
