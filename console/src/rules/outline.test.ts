import { expect, test } from 'vitest';
import { area, centre, crossing, faultOf, heading, inserted, middle, moved, pointsOf, withCorner, without, type Corner } from './outline';

const at = (x: number, y: number): Corner => ({ x, y });
const SQUARE = [at(0.2, 0.2), at(0.6, 0.2), at(0.6, 0.6), at(0.2, 0.6)];
const BOW = [at(0.1, 0.1), at(0.9, 0.9), at(0.9, 0.1), at(0.1, 0.9)];

test('a zone that is moved stays in the picture and keeps its shape', () => {
  const far = moved(SQUARE, at(0.9, -0.9));
  expect(far).toEqual([at(0.6, 0), at(1, 0), at(1, 0.4), at(0.6, 0.4)]);
  expect(area(far)).toBeCloseTo(area(SQUARE));
});

test('a corner that is dragged beyond the picture stays at its edge', () => {
  expect(withCorner(SQUARE, 1, at(1.7, -0.3))[1]).toEqual(at(1, 0));
  expect(SQUARE[1], 'what it was stays').toEqual(at(0.6, 0.2));
});

test('a corner goes in after the one where its edge begins, the last edge leads back to the first', () => {
  expect(inserted(SQUARE, 0)[1]).toEqual(at(0.4, 0.2));
  expect(inserted(SQUARE, 3)).toEqual([...SQUARE, at(0.2, 0.4)]);
  expect(middle(SQUARE, 3)).toEqual(at(0.2, 0.4));
  const full = Array.from({ length: 64 }, (_, n) => at(n / 64, (n % 2) / 2));
  expect(inserted(full, 5)).toEqual(full);
});

test('three corners are left, whatever is taken away', () => {
  const three = without(SQUARE, 0);
  expect(three).toEqual(SQUARE.slice(1));
  expect(without(three, 0)).toEqual(three);
});

test('edges that cross are found, and those that only meet are none', () => {
  expect(crossing(SQUARE)).toBeUndefined();
  expect(crossing(BOW)).toEqual([0, 2]);
  expect(crossing([at(0, 0), at(0.5, 0.5), at(1, 0), at(0.5, 0.5)])).toBeUndefined();
});

test('what the service would refuse of an outline is said', () => {
  expect(faultOf(SQUARE)).toBeUndefined();
  expect(faultOf(SQUARE.slice(2))).toEqual({ what: 'few' });
  expect(faultOf(Array.from({ length: 65 }, () => at(0.5, 0.5)))).toEqual({ what: 'many' });
  expect(faultOf(BOW)).toEqual({ what: 'crossing', edges: [0, 2] });
  expect(faultOf([at(0.1, 0.1), at(0.1001, 0.1), at(0.1, 0.1001)])).toEqual({ what: 'small' });
});

test('a name stands in the middle of what it names', () => {
  const middle = centre(SQUARE);
  expect([middle.x, middle.y]).toEqual([expect.closeTo(0.4), expect.closeTo(0.4)]);
  expect(centre([at(0.5, 0.5), at(0.7, 0.5)]).x).toBeCloseTo(0.6);
});

test('directions go clockwise from the upper edge, as the eye sees them in a wide picture', () => {
  const from = at(0.5, 0.5);
  expect(heading(from, at(0.5, 0.1), 16 / 9)).toBe(0);
  expect(heading(from, at(0.9, 0.5), 16 / 9)).toBe(90);
  expect(heading(from, at(0.1, 0.5), 16 / 9)).toBe(270);
  expect(heading(from, at(0.6, 0.5 - (0.1 * 16) / 9), 16 / 9)).toBe(45);
});

test('a drawing has its corners in its own measure', () => {
  expect(pointsOf(SQUARE.slice(0, 2), 1600, 900)).toBe('320.0,180.0 960.0,180.0');
});
