// What leads a case on now: the act that stands out, or the one that somebody else has to do, and who. What the account may do, what it may
// not and why, the service says.
import { CaseAct, CaseBarrier, CaseState, type CaseActors, type GetCaseResponse } from '../gen/xueliang/v1/case_pb';
import { ACTS, offered, type Act } from './acts';
import { numberOfAction } from './event';

/** An account and its unit. */
export interface Who {
  name: string;
  unit: string;
  /** Whether it has signed in; `false`: the service asks nobody to. */
  session?: boolean;
}

/** An act that stands there greyed, and the sentence that says whom it takes: a message of `case.barred` with its values. */
export interface Barred {
  act: Act;
  message: string;
  values: Record<string, string>;
}

/** What takes an account that has neither asked for the work nor done it: no handler's link serves. */
const CHECKS: readonly CaseAct[] = [CaseAct.TAKE_UP, CaseAct.PASS];

/** Whether a unit that was asked has been given no handler's link since. */
function lacksLink(told: GetCaseResponse): boolean {
  const acts = told.history.map((one) => numberOfAction(one.action));
  return acts.lastIndexOf(CaseAct.GIVE_LINK) < acts.lastIndexOf(CaseAct.DISPATCH);
}

/** Whether an act leads on: to dispatch what is dispatched only names another unit. */
function leadsOn(act: CaseAct, state: CaseState): boolean {
  return act !== CaseAct.DISPATCH || state !== CaseState.DISPATCHED;
}

/** The act that stands out; `undefined`: none that the account may do leads on. */
export function nextAct(told: GetCaseResponse): CaseAct | undefined {
  const state = told.case?.state ?? CaseState.UNSPECIFIED;
  const main = offered(told.may).find((one) => one.tone === 'main' && leadsOn(one.act, state));
  if (main) return main.act;
  return state === CaseState.DISPATCHED && told.may.includes(CaseAct.GIVE_LINK) && lacksLink(told) ? CaseAct.GIVE_LINK : undefined;
}

/** What somebody else has to do next; `undefined`: the account may lead the case on itself, or nobody has to. */
export function barredAct(told: GetCaseResponse, me: Who, claimedBy: string): Barred | undefined {
  if (nextAct(told) !== undefined) return undefined;
  const state = told.case?.state ?? CaseState.UNSPECIFIED;
  const next = told.barred.find((one) => leadsOn(one.act, state));
  const act = ACTS.find((one) => one.act === next?.act);
  if (!next || !act) return undefined;
  switch (next.why) {
    case CaseBarrier.SEPARATION: return { act, message: me.session === false && CHECKS.includes(next.act) ? 'nobodyElse' : separation(told, me), values: {} };
    case CaseBarrier.CLAIMED: return { act, message: 'claimed', values: { who: claimedBy } };
    case CaseBarrier.UNIT: return { act, message: 'unit', values: { unit: told.case?.unit ?? '' } };
    default: return { act, message: 'right', values: {} };
  }
}

/** What the account, or its unit, has been to the case. */
function separation(told: GetCaseResponse, me: Who): string {
  const all = told.case?.capacities;
  const as: [string, CaseActors | undefined][] = [['Requested', all?.requested], ['Handled', all?.handled], ['Verified', all?.verified]];
  const own = as.find(([, actors]) => actors?.accounts.includes(me.name));
  if (own) return `account${own[0]}`;
  // One without a unit counts as a unit of its own.
  const unit = me.unit === '' ? me.name : me.unit;
  const units = as.find(([, actors]) => actors?.units.includes(unit));
  return units ? `unit${units[0]}` : 'separation';
}
