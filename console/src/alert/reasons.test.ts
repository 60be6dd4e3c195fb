import { expect, test } from 'vitest';
import { CallReason, Purpose } from '../gen/xueliang/v1/evidence_pb';
import { isEnough, purposeOf, REASONS } from './reasons';

test('each reason that can be picked has a digit and a purpose, and those with ways of their own are not picked', () => {
  expect(REASONS.length).toBeLessThanOrEqual(9);
  const elsewhere = [CallReason.UNSPECIFIED, CallReason.PARTY_CONCERNED, CallReason.PUBLIC_RELEASE, CallReason.SHARE, CallReason.TUNE_RULES];
  const all = Object.values(CallReason).filter((one): one is CallReason => typeof one === 'number');
  expect([...REASONS, ...elsewhere].sort((a, b) => a - b)).toEqual(all);
  for (const one of elsewhere) expect(isEnough(one, '说得很清楚'), CallReason[one]).toBe(false);
  expect(REASONS.map((one) => Purpose[purposeOf(one, Purpose.JUDGE)])).toEqual([
    'JUDGE', 'HANDLE', 'VERIFY', 'DIAGNOSE', 'SUPERVISE', 'LEGAL_REQUEST', 'SUPERVISE', 'JUDGE', 'JUDGE',
  ]);
});

test('one key is enough but where the reason says too little by itself', () => {
  for (const one of REASONS) {
    const needs = one === CallReason.STATE_ORGAN || one === CallReason.OTHER;
    expect(isEnough(one, ''), CallReason[one]).toBe(!needs);
    expect(isEnough(one, ' 〔2026〕12号 '), CallReason[one]).toBe(true);
    if (needs) expect([isEnough(one, ' 12 号 '), isEnough(one, '水'.repeat(501))]).toEqual([true, false]);
  }
  expect(isEnough(CallReason.OTHER, '12号')).toBe(false);
});
