// Outlines of zones: shares of the picture, 0 to 1, x to the right and y down. Pure; what it gives is new, what it got stays.

/** A corner; a point of the protocol is one. */
export interface Corner {
  x: number;
  y: number;
}
export type Outline = readonly Corner[];

export const LEAST_CORNERS = 3;
export const MOST_CORNERS = 64;
/** The service takes none that covers less of the picture. */
const LEAST_AREA = 1e-4;
/** A ten-thousandth of the picture is finer than any camera sees, and reads well in a file. */
const STEPS = 10_000;

const within = (share: number): number => Math.round(Math.min(1, Math.max(0, share)) * STEPS) / STEPS;

/** The nearest corner within the picture. */
export function clamped(corner: Corner): Corner {
  return { x: within(corner.x), y: within(corner.y) };
}

/** With one corner elsewhere. */
export function withCorner(outline: Outline, at: number, corner: Corner): Corner[] {
  return outline.map((one, index) => (index === at ? clamped(corner) : one));
}

/** All of it moved, as far as the picture reaches: its shape stays. */
export function moved(outline: Outline, by: Corner): Corner[] {
  const [xs, ys] = [outline.map((one) => one.x), outline.map((one) => one.y)];
  const dx = Math.min(Math.max(by.x, -Math.min(...xs)), 1 - Math.max(...xs));
  const dy = Math.min(Math.max(by.y, -Math.min(...ys)), 1 - Math.max(...ys));
  return outline.map((one) => clamped({ x: one.x + dx, y: one.y + dy }));
}

/** The middle of the edge that begins at a corner. */
export function middle(outline: Outline, after: number): Corner {
  const [from, to] = [outline[after], outline[(after + 1) % outline.length]];
  return clamped({ x: ((from?.x ?? 0) + (to?.x ?? 0)) / 2, y: ((from?.y ?? 0) + (to?.y ?? 0)) / 2 });
}

/** With one corner more on the edge that begins at a corner; as it was where it has as many as may be. */
export function inserted(outline: Outline, after: number, corner: Corner = middle(outline, after)): Corner[] {
  if (outline.length >= MOST_CORNERS) return [...outline];
  return [...outline.slice(0, after + 1), clamped(corner), ...outline.slice(after + 1)];
}

/** Without a corner; as it was where no fewer may be left. */
export function without(outline: Outline, at: number): Corner[] {
  return outline.length <= LEAST_CORNERS ? [...outline] : outline.filter((_, index) => index !== at);
}

/** Which side of the line from `a` to `b` a corner lies on. */
const turn = (a: Corner, b: Corner, c: Corner): number => (b.x - a.x) * (c.y - a.y) - (b.y - a.y) * (c.x - a.x);

/** Whether two edges cross; ends that touch do not count. */
function cross(a: Corner, b: Corner, c: Corner, d: Corner): boolean {
  return turn(a, b, c) * turn(a, b, d) < 0 && turn(c, d, a) * turn(c, d, b) < 0;
}

/** Two edges that cross, each by the corner where it begins. */
export function crossing(outline: Outline): [number, number] | undefined {
  const count = outline.length;
  const at = (index: number): Corner => outline[index % count] ?? { x: 0, y: 0 };
  for (let i = 0; i < count; i++) {
    for (let j = i + 2; j < count; j++) {
      const neighbours = i === 0 && j === count - 1;
      if (!neighbours && cross(at(i), at(i + 1), at(j), at(j + 1))) return [i, j];
    }
  }
  return undefined;
}

/** Twice the area, by the shoelace formula; its sign says which way round the corners go. */
function twiceArea(outline: Outline): number {
  return outline.reduce((sum, one, index) => {
    const next = outline[(index + 1) % outline.length] ?? one;
    return sum + one.x * next.y - next.x * one.y;
  }, 0);
}

/** What it covers of the picture. */
export function area(outline: Outline): number {
  return Math.abs(twiceArea(outline)) / 2;
}

/** Where its name stands: the centre of its area, or of its corners where it has none. */
export function centre(outline: Outline): Corner {
  const twice = twiceArea(outline);
  if (Math.abs(twice) < 2 * LEAST_AREA) {
    const count = Math.max(1, outline.length);
    return { x: outline.reduce((sum, one) => sum + one.x, 0) / count, y: outline.reduce((sum, one) => sum + one.y, 0) / count };
  }
  let [x, y] = [0, 0];
  outline.forEach((one, index) => {
    const next = outline[(index + 1) % outline.length] ?? one;
    const weight = one.x * next.y - next.x * one.y;
    x += (one.x + next.x) * weight;
    y += (one.y + next.y) * weight;
  });
  return { x: x / (3 * twice), y: y / (3 * twice) };
}

/** What is wrong with an outline. */
export type OutlineFault = { what: 'few' | 'many' | 'small' } | { what: 'crossing'; edges: [number, number] };

/** The first thing that the service would find wrong with it. */
export function faultOf(outline: Outline): OutlineFault | undefined {
  if (outline.length < LEAST_CORNERS) return { what: 'few' };
  if (outline.length > MOST_CORNERS) return { what: 'many' };
  const edges = crossing(outline);
  if (edges) return { what: 'crossing', edges };
  return area(outline) < LEAST_AREA ? { what: 'small' } : undefined;
}

/** Corners as a drawing of this size has them. */
export function pointsOf(outline: Outline, width: number, height: number): string {
  return outline.map((one) => `${(one.x * width).toFixed(1)},${(one.y * height).toFixed(1)}`).join(' ');
}

/** Degrees clockwise from the picture's upper edge, from one corner to another. `aspect`: the picture's width by its height. */
export function heading(from: Corner, to: Corner, aspect: number): number {
  const degrees = (Math.atan2((to.x - from.x) * aspect, from.y - to.y) * 180) / Math.PI;
  return (Math.round(degrees) + 360) % 360;
}
