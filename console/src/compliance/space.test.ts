import { expect, test } from 'vitest';
import { stretchOf } from './stretch';
import { toneOf } from './space';

test('room that runs out is told before evidence shrinks', () => {
  expect(toneOf({ usedShare: 0.1 })).toBe('good');
  expect(toneOf({ usedShare: 0.1, daysLeft: 12.5 }), 'it does not last as long as is promised').toBe('warn');
  expect(toneOf({ usedShare: 0.8 })).toBe('warn');
  expect(toneOf({ usedShare: 0.9, daysLeft: 3 })).toBe('bad');
});

test('an address names a stretch of time, and what it says wrongly is left out', () => {
  expect(stretchOf({ from: '1577808000000', to: 'x' })).toEqual({ fromMs: 1_577_808_000_000, toMs: undefined });
  expect(stretchOf({ from: '-5', to: ['1'] })).toEqual({ fromMs: undefined, toMs: undefined });
});
