import { create } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import { CaseAct, CaseBarrier, CaseState, GetCaseResponseSchema, type GetCaseResponse } from '../gen/xueliang/v1/case_pb';
import { zhCase } from '../i18n/zh-case';
import { barredAct, nextAct, type Who } from './next-step';

const DORA = { name: 'dora', unit: '指挥中心' };

function told(state: CaseState, may: CaseAct[], barred: [CaseAct, CaseBarrier][] = [], did: ('dispatch' | 'giveLink')[] = []): GetCaseResponse {
  return create(GetCaseResponseSchema, {
    case: {
      state,
      unit: '消防站',
      capacities: { requested: { accounts: ['dora'], units: ['指挥中心'] }, handled: { accounts: ['hugo'], units: ['消防站'] }, verified: { accounts: ['sven'], units: [] } },
    },
    may,
    barred: barred.map(([act, why]) => ({ act, why })),
    history: did.map((one) => ({ action: { what: { case: one, value: {} } } })),
  });
}

test('after a dispatch a handler’s link comes next, until one was given; another unit does not', () => {
  const may = [CaseAct.DISPATCH, CaseAct.GIVE_LINK, CaseAct.URGE];
  expect(nextAct(told(CaseState.CONFIRMED, [CaseAct.DISPATCH]))).toBe(CaseAct.DISPATCH);
  expect(nextAct(told(CaseState.DISPATCHED, may, [], ['dispatch']))).toBe(CaseAct.GIVE_LINK);
  expect(nextAct(told(CaseState.DISPATCHED, may, [], ['dispatch', 'giveLink']))).toBeUndefined();
  // A link of the dispatch before counts no more.
  expect(nextAct(told(CaseState.DISPATCHED, may, [], ['dispatch', 'giveLink', 'dispatch']))).toBe(CaseAct.GIVE_LINK);
  expect(nextAct(told(CaseState.DISPATCHED, [CaseAct.ACCEPT, CaseAct.RETURN]))).toBe(CaseAct.ACCEPT);
});

test('what somebody else has to do is named, with why', () => {
  const fedBack = (why: CaseBarrier): GetCaseResponse => told(CaseState.FEEDBACK, [CaseAct.URGE], [[CaseAct.TAKE_UP, why]]);
  const said = (who: Who): string | undefined => barredAct(fedBack(CaseBarrier.SEPARATION), who, '')?.message;
  expect(said(DORA)).toBe('accountRequested');
  expect(said({ name: 'hugo', unit: '指挥中心' })).toBe('accountHandled');
  expect(said({ name: 'sven', unit: '' })).toBe('accountVerified');
  expect(said({ name: 'carl', unit: '消防站' })).toBe('unitHandled');
  expect(said({ name: 'eva', unit: '' })).toBe('separation');
  expect(said({ name: 'local', unit: '', session: true })).toBe('separation');
  expect(said({ name: 'local', unit: '', session: false })).toBe('nobodyElse');
  expect(barredAct(fedBack(CaseBarrier.RIGHT), DORA, '')).toMatchObject({ act: { act: CaseAct.TAKE_UP, key: 'w' }, message: 'right' });
  const claimed = told(CaseState.NEW, [], [[CaseAct.CONFIRM, CaseBarrier.CLAIMED]]);
  expect(barredAct(claimed, DORA, 'ana')).toMatchObject({ message: 'claimed', values: { who: 'ana' } });
  const asked = told(CaseState.DISPATCHED, [CaseAct.DISPATCH], [[CaseAct.ACCEPT, CaseBarrier.UNIT]], ['dispatch', 'giveLink']);
  expect(barredAct(asked, DORA, '')).toMatchObject({ act: { act: CaseAct.ACCEPT }, message: 'unit', values: { unit: '消防站' } });
  for (const name of ['accountRequested', 'accountHandled', 'accountVerified', 'unitRequested', 'unitHandled', 'unitVerified', 'separation', 'nobodyElse', 'right', 'claimed', 'unit']) {
    expect(zhCase.barred).toHaveProperty(name);
  }
});

test('whoever may lead it on, and whoever sees what is over, is told of nobody else', () => {
  const barred: [CaseAct, CaseBarrier][] = [[CaseAct.ACCEPT, CaseBarrier.UNIT]];
  expect(barredAct(told(CaseState.DISPATCHED, [CaseAct.GIVE_LINK], barred, ['dispatch']), DORA, '')).toBeUndefined();
  expect(barredAct(told(CaseState.VERIFYING, [CaseAct.PASS]), DORA, '')).toBeUndefined();
  expect(barredAct(told(CaseState.CLOSED, [CaseAct.REOPEN]), DORA, '')).toBeUndefined();
});
