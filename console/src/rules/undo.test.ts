import { expect, test } from 'vitest';
import { Undo } from './undo';

test('steps go back and forward, and what is done anew ends what was ahead', () => {
  const undo = new Undo('a');
  undo.put('b');
  undo.put('c');
  undo.undo();
  undo.undo();
  undo.undo();
  expect([undo.now.value, undo.canUndo.value, undo.canRedo.value]).toEqual(['a', false, true]);
  undo.redo();
  expect(undo.now.value).toBe('b');
  undo.put('d');
  expect([undo.now.value, undo.canRedo.value]).toEqual(['d', false]);
  undo.undo();
  expect(undo.now.value).toBe('b');
});

test('what is dragged is one step, and the next drag another', () => {
  const undo = new Undo(0);
  for (const at of [1, 2, 3]) undo.put(at, 'drag 1');
  for (const at of [4, 5]) undo.put(at, 'drag 2');
  undo.undo();
  expect(undo.now.value).toBe(3);
  undo.put(6, 'drag 2');
  undo.undo();
  expect(undo.now.value, 'a step back ends what went on').toBe(3);
  undo.undo();
  expect(undo.now.value).toBe(0);
});

test('what did not change is no step', () => {
  const undo = new Undo('a');
  undo.put('a');
  expect(undo.canUndo.value).toBe(false);
});
