import { create } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import { AlertSchema, ThresholdKind } from '../gen/xueliang/v1/alert_pb';
import { sureOf } from './sure';

test('how sure a model was stands beside the least that is asked for, where there is one, and nowhere where no score counts', () => {
  const thresholds = [{ kind: ThresholdKind.DWELL_S, value: 3 }, { kind: ThresholdKind.SCORE, value: 0.25 }];
  expect(sureOf(create(AlertSchema, { confidence: 0.5, explanation: { thresholds } }))).toEqual({ found: 0.5, least: 0.25 });
  expect(sureOf(create(AlertSchema, { confidence: 0.5 }))).toEqual({ found: 0.5, least: undefined });
  expect(sureOf(create(AlertSchema, { explanation: { thresholds } }))).toBeUndefined();
});
