// What a trial came to: of each rule what it would have raised, beside what the rule in force makes of the same looks.
import type { Kind } from '../gen/xueliang/v1/alert_pb';
import type { CameraRules, TriedIncident, TriedRule, TryCameraRulesResponse } from '../gen/xueliang/v1/rule_pb';

/** One rule, in the draft and in force; it may be in one of them only. */
export interface TrialRow {
  ruleId: string;
  kind: Kind;
  tried: TriedRule | undefined;
  inForce: TriedRule | undefined;
}

/** Both side by side, those of the draft first and in its order. */
export function rowsOf(answer: TryCameraRulesResponse): TrialRow[] {
  const inForce = new Map(answer.inForce.map((one) => [one.ruleId, one]));
  const rows = answer.tried.map((tried): TrialRow => {
    const other = inForce.get(tried.ruleId);
    inForce.delete(tried.ruleId);
    return { ruleId: tried.ruleId, kind: tried.kind, tried, inForce: other };
  });
  return [...rows, ...[...inForce.values()].map((one): TrialRow => ({ ruleId: one.ruleId, kind: one.kind, tried: undefined, inForce: one }))];
}

/** How many alerts. */
export function raised(rule: TriedRule | undefined): number {
  return rule ? rule.incidents.length + Number(rule.leftOut) : 0;
}

const ms = (us: bigint): number => Number(us) / 1000;

/** An alert as a part of the stretch, per cent of it; one that holds at its end reaches there. */
export interface Span {
  left: number;
  width: number;
  incident: TriedIncident;
}

/** Less could not be seen. */
const LEAST_WIDTH = 0.6;

/** What a rule would have raised, along the stretch that was tried. */
export function spansOf(rule: TriedRule | undefined, answer: TryCameraRulesResponse): Span[] {
  const [from, to] = [ms(answer.fromUnixUs), ms(answer.toUnixUs)];
  const length = to - from;
  if (!rule || length <= 0) return [];
  const share = (at: number): number => Math.min(100, Math.max(0, ((at - from) / length) * 100));
  return rule.incidents.map((incident) => {
    const begin = share(ms(incident.startedUnixUs));
    const end = incident.resolvedUnixUs === 0n ? 100 : share(ms(incident.resolvedUnixUs));
    const left = Math.min(begin, 100 - LEAST_WIDTH);
    return { left, width: Math.max(LEAST_WIDTH, end - left), incident };
  });
}

/** How long an alert was there, milliseconds; until the stretch's end where it holds there. */
export function lastedMs(incident: TriedIncident, answer: TryCameraRulesResponse): number {
  return Math.max(0, ms(incident.resolvedUnixUs === 0n ? answer.toUnixUs : incident.resolvedUnixUs) - ms(incident.startedUnixUs));
}

/** How many entries said nothing about a rule: those without a picture, and looks at which its models were not run. */
export function saidNothing(rule: TriedRule): number {
  return rule.missed.reduce((sum, one) => sum + Number(one.times), Number(rule.silent));
}

/**
 * Rules that want to be looked at more often than now: with them in force there would be looks that the trial did not have. Of one that
 * is in force already, compared with itself, otherwise with the most hurried of those in force.
 */
export function hurried(draft: CameraRules, inForce: CameraRules): Set<string> {
  const now = new Map(inForce.rules.map((one) => [one.ruleId, one.blindMaxUs]));
  const all = inForce.rules.flatMap((one) => (one.blindMaxUs === undefined ? [] : [one.blindMaxUs]));
  const least = all.reduce<bigint | undefined>((a, b) => (a === undefined || b < a ? b : a), undefined);
  return new Set(
    draft.rules
      .filter(({ ruleId, blindMaxUs }) => {
        const before = now.get(ruleId) ?? least;
        return blindMaxUs !== undefined && (before === undefined || blindMaxUs < before);
      })
      .map((one) => one.ruleId),
  );
}
