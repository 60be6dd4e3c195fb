// The clocks of a case: how long is left of a limit, or by how much it is exceeded.
import { ms } from '../bus/row';
import { CaseState, type Case, type CaseTimer } from '../gen/xueliang/v1/case_pb';

/** How a timer stands. */
export type Standing = 'runs' | 'soon' | 'over' | 'stands';

/** A timer at a moment. */
export interface Told {
  stage: number;
  standing: Standing;
  /** Until the limit ends, or since it has; of one that stands, what is left of it. */
  lengthMs: number;
  dueMs: number;
}

export function timerAt(timer: CaseTimer, nowMs: number): Told {
  const dueMs = ms(timer.dueUnixUs);
  const pausedMs = ms(timer.pausedUnixUs);
  const { stage } = timer;
  if (pausedMs > 0) return { stage, standing: 'stands', lengthMs: Math.max(0, dueMs - pausedMs), dueMs };
  if (nowMs >= dueMs) return { stage, standing: 'over', lengthMs: nowMs - dueMs, dueMs };
  const standing = nowMs >= ms(timer.soonUnixUs) ? 'soon' : 'runs';
  return { stage, standing, lengthMs: dueMs - nowMs, dueMs };
}

/** All timers of a case, the most pressing first. */
export function timersAt(one: Case, nowMs: number): Told[] {
  return one.timers.map((timer) => timerAt(timer, nowMs)).sort((a, b) => pressing(a) - pressing(b) || a.dueMs - b.dueMs);
}

const PRESSING: Record<Standing, number> = { over: 0, soon: 1, runs: 1, stands: 2 };

function pressing(one: Told): number {
  return PRESSING[one.standing];
}

/** What cases are sorted by: those over their limit first, then by the end of the next limit; those without one last. */
export function urgency(one: Case, nowMs: number): number {
  const first = timersAt(one, nowMs).find((timer) => timer.standing !== 'stands');
  return first ? first.dueMs : Number.MAX_SAFE_INTEGER;
}

/** Whether somebody is to do something about a case. */
export function isOpen(state: CaseState): boolean {
  return OPEN.has(state);
}

const OPEN = new Set([
  CaseState.NEW, CaseState.CONFIRMED, CaseState.DISPATCHED, CaseState.ACCEPTED, CaseState.HANDLING, CaseState.SUSPENDED,
  CaseState.FEEDBACK, CaseState.VERIFYING, CaseState.REWORK, CaseState.RETURNED, CaseState.REOPENED,
]);
export const OPEN_STATES: readonly CaseState[] = [...OPEN];
