// Groups of cases as lines of a table and bars of a chart, without words.
import { StatisticsKey, type CaseStatistics, type Proportion } from '../gen/xueliang/v1/statistics_pb';

/** What became of cases: each stands in one of these, and together they are all. */
export const OUTCOMES = ['confirmed', 'notAccepted', 'judgedFalse', 'unjudged', 'merged', 'cleared', 'cancelled'] as const;
export type Outcome = (typeof OUTCOMES)[number];

/** Of fewer than these a percentage says more than is known. */
export const ENOUGH = 30;

/** A group with what it is of. */
export interface Line {
  /** Kind or hour by number, or the text of a division, camera, day, rule or model. */
  key: string;
  cases: number;
  outcomes: Record<Outcome, number>;
  /** The machine's false alarms, of what was judged. */
  falsePart: number;
  falseWhole: number;
}

/** A group that its first value names. Of hours 0 is a value, too; of kinds it is none. */
export function lineOf(group: CaseStatistics): Line {
  const [of] = group.of;
  const outcomes = Object.fromEntries(OUTCOMES.map((name) => [name, Number(group[name])])) as Record<Outcome, number>;
  return {
    key: of === undefined ? '' : of.text || (of.number === 0 && of.key !== StatisticsKey.HOUR ? '' : String(of.number)),
    cases: Number(group.cases),
    outcomes,
    falsePart: Number(group.falseAlarms?.part ?? 0n),
    falseWhole: Number(group.falseAlarms?.whole ?? 0n),
  };
}

function nothing(key: string): Line {
  return { key, cases: 0, outcomes: Object.fromEntries(OUTCOMES.map((name) => [name, 0])) as Line['outcomes'], falsePart: 0, falseWhole: 0 };
}

/** Lines in a given order, those of which nothing was counted among them. */
export function along(keys: readonly string[], lines: readonly Line[]): Line[] {
  const known = new Map(lines.map((line) => [line.key, line]));
  return keys.map((key) => known.get(key) ?? nothing(key));
}

/** Where most is to be mended: by how many were false, then by how few that is of. Only lines of which something was judged. */
export function worst(lines: readonly Line[]): Line[] {
  return lines.filter((line) => line.falseWhole > 0).sort((a, b) => b.falsePart - a.falsePart || a.falseWhole - b.falseWhole || (a.key < b.key ? -1 : 1));
}

/** A share as two counts. */
export function counts(of: Proportion | undefined): { part: number; whole: number } {
  return { part: Number(of?.part ?? 0n), whole: Number(of?.whole ?? 0n) };
}

/** A share in whole per cent, beside its counts; empty where it is of few. */
export function perCent(part: number, whole: number): string {
  return whole < ENOUGH ? '' : `${Math.round((part / whole) * 100)} %`;
}
