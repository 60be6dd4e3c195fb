// Cases as a board: by what they wait for, the most pressing first, and only those that somebody asks for.
import { Supervision, CaseState, type Case } from '../gen/xueliang/v1/case_pb';
import type { Level } from '../gen/xueliang/v1/alert_pb';
import { urgency } from './timers';

/** What a case waits for. */
export type Group = 'judge' | 'dispatch' | 'accept' | 'handle' | 'verify' | 'suspended' | 'over';

export const GROUPS: readonly Group[] = ['judge', 'dispatch', 'accept', 'handle', 'verify', 'suspended', 'over'];

export function groupOf(state: CaseState): Group {
  switch (state) {
    case CaseState.NEW: return 'judge';
    case CaseState.CONFIRMED:
    case CaseState.RETURNED:
    case CaseState.REOPENED: return 'dispatch';
    case CaseState.DISPATCHED: return 'accept';
    case CaseState.ACCEPTED:
    case CaseState.HANDLING:
    case CaseState.REWORK: return 'handle';
    case CaseState.FEEDBACK:
    case CaseState.VERIFYING: return 'verify';
    case CaseState.SUSPENDED: return 'suspended';
    default: return 'over';
  }
}

/** By what a case is found again, before and after it has a number. */
export function keyOf(one: Case): string {
  return one.subject?.alertId || one.number;
}

/** Cases that are over: the latest, then those of before; of those none that is told anew, nor one that is open again. */
export function overWith(latest: readonly Case[], before: readonly Case[], open: readonly Case[]): Case[] {
  // A damaged one tells its number only.
  const named = (one: Case): string => one.number || keyOf(one);
  const elsewhere = new Set([...latest, ...open].map(named));
  return [...latest, ...before.filter((one) => !elsewhere.has(named(one)))];
}

/** What is asked for besides the group. */
export interface Wanted {
  text: string;
  /** Levels 1 up to this; 0: all. */
  level: Level | 0;
  /** Only of this unit, handling or helping; empty: of all. */
  unit: string;
  overdue: boolean;
  supervised: boolean;
}

export const ALL: Wanted = { text: '', level: 0, unit: '', overdue: false, supervised: false };

/** `named`: the words by which a case is found. */
export function isWanted(one: Case, wanted: Wanted, named: (one: Case) => string): boolean {
  if (wanted.level !== 0 && one.level > wanted.level) return false;
  if (wanted.unit !== '' && one.unit !== wanted.unit && !one.assistingUnits.includes(wanted.unit)) return false;
  if (wanted.overdue && !one.overdue) return false;
  if (wanted.supervised && one.supervision === Supervision.UNSPECIFIED) return false;
  const text = wanted.text.trim().toLowerCase();
  return text === '' || named(one).toLowerCase().includes(text);
}

/** Those of a group that are wanted: damaged ones, which somebody has to look into, and then the most pressing first; of those that are over, the latest. */
export function listed(cases: readonly Case[], group: Group, wanted: Wanted, named: (one: Case) => string, nowMs: number): Case[] {
  const some = cases.filter((one) => groupOf(one.state) === group && isWanted(one, wanted, named));
  const damaged = (a: Case, b: Case): number => Number(b.damaged) - Number(a.damaged);
  if (group === 'over') return some.sort((a, b) => damaged(a, b) || Number(b.changedUnixUs - a.changedUnixUs));
  const keyed = some.map((one) => ({ one, due: urgency(one, nowMs) }));
  keyed.sort((a, b) => damaged(a.one, b.one) || a.due - b.due || a.one.level - b.one.level || Number(a.one.openedUnixUs - b.one.openedUnixUs));
  return keyed.map(({ one }) => one);
}

/** How many cases wait in each group, and how many of them are over a limit. */
export function counts(cases: readonly Case[], wanted: Wanted, named: (one: Case) => string): Map<Group, { all: number; overdue: number }> {
  const found = new Map(GROUPS.map((group) => [group, { all: 0, overdue: 0 }]));
  for (const one of cases) {
    const of = found.get(groupOf(one.state));
    if (!of || !isWanted(one, wanted, named)) continue;
    of.all += 1;
    if (one.overdue) of.overdue += 1;
  }
  return found;
}
