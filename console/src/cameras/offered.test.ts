import { expect, test } from 'vitest';
import { offered } from './offered';

const seen = [{ code: '33', name: 'Province', depth: 0 }, { code: '3302', name: 'Town', depth: 1 }];
const codes = (...of: Parameters<typeof offered>): string[] => offered(...of).map((one) => one.code);

test('what may be seen is offered, or what a list names, and what is asked for in any case', () => {
  const names = new Map([['3304', 'Lower'], ['3303', 'Upper']]);
  expect(codes(seen, names, '')).toEqual(['33', '3302']);
  expect(codes([], names, '')).toEqual(['3303', '3304']);
  expect(codes(seen, new Map(), '9')).toEqual(['33', '3302', '9']);
  expect(codes(seen, new Map(), '3302')).toEqual(['33', '3302']);
});
