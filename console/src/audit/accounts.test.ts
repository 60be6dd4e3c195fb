import { create } from '@bufbuild/protobuf';
import { expect, test, vi } from 'vitest';
import { AccountChangeSchema, AccountSchema, Role, type AccountChange } from '../gen/xueliang/v1/account_pb';
import { ACTIONS, actionWord, before, fieldsOf } from './accounts';

vi.mock('../words', () => ({ word: (name: string, number: number) => `${name} ${number}`, timezone: () => 'Asia/Shanghai' }));
vi.mock('../i18n/i18n', () => ({ i18n: { global: { t: (key: string) => key } }, language: () => 'zh' }));

const change = (changeId: number, of: Partial<{ account: string; roles: Role[]; unit: string; kept: boolean }> = {}): AccountChange => {
  const { account = 'ana', roles = [Role.JUDGE], unit = '指挥中心', kept = true } = of;
  const after = kept ? create(AccountSchema, { name: account, roles, unit, revision: BigInt(changeId) }) : undefined;
  return create(AccountChangeSchema, { changeId: BigInt(changeId), account, action: 'updated', after });
};

test('a change is told by what it changed: beside what the account was before, over what does not change it, and of nobody else', () => {
  const log = [
    change(9, { roles: [Role.JUDGE, Role.LEADER] }), change(8, { roles: [Role.JUDGE, Role.LEADER] }), change(7, { kept: false }),
    change(6, { account: 'bo', roles: [Role.HANDLER] }), change(5),
  ];
  const one = log[1];
  if (!one?.after) throw new Error('it has an account');
  const was = before(one, log);
  expect(was?.revision).toBe(5n);
  const changed = fieldsOf(one.after, was).filter((field) => field.before !== undefined);
  expect(changed).toEqual([{ name: 'roles', value: 'Role 1, Role 11', before: 'Role 1' }]);
});

test('what is not known to have been otherwise is not called changed', () => {
  const first = change(1);
  if (!first.after) throw new Error('it has an account');
  expect(before(first, [first])).toBeUndefined();
  expect(fieldsOf(first.after, undefined).every((field) => field.before === undefined)).toBe(true);
});

test('a word that is not known here stands as the log has it', () => {
  expect(actionWord('created')).toBe('audit.action.created');
  expect(actionWord('merged')).toBe('merged');
  expect(new Set(ACTIONS).size).toBe(ACTIONS.length);
});
