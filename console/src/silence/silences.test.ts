import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import { AlertSchema, Kind, Level, type Alert } from '../gen/xueliang/v1/alert_pb';
import { SilenceSchema, SilenceScopeSchema, SuppressionSchema, type Silence } from '../gen/xueliang/v1/suppression_pb';
import { covers, heldBy, inOrder, isInForce } from './silences';

const NOW = Date.parse('2026-11-30T08:00:00Z');
const HOUR = 3_600_000;
type Scope = MessageInitShape<typeof SilenceScopeSchema>;
const us = (ms: number): bigint => BigInt(ms) * 1000n;

const silence = (id: number, scope: Scope = {}, of: { beginMs?: number; endMs?: number; expired?: true } = {}): Silence =>
  create(SilenceSchema, {
    silenceId: BigInt(id), scope, beginUnixUs: us(of.beginMs ?? NOW - HOUR), endUnixUs: us(of.endMs ?? NOW + HOUR), expiredUnixUs: of.expired ? us(NOW - 1) : 0n,
  });
const alert = (level: Level): Alert =>
  create(AlertSchema, { kind: Kind.BIN_OVERFLOW, level, place: { cameraId: 'plaza-2', divisionPath: ['33', '3301'] } });

test('a silence is over an alert where all of its scope is and while it holds', () => {
  const over = (scope: Scope, level = Level.LEVEL_4, of = {}): boolean => covers(silence(1, scope, of), alert(level), NOW);
  const same = { kinds: [Kind.BIN_OVERFLOW], cameraIds: ['plaza-2'] };
  expect(over(same)).toBe(true);
  expect(over(same, Level.LEVEL_2), 'without levels 3 and 4 are meant').toBe(false);
  expect(over({ ...same, levels: [Level.LEVEL_2] }, Level.LEVEL_2)).toBe(true);
  expect(over({ ...same, levels: [Level.LEVEL_3] })).toBe(false);
  expect(over({ kinds: [Kind.FIRE_FLAME] })).toBe(false);
  expect(over({ cameraIds: ['plaza-1'] })).toBe(false);
  expect(over({ divisions: ['33'] })).toBe(true);
  expect(over({ divisions: ['34'] })).toBe(false);
  expect(over(same, Level.LEVEL_4, { beginMs: NOW + 1 })).toBe(false);
  expect(over(same, Level.LEVEL_4, { endMs: NOW })).toBe(false);
  expect(over(same, Level.LEVEL_4, { expired: true })).toBe(false);
});

test('those that hold stand before those to come, and none that has ended stands there', () => {
  const all = [silence(1, {}, { beginMs: NOW + HOUR, endMs: NOW + 2 * HOUR }), silence(2, {}, { endMs: NOW + 3 * HOUR }), silence(3), silence(4, {}, { expired: true }), silence(5, {}, { endMs: NOW - 1 })];
  expect(inOrder(all, NOW).map((one) => Number(one.silenceId))).toEqual([3, 2, 1]);
  expect(all.filter((one) => isInForce(one, NOW)).length).toBe(2);
});

test('an alert that a silence holds back is counted once', () => {
  const held = (alertId: string, id: number) => create(SuppressionSchema, { alertId, cause: { case: 'silence', value: silence(id) } });
  const other = create(SuppressionSchema, { alertId: 'd', cause: { case: 'flood', value: {} } });
  expect([...heldBy([held('a', 1), held('a', 1), held('b', 1), held('c', 2), other])]).toEqual([[1n, 2], [2n, 1]]);
});
