import { create } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import { Level } from '../gen/xueliang/v1/alert_pb';
import type { Row } from '../bus/messages';
import { CameraStatusSchema, Signal, type CameraStatus } from '../gen/xueliang/v1/camera_pb';
import { alertSpots, CLOSEST, placeOf, Points } from './points';

const camera = (id: string, longitude: number, latitude: number, of: { blind?: boolean; criticalLost?: number[] } = {}): CameraStatus =>
  create(CameraStatusSchema, { cameraId: id, signal: Signal.STREAMING, position: { longitude, latitude }, ...of });

test('cameras that are close are one group that says how many of them are in trouble, and fall apart from nearby', () => {
  const town = Array.from({ length: 1000 }, (_, n) => camera(`c${n}`, 121.2 + (n % 40) / 400, 30.1 + Math.floor(n / 40) / 400));
  town.push(camera('blind', 121.2001, 30.1001, { blind: true }), camera('lost', 121.2002, 30.1002, { criticalLost: [2101] }));
  town.push(create(CameraStatusSchema, { cameraId: 'nowhere' }));
  const points = new Points(town);
  const far = points.spots(-180, -85, 180, 85, 8);
  expect(far.length).toBeLessThan(20);
  const sum = (of: 'count' | 'bad' | 'warn'): number => far.reduce((sum, one) => sum + (one.type === 'group' ? one[of] : 0), 0);
  expect([sum('count'), sum('bad'), sum('warn')]).toEqual([1002, 1, 1]);
  const near = points.spots(-180, -85, 180, 85, CLOSEST);
  expect(near.every((one) => one.type === 'camera')).toBe(true);
  expect(near.length).toBe(1002);
  const group = far.find((one) => one.type === 'group');
  expect(group?.type === 'group' && points.opens(group.key)).toBeGreaterThan(8);
  expect(points.bounds?.map((one) => Math.round(one))).toEqual([121, 30, 121, 30]);
  expect(new Points([]).bounds).toBeUndefined();
});

test('what is no place on a map is none', () => {
  expect(placeOf({ longitude: 121.2, latitude: 30.1 })).toEqual([121.2, 30.1]);
  for (const one of [undefined, { longitude: 0, latitude: 0 }, { longitude: 181, latitude: 1 }, { longitude: 1, latitude: Number.NaN }]) {
    expect(placeOf(one)).toBeUndefined();
  }
});

test('alerts of one place are one spot, the worst first; those without a place are told beside the map', () => {
  const row = (id: string, level: Level, of: Partial<Row>): Row => ({ id, level, startedMs: 1, cameraId: '', ...of }) as Row;
  const rows = [
    row('minor', Level.LEVEL_4, { cameraId: 'a' }),
    row('severe', Level.LEVEL_2, { cameraId: 'a' }),
    row('own', Level.LEVEL_3, { cameraId: 'a', position: [1, 2] }),
    row('none', Level.LEVEL_1, { cameraId: 'z' }),
  ];
  const { spots, elsewhere } = alertSpots(rows, (id) => (id === 'a' ? [5, 6] : undefined));
  expect(spots.map((spot) => [spot.place, spot.rows.map((one) => one.id)])).toEqual([
    [[5, 6], ['severe', 'minor']],
    [[1, 2], ['own']],
  ]);
  expect(elsewhere.map((one) => one.id)).toEqual(['none']);
});
