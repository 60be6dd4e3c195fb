import { expect, test } from 'vitest';
import { wayOf } from './undo-keys';

test('back and forward by the keys that people know', () => {
  const key = (key: string, of: { ctrlKey?: boolean; metaKey?: boolean; altKey?: boolean; shiftKey?: boolean } = {}) =>
    wayOf({ key, ctrlKey: false, metaKey: false, altKey: false, shiftKey: false, ...of });
  expect([key('z', { ctrlKey: true }), key('z', { metaKey: true })]).toEqual(['undo', 'undo']);
  expect([key('Z', { ctrlKey: true, shiftKey: true }), key('y', { ctrlKey: true })]).toEqual(['redo', 'redo']);
  expect([key('z'), key('z', { ctrlKey: true, altKey: true }), key('a', { ctrlKey: true })]).toEqual([undefined, undefined, undefined]);
});
