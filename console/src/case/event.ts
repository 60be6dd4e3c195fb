// An entry of a case's history: what, by whom, and what somebody lost against.
import { CaseAct, CaseActionSchema, type CaseAction, type CaseActor, type CaseEvent } from '../gen/xueliang/v1/case_pb';
import { i18n } from '../i18n/i18n';
import { beside } from '../signs';
import { valueOf } from './enumeration';

const numbers = new Map(CaseActionSchema.fields.map((field) => [field.localName, field.number]));

/** The number of an action, which is that of its words. */
export function numberOfAction(action: CaseAction | undefined): CaseAct {
  return valueOf(CaseAct, numbers.get(action?.what.case ?? '') ?? 0);
}

/** The clock acts as `system`, for no unit. */
export function isClock(actor: CaseActor | undefined): boolean {
  return actor === undefined || (actor.account === 'system' && actor.unit === '');
}

/** What an account is called: handlers act by their links, and where nobody signs in all act as one. */
export function accountWord(account: string): string {
  const [, id] = /^link:(\d+)$/.exec(account) ?? [];
  if (id !== undefined) return i18n.global.t('links.of', { id });
  return account === 'local' ? i18n.global.t('case.notSignedIn') : account;
}

/** An account and its unit; empty for the clock. */
export function actorWord(actor: CaseActor | undefined): string {
  if (!actor || isClock(actor)) return '';
  return actor.unit === '' || actor.unit === actor.account ? accountWord(actor.account) : beside(accountWord(actor.account), actor.unit);
}

/** The last thing that a person did after a revision: what somebody lost against. */
export function lastByPeople(history: readonly CaseEvent[], afterRevision: bigint): CaseEvent | undefined {
  return history.filter((one) => one.revision > afterRevision && !isClock(one.actor)).at(-1);
}
