import { create } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import { DrillMarkSchema, DrillStep, type DrillMark } from '../gen/xueliang/v1/drill_pb';
import { stepsOf, tookInAll } from './steps';

const mark = (step: DrillStep, atS: number): DrillMark => create(DrillMarkSchema, { step, atUnixUs: BigInt(atS) * 1_000_000n });

test('a drill says what it waits for, and how long each step took from its beginning', () => {
  const steps = stepsOf([mark(DrillStep.RAISED, 100), mark(DrillStep.RECORDED, 101), mark(DrillStep.SHOWN, 0), mark(DrillStep.JUDGED, 130)]);
  expect(steps.map((one) => [one.tookMs, one.next])).toEqual([[0, false], [1000, false], [0, true], [30_000, false]]);
  expect(tookInAll(steps)).toBeUndefined();
});

test('a drill is complete when every step is done', () => {
  const steps = stepsOf([mark(DrillStep.RAISED, 100), mark(DrillStep.RECORDED, 101), mark(DrillStep.VERIFIED, 400)]);
  expect(tookInAll(steps)).toBe(300_000);
  expect(tookInAll([])).toBeUndefined();
});
