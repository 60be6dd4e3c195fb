// How a drill has come along: its steps in words, and how long after its beginning each was done. And the cameras at which it may begin.
import { ms } from '../bus/row';
import type { CameraStatus } from '../gen/xueliang/v1/camera_pb';
import type { DrillMark, GetDrillResponse } from '../gen/xueliang/v1/drill_pb';

export interface Step {
  step: number;
  /** When, milliseconds; 0: not yet. */
  atMs: number;
  /** After its beginning. */
  tookMs: number;
  unit: string;
  /** The first that is not done: what the drill waits for. */
  next: boolean;
}

/** The steps of a drill. One may be done before the one above it: an alert can be judged by whoever saw it on another desk. */
export function stepsOf(marks: readonly DrillMark[]): Step[] {
  const begun = ms(marks[0]?.atUnixUs ?? 0n);
  const waits = marks.findIndex((one) => one.atUnixUs === 0n);
  return marks.map((one, n) => {
    const atMs = ms(one.atUnixUs);
    return { step: one.step, atMs, tookMs: atMs === 0 ? 0 : Math.max(0, atMs - begun), unit: one.unit, next: n === waits };
  });
}

/** How long all of it took; `undefined` while something is left. */
export function tookInAll(steps: readonly Step[]): number | undefined {
  if (steps.length === 0 || steps.some((one) => one.atMs === 0)) return undefined;
  return Math.max(...steps.map((one) => one.tookMs));
}

/** Where the whole chain may be played first, then where it begins with the record; each camera once. */
export function offered(drills: readonly CameraStatus[], others: readonly CameraStatus[]): { whole: CameraStatus[]; rest: CameraStatus[] } {
  return { whole: [...drills], rest: others.filter((one) => !one.drill) };
}

export type Phase = 'none' | 'waiting' | 'missed' | 'raised';

/** What a drill has come to: whether its alert is there, is waited for, or did not come. */
export function phaseOf(told: Pick<GetDrillResponse, 'alertId' | 'cameraId' | 'missed'>): Phase {
  if (told.alertId !== '') return 'raised';
  if (told.cameraId === '') return 'none';
  return told.missed ? 'missed' : 'waiting';
}
