// What was done with accounts, as the log has it, in words; and what a change made of an account.
import type { Account, AccountChange } from '../gen/xueliang/v1/account_pb';
import { i18n } from '../i18n/i18n';
import { stamp } from '../times';
import { word } from '../words';

/** Words of the log that are known here, in the order of a choice. */
export const ACTIONS = [
  'created', 'updated', 'enabled', 'disabled', 'reset', 'set_up', 'signed_in', 'sign_in_refused', 'signed_out', 'session_expired',
  'session_revoked', 'password_changed', 'password_refused', 'totp_enrolled', 'totp_confirmed',
] as const;

/** What was done, in words; the log's own word for one of a later version. */
export function actionWord(action: string): string {
  return ACTIONS.some((one) => one === action) ? i18n.global.t(`audit.action.${action}`) : action;
}

/** Whether somebody was turned away. */
export function isRefusal(action: string): boolean {
  return action.endsWith('_refused');
}

const t = (key: string): string => i18n.global.t(`audit.${key}`);
const yes = (is: boolean): string => t(is ? 'yes' : 'no');
const day = (us: bigint): string => (us > 0n ? stamp(Number(us / 1000n)) : t('never'));

/** What an account is and may, in words, name by name; what changes with each write does not count. */
const FIELDS: [name: string, of: (account: Account) => string][] = [
  ['displayName', (one) => one.displayName],
  ['unit', (one) => one.unit],
  ['roles', (one) => one.roles.map((role) => word('Role', role)).join(', ')],
  ['reach', (one) => (one.wholeTown ? t('wholeTown') : one.divisions.join(', '))],
  ['classes', (one) => (one.pointClasses.length === 0 ? t('allClasses') : one.pointClasses.map((point) => word('PointClass', point)).join(', '))],
  ['validUntil', (one) => day(one.validUntilUnixUs)],
  ['trainedUntil', (one) => day(one.trainedUntilUnixUs)],
  ['machine', (one) => yes(one.machine)],
  ['disabled', (one) => yes(one.disabled)],
  ['isSetUp', (one) => yes(one.isSetUp)],
  ['totp', (one) => yes(one.hasTotp)],
];

export interface Field {
  name: string;
  /** What it is after the change. */
  value: string;
  /** What it was before, where it was another; `undefined`: the same, or it is not known. */
  before: string | undefined;
}

/** An account after a change, beside what it was before where that is known. */
export function fieldsOf(after: Account, before: Account | undefined): Field[] {
  return FIELDS.map(([name, of]) => {
    const value = of(after);
    const was = before && of(before);
    return { name, value, before: was === value ? undefined : was };
  });
}

/** What the account was before a change: as the latest older entry of its log says. `log`: latest first. */
export function before(change: AccountChange, log: readonly AccountChange[]): Account | undefined {
  return log.find((one) => one.account === change.account && one.changeId < change.changeId && one.after)?.after;
}
