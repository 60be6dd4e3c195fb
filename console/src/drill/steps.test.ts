import { create } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import { CameraStatusSchema } from '../gen/xueliang/v1/camera_pb';
import { DrillMarkSchema, DrillStep, type DrillMark } from '../gen/xueliang/v1/drill_pb';
import { offered, phaseOf, stepsOf, tookInAll } from './steps';

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

test('a drill that begins at its camera counts from when that was asked for, in the order in which the service tells its steps', () => {
  const marks = [mark(DrillStep.ASKED, 100), mark(DrillStep.PICTURED, 102), mark(DrillStep.LOOKED_AT, 106), mark(DrillStep.RAISED, 106), mark(DrillStep.RECORDED, 0)];
  const steps = stepsOf(marks);
  expect(steps.map((one) => [one.step, one.tookMs, one.next])).toEqual([
    [DrillStep.ASKED, 0, false], [DrillStep.PICTURED, 2000, false], [DrillStep.LOOKED_AT, 6000, false],
    [DrillStep.RAISED, 6000, false], [DrillStep.RECORDED, 0, true],
  ]);
});

test('an alert is there, waited for, or did not come', () => {
  expect(phaseOf({ alertId: '', cameraId: '', missed: false })).toBe('none');
  expect(phaseOf({ alertId: '', cameraId: 'play', missed: false })).toBe('waiting');
  expect(phaseOf({ alertId: '', cameraId: 'play', missed: true })).toBe('missed');
  expect(phaseOf({ alertId: 'a', cameraId: 'play', missed: false })).toBe('raised');
});

test('drill cameras are offered first, and no camera twice', () => {
  const camera = (cameraId: string, drill = false) => create(CameraStatusSchema, { cameraId, drill });
  const { whole, rest } = offered([camera('play', true)], [camera('gate'), camera('play', true), camera('pier')]);
  expect([whole, rest].map((all) => all.map((one) => one.cameraId))).toEqual([['play'], ['gate', 'pier']]);
});
