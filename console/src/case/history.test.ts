import { create } from '@bufbuild/protobuf';
import { beforeAll, expect, test, vi } from 'vitest';
import { CaseEventSchema, CaseState, FalseAlarmReason, NotAcceptedReason } from '../gen/xueliang/v1/case_pb';
import type * as Event from './event';
import type * as History from './history';

// The page's language is what the browser remembers.
let [event, history] = [{} as typeof Event, {} as typeof History];
beforeAll(async () => {
  vi.stubGlobal('localStorage', { getItem: () => null });
  event = await import('./event');
  history = await import('./history');
});

test('a case that is over tells why, by what was said last', () => {
  const all = [
    create(CaseEventSchema, { action: { what: { case: 'falseAlarm', value: { reason: FalseAlarmReason.LIGHT } } } }),
    create(CaseEventSchema, { action: { what: { case: 'reopen', value: {} } } }),
    create(CaseEventSchema, { action: { what: { case: 'notAccept', value: { reason: NotAcceptedReason.SLIGHT } } } }),
    create(CaseEventSchema, { action: { what: { case: 'falseAlarm', value: { reason: FalseAlarmReason.OTHER } } } }),
  ];
  // Words come from the service; until they are there, numbers stand for them.
  expect(history.whyOver(CaseState.FALSE_ALARM, all)).toBe(String(FalseAlarmReason.OTHER));
  expect(history.whyOver(CaseState.NOT_ACCEPTED, all)).toBe(String(NotAcceptedReason.SLIGHT));
  expect(history.whyOver(CaseState.HANDLING, all)).toBe('');
  expect(history.whyOver(CaseState.FALSE_ALARM, [])).toBe('');
});

test('links and desks without sign-in have names, accounts are called as they are', () => {
  expect(['link:12', 'local', 'ana', 'link:x'].map(event.accountWord)).toEqual(['链接 12', '免登录席位', 'ana', 'link:x']);
  expect(event.actorWord({ $typeName: 'xueliang.v1.CaseActor', account: 'link:12', unit: '消防大队' })).toBe('链接 12（消防大队）');
});
