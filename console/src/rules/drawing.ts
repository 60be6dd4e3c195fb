// A new zone while it is drawn: corners that were put, and where the next one would stand. By mouse or by keyboard.
import { clamped, LEAST_CORNERS, MOST_CORNERS, type Corner } from './outline';

export interface Drawing {
  corners: readonly Corner[];
  /** Where the next corner would be put. */
  at: Corner;
}

/** What came of a key or a click: it goes on, is dropped, or is whole. */
export type Drawn = { type: 'on'; drawing: Drawing } | { type: 'dropped' } | { type: 'whole'; corners: readonly Corner[] };

/** How far an arrow moves; with Shift. */
export const STEP = 0.005;
export const LARGE_STEP = 0.05;

const ARROWS: Readonly<Record<string, Corner>> = {
  ArrowLeft: { x: -1, y: 0 }, ArrowRight: { x: 1, y: 0 }, ArrowUp: { x: 0, y: -1 }, ArrowDown: { x: 0, y: 1 },
};

/** Where an arrow leads from somewhere; `undefined`: it is no arrow. */
export function stepped(from: Corner, key: string, large: boolean): Corner | undefined {
  const arrow = ARROWS[key];
  const step = large ? LARGE_STEP : STEP;
  return arrow && clamped({ x: from.x + arrow.x * step, y: from.y + arrow.y * step });
}

/** By how much an arrow moves something. */
export function byArrow(key: string, large: boolean): Corner | undefined {
  const arrow = ARROWS[key];
  const step = large ? LARGE_STEP : STEP;
  return arrow && { x: arrow.x * step, y: arrow.y * step };
}

export const BEGIN: Drawing = { corners: [], at: { x: 0.5, y: 0.5 } };

/** The pointer is elsewhere. */
export function pointed(drawing: Drawing, at: Corner): Drawing {
  return { ...drawing, at: clamped(at) };
}

/** Whole where it has corners enough; it goes on otherwise. */
function whole(drawing: Drawing): Drawn {
  return drawing.corners.length >= LEAST_CORNERS ? { type: 'whole', corners: drawing.corners } : { type: 'on', drawing };
}

/** A corner is put, by a click or by the space bar. `near`: whether two corners are one to whoever clicks. */
export function put(drawing: Drawing, at: Corner, near: (one: Corner, other: Corner) => boolean): Drawn {
  const { corners } = drawing;
  const [first, last] = [corners[0], corners.at(-1)];
  // On the first corner, or twice on the last one, as people end a line elsewhere.
  if (last && near(last, at)) return whole(drawing);
  if (first && corners.length >= LEAST_CORNERS && near(first, at)) return whole(drawing);
  const next: Drawing = { corners: [...corners, clamped(at)], at: clamped(at) };
  return next.corners.length >= MOST_CORNERS ? whole(next) : { type: 'on', drawing: next };
}

/** A key; `undefined`: it means nothing here. */
export function pressed(drawing: Drawing, key: string, large: boolean): Drawn | undefined {
  const at = stepped(drawing.at, key, large);
  if (at) return { type: 'on', drawing: { ...drawing, at } };
  switch (key) {
    case ' ':
      return put(drawing, drawing.at, (one, other) => one.x === other.x && one.y === other.y);
    case 'Enter':
      return whole(drawing);
    case 'Backspace':
    case 'Delete':
      return { type: 'on', drawing: { ...drawing, corners: drawing.corners.slice(0, -1) } };
    case 'Escape':
      return { type: 'dropped' };
    default:
      return undefined;
  }
}
