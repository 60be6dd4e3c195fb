import { beforeEach, expect, test } from 'vitest';
import { useSelection, type Selection } from './selection';

let keys: string[];
let did: string[];
let one: Selection;

beforeEach(() => {
  keys = ['a', 'b', 'c'];
  did = [];
  one = useSelection(() => keys, { moved: (key) => did.push(`moved ${key}`), open: (key) => did.push(`opened ${key}`) });
});

test('keys go down and up a list, from its ends where nothing is selected, and not beyond them', () => {
  for (const key of ['j', 'ArrowDown', 'j', 'j', 'k']) expect(one.pressed(key)).toBe(true);
  expect(did).toEqual(['moved a', 'moved b', 'moved c', 'moved c', 'moved b']);
  one.selected.value = undefined;
  one.pressed('ArrowUp');
  expect(one.selected.value).toBe('c');
  expect(one.pressed('x')).toBe(false);
  keys = [];
  one.selected.value = undefined;
  one.pressed('j');
  expect(one.selected.value).toBeUndefined();
});

test('only what is listed is opened', () => {
  expect(one.pressed('Enter')).toBe(false);
  one.selected.value = 'b';
  expect(one.pressed('Enter')).toBe(true);
  keys = ['a', 'c'];
  expect(one.pressed('Enter')).toBe(false);
  expect(did).toEqual(['opened b']);
});
