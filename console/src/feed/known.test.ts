import { create } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import { CaseSchema, CaseState, type Case } from '../gen/xueliang/v1/case_pb';
import { known } from './known';

const of = (alertId: string, state: CaseState): Case => create(CaseSchema, { state, subject: { alertId } });

test('a list knows what it was told last of what is in view, and nothing else', () => {
  const before = new Map([['a', of('a', CaseState.NEW)], ['b', of('b', CaseState.NEW)], ['c', of('c', CaseState.NEW)]]);
  // Since it asked, b has gone out of view and c has come back; a has been judged, and d has no case any more.
  const now = known(before, ['a', 'b', 'd'], [of('a', CaseState.FALSE_ALARM), of('b', CaseState.CONFIRMED)], ['a', 'c', 'd']);
  expect([...now].map(([id, one]) => [id, one.state])).toEqual([['a', CaseState.FALSE_ALARM], ['c', CaseState.NEW]]);
});
