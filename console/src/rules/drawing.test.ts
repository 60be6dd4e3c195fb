import { expect, test } from 'vitest';
import { BEGIN, LARGE_STEP, pointed, pressed, put, STEP, type Drawing, type Drawn } from './drawing';
import type { Corner } from './outline';

const near = (one: Corner, other: Corner): boolean => Math.hypot(one.x - other.x, one.y - other.y) < 0.02;
const on = (what: Drawn | undefined): Drawing => {
  if (what?.type !== 'on') throw new Error(`it is ${what?.type ?? 'nothing'}`);
  return what.drawing;
};
const click = (drawing: Drawing, x: number, y: number): Drawn => put(pointed(drawing, { x, y }), { x, y }, near);

test('corners are clicked, and a click on the first one ends it', () => {
  let drawing = on(click(BEGIN, 0.1, 0.1));
  expect(on(click(drawing, 0.11, 0.1)).corners.length, 'a click on the only one is none').toBe(1);
  drawing = on(click(drawing, 0.5, 0.1));
  expect(on(click(drawing, 0.1, 0.11)).corners.length, 'two corners are no zone').toBe(3);
  drawing = on(click(drawing, 0.5, 0.5));
  expect(click(drawing, 0.1, 0.11)).toEqual({ type: 'whole', corners: [{ x: 0.1, y: 0.1 }, { x: 0.5, y: 0.1 }, { x: 0.5, y: 0.5 }] });
  expect(click(drawing, 0.5, 0.505), 'as does a second click on the last').toMatchObject({ type: 'whole' });
});

test('it is drawn by keys alone', () => {
  let drawing = BEGIN;
  for (const key of [' ', 'ArrowRight', ' ', 'ArrowDown', ' ', 'ArrowLeft', ' ']) drawing = on(pressed(drawing, key, true));
  expect(drawing.corners).toEqual([{ x: 0.5, y: 0.5 }, { x: 0.5 + LARGE_STEP, y: 0.5 }, { x: 0.55, y: 0.55 }, { x: 0.5, y: 0.55 }]);
  drawing = on(pressed(drawing, 'Backspace', false));
  expect(drawing.corners.length).toBe(3);
  expect(on(pressed(drawing, 'ArrowUp', false)).at.y).toBeCloseTo(0.55 - STEP);
  expect(pressed(drawing, 'Enter', false)).toMatchObject({ type: 'whole' });
  expect(pressed(BEGIN, 'Enter', false), 'without corners it goes on').toMatchObject({ type: 'on' });
  expect(pressed(drawing, 'Escape', false)).toEqual({ type: 'dropped' });
  expect(pressed(drawing, 'x', false)).toBeUndefined();
});

test('no corner is put outside of the picture', () => {
  expect(on(click(BEGIN, 1.4, -0.2)).corners).toEqual([{ x: 1, y: 0 }]);
  let drawing = BEGIN;
  for (let n = 0; n < 30; n++) drawing = on(pressed(drawing, 'ArrowLeft', true));
  expect(drawing.at.x).toBe(0);
});

test('with as many corners as may be it is whole', () => {
  let drawing = BEGIN;
  for (let n = 0; n < 63; n++) drawing = on(put(drawing, { x: n / 64, y: (n % 2) / 2 }, () => false));
  expect(put(drawing, { x: 1, y: 1 }, () => false)).toMatchObject({ type: 'whole' });
});
