// What of a zone is taken hold of on the picture, and what a drag or a key makes of it.
import type { Zone } from '../gen/xueliang/v1/rule_pb';
import { outlined } from './draft';
import { byArrow } from './drawing';
import { centre, heading, inserted, moved, withCorner, without, type Corner } from './outline';

/** `edge`: its middle, from which a corner is drawn. */
export type Grip = { what: 'whole' } | { what: 'corner'; at: number } | { what: 'edge'; after: number } | { what: 'direction' };

/** A zone that is held, as it was when it was taken, and where. */
export interface Hold {
  zone: Zone;
  grip: Exclude<Grip, { what: 'edge' }>;
  from: Corner;
}

/** Takes hold of a zone; a corner that is drawn from an edge is there from the beginning. */
export function hold(zone: Zone, grip: Grip, from: Corner): Hold {
  if (grip.what !== 'edge') return { zone, grip, from };
  const more = inserted(zone.outline, grip.after);
  // With as many corners as may be there is none to draw.
  if (more.length === zone.outline.length) return { zone, grip: { what: 'corner', at: grip.after }, from };
  return { zone: outlined(zone, more), grip: { what: 'corner', at: grip.after + 1 }, from };
}

/** What is held was dragged to a place. `aspect`: the picture's width by its height. */
export function dragged(held: Hold, to: Corner, aspect: number): Zone {
  const { zone, grip, from } = held;
  const by = { x: to.x - from.x, y: to.y - from.y };
  if (grip.what === 'whole') return outlined(zone, moved(zone.outline, by));
  if (grip.what === 'direction') return { ...zone, directionDeg: heading(centre(zone.outline), to, aspect) };
  const corner = zone.outline[grip.at] ?? from;
  return outlined(zone, withCorner(zone.outline, grip.at, { x: corner.x + by.x, y: corner.y + by.y }));
}

const TURN: Readonly<Record<string, number>> = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 };
/** With Shift. */
const LARGE_TURN = 15;

/** What a key makes of a zone, and which corner is chosen then; `undefined`: it means nothing there. */
export function keyed(zone: Zone, grip: Grip, key: string, large: boolean): { zone: Zone; corner: number } | undefined {
  const by = byArrow(key, large);
  switch (grip.what) {
    case 'whole':
      return by && { zone: outlined(zone, moved(zone.outline, by)), corner: -1 };
    case 'direction': {
      const turn = TURN[key];
      if (turn === undefined) return undefined;
      return { zone: { ...zone, directionDeg: ((zone.directionDeg ?? 0) + turn * (large ? LARGE_TURN : 1) + 360) % 360 }, corner: -1 };
    }
    case 'edge':
      if (key !== 'Enter' && key !== ' ') return undefined;
      return { zone: outlined(zone, inserted(zone.outline, grip.after)), corner: grip.after + 1 };
    case 'corner': {
      const corner = zone.outline[grip.at];
      if (by && corner) return { zone: outlined(zone, withCorner(zone.outline, grip.at, { x: corner.x + by.x, y: corner.y + by.y })), corner: grip.at };
      if (key !== 'Delete' && key !== 'Backspace') return undefined;
      const fewer = without(zone.outline, grip.at);
      return { zone: outlined(zone, fewer), corner: Math.min(grip.at, fewer.length - 1) };
    }
  }
}
