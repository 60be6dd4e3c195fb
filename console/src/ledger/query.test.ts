import { expect, test } from 'vitest';
import { EvidenceKind } from '../gen/xueliang/v1/alert_pb';
import { CallReason } from '../gen/xueliang/v1/evidence_pb';
import { ALL, choiceOf, faultsOf, filterOf, queryOf, type Choice } from './query';

const CHOICE: Choice = {
  fromMs: 1_796_000_000_000, toMs: 1_796_000_060_000, account: 'ana', unit: '指挥中心', camera: 'pond', alert: '0190-a',
  reason: CallReason.STATE_ORGAN, kind: EvidenceKind.CLIP, refused: true, release: '7', request: '9007199254740993',
};

test('an address brings back what was chosen', () => {
  expect(choiceOf(queryOf(CHOICE))).toEqual(CHOICE);
  expect(queryOf(ALL)).toEqual({});
  expect(choiceOf({})).toEqual(ALL);
});

test('what an address says wrongly is not asked for', () => {
  const wrong = { from: 'now', to: '-5', reason: '99', kind: '0', refused: 'yes', account: ['a', 'b'], unit: null };
  expect(choiceOf(wrong)).toEqual(ALL);
  expect(choiceOf({ unit: 'x'.repeat(500) }).unit.length).toBe(200);
});

test('a number that is none stands there and is a fault: it is not left out without a word', () => {
  const choice = choiceOf({ release: '1e9', request: '0' });
  expect(faultsOf(choice)).toEqual(['release', 'request']);
  expect(choiceOf(queryOf(choice))).toEqual(choice);
  expect(filterOf(choice)).toMatchObject({ releaseId: 0n, requestId: 0n });
  expect(faultsOf(choiceOf({ release: '7', request: '1'.repeat(19) }))).toEqual(['request']);
  expect([faultsOf(CHOICE), faultsOf(ALL)]).toEqual([[], []]);
});

test('the service is asked for all that was chosen, times in its unit and numbers whole', () => {
  expect(filterOf(CHOICE)).toMatchObject({
    fromUnixUs: 1_796_000_000_000_000n, toUnixUs: 1_796_000_060_000_000n, account: 'ana', unit: '指挥中心', cameraId: 'pond', alertId: '0190-a',
    callReason: CallReason.STATE_ORGAN, kind: EvidenceKind.CLIP, refusedOnly: true, releaseId: 7n, requestId: 9_007_199_254_740_993n,
  });
  expect(filterOf(ALL)).toMatchObject({ fromUnixUs: 0n, toUnixUs: 0n, account: '', callReason: 0, kind: 0, releaseId: 0n, requestId: 0n });
});
