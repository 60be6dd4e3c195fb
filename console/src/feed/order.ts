// How a desk lists its alerts: what fires lane by lane, the most urgent first, in each the worst and the newest first; then what
// has ended, so that it hides nothing that fires.
import { AlertState, KindClass, Lane, Level } from '../gen/xueliang/v1/alert_pb';
import type { Row } from '../bus/messages';

/** The hazard desk, and the queue of those who keep cameras and machines running. */
export type DeskName = 'hazards' | 'ops';

/** Which desk an alert belongs to. */
export function deskOf(row: Row): DeskName {
  return row.kindClass === KindClass.DEVICE ? 'ops' : 'hazards';
}

/** One line of a list: the head of a lane, or of what has ended, or an alert. */
export type Line =
  | { type: 'head'; key: string; lane: Lane | undefined; count: number }
  | { type: 'row'; key: string; row: Row };

const LANES = [Lane.CRITICAL, Lane.MAJOR, Lane.MINOR];

/** Whether it pops up and notifies: levels 1 and 2. */
export function isCritical(row: Row): boolean {
  return row.level === Level.LEVEL_1 || row.level === Level.LEVEL_2;
}

export function fires(row: Row): boolean {
  return row.state === AlertState.FIRING;
}

/** The lines of a desk. Every lane has its head, also where nothing is in it: an empty lane says something, too. */
export function lines(rows: Iterable<Row>, desk: DeskName): Line[] {
  const firing = new Map<Lane, Row[]>(LANES.map((lane) => [lane, []]));
  const ended: Row[] = [];
  for (const row of rows) {
    if (deskOf(row) !== desk) continue;
    if (fires(row)) (firing.get(row.lane) ?? firing.get(Lane.MINOR))?.push(row);
    else ended.push(row);
  }
  const listed = (rows: Row[]): Line[] => rows.map((row) => ({ type: 'row', key: row.id, row }));
  const newest = (a: number, b: number, x: Row, y: Row): number => b - a || (x.id < y.id ? 1 : -1);
  const lanes = LANES.flatMap((lane): Line[] => {
    const rows = firing.get(lane) ?? [];
    rows.sort((a, b) => a.level - b.level || newest(a.startedMs, b.startedMs, a, b));
    return [{ type: 'head', key: `lane-${lane}`, lane, count: rows.length }, ...listed(rows)];
  });
  if (ended.length === 0) return lanes;
  ended.sort((a, b) => newest(a.resolvedMs, b.resolvedMs, a, b));
  return [...lanes, { type: 'head', key: 'ended', lane: undefined, count: ended.length }, ...listed(ended)];
}
