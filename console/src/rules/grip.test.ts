import { expect, test } from 'vitest';
import { dragged, hold, keyed } from './grip';
import { outlined } from './draft';
import { zone } from './sample';

const at = (x: number, y: number): { x: number; y: number } => ({ x, y });
const corners = (of: { outline: { x: number; y: number }[] }): number[][] => of.outline.map((one) => [one.x, one.y]);
const bank = outlined(zone('bank'), [at(0.2, 0.2), at(0.6, 0.2), at(0.6, 0.6), at(0.2, 0.6)]);

test('a corner goes with the hand, from where it was taken', () => {
  const held = hold(bank, { what: 'corner', at: 1 }, at(0.61, 0.21));
  expect(corners(dragged(held, at(0.71, 0.11), 1))[1]).toEqual([0.7, 0.1]);
  expect(corners(dragged(held, at(5, 5), 1))[1]).toEqual([1, 1]);
});

test('a corner is drawn from an edge, and the whole goes with its shape', () => {
  const held = hold(bank, { what: 'edge', after: 0 }, at(0.4, 0.2));
  expect(corners(dragged(held, at(0.4, 0.1), 1))).toEqual([[0.2, 0.2], [0.4, 0.1], [0.6, 0.2], [0.6, 0.6], [0.2, 0.6]]);
  expect(corners(dragged(hold(bank, { what: 'whole' }, at(0.3, 0.3)), at(0.9, 0.3), 1))[0]).toEqual([0.6, 0.2]);
});

test('the arrow points to the hand', () => {
  const held = hold({ ...bank, directionDeg: 10 }, { what: 'direction' }, at(0.4, 0.4));
  expect(dragged(held, at(0.8, 0.4), 16 / 9).directionDeg).toBe(90);
});

test('keys do what the hand does', () => {
  const right = keyed(bank, { what: 'corner', at: 1 }, 'ArrowRight', false);
  expect([right?.zone.outline[1]?.x, right?.corner]).toEqual([0.605, 1]);
  expect(keyed(bank, { what: 'corner', at: 1 }, 'ArrowDown', true)?.zone.outline[1]?.y).toBe(0.25);
  expect(keyed(bank, { what: 'whole' }, 'ArrowUp', true)?.zone.outline[0]?.y).toBe(0.15);
  const more = keyed(bank, { what: 'edge', after: 3 }, 'Enter', false);
  expect([more?.zone.outline.length, more?.corner]).toEqual([5, 4]);
  const fewer = keyed(bank, { what: 'corner', at: 3 }, 'Delete', false);
  expect([fewer?.zone.outline.length, fewer?.corner]).toEqual([3, 2]);
  expect(keyed({ ...bank, directionDeg: 0 }, { what: 'direction' }, 'ArrowLeft', true)?.zone.directionDeg).toBe(345);
  expect(keyed(bank, { what: 'corner', at: 1 }, 'x', false)).toBeUndefined();
  expect(keyed(bank, { what: 'edge', after: 1 }, 'ArrowUp', false)).toBeUndefined();
});
