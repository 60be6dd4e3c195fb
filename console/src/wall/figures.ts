// What a wall screen shows of cases and alerts, without words.
import { GROUPS, groupOf, type Group } from '../case/board';
import type { Alert, ListAlertsResponse } from '../gen/xueliang/v1/alert_pb';
import type { Case } from '../gen/xueliang/v1/case_pb';

/** Levels, the most severe first. */
export const LEVELS = [1, 2, 3, 4] as const;

/** What open cases wait for. */
export interface Waiting {
  group: Group;
  /** How many of each level. */
  levels: number[];
  all: number;
  overdue: number;
}

/** Drills are left out, as they are of today's figures. */
export function waiting(cases: readonly Case[]): Waiting[] {
  const rows = new Map<Group, Waiting>(GROUPS.filter((group) => group !== 'over').map((group) => [group, { group, levels: LEVELS.map(() => 0), all: 0, overdue: 0 }]));
  for (const one of cases) {
    const row = rows.get(groupOf(one.state));
    if (!row || one.subject?.drill) continue;
    row.all += 1;
    if (one.overdue) row.overdue += 1;
    const at = LEVELS.findIndex((level) => level === (one.level as number));
    if (at >= 0) row.levels[at] = (row.levels[at] ?? 0) + 1;
  }
  return [...rows.values()];
}

/** The newest alerts that are not suppressed. */
export function newest(told: ListAlertsResponse, most: number): Alert[] {
  const suppressed = new Set(told.suppressedAlertIds);
  return told.records.flatMap((one) => (one.alert && !suppressed.has(one.alert.alertId) ? [one.alert] : [])).slice(0, most);
}

/** Since when something that is shown may be out of date, milliseconds; `undefined`: nothing is. 0: it has never come. */
export function staleSince(parts: readonly { atMs: number; everyMs: number }[], nowMs: number): number | undefined {
  const old = parts.filter((one) => nowMs - one.atMs > MISSED * one.everyMs).map((one) => one.atMs);
  return old.length === 0 ? undefined : Math.min(...old);
}

/** Answers that may be missed before what is shown is called old. */
const MISSED = 3;
