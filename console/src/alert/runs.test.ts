import { create } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import { AlertState, EvidenceKind, Level, RecordSchema, type Record as AlertRecord } from '../gen/xueliang/v1/alert_pb';
import { runs } from './runs';

let revision = 0n;
function at(state: AlertState, level: Level, evidence: EvidenceKind[] = []): AlertRecord {
  revision += 1n;
  return create(RecordSchema, { alert: { revision, lastSeenUnixUs: revision * 1_000_000n, state, level, evidence: evidence.map((kind) => ({ kind })) } });
}

test('what differs only in when it was last seen is one line; another level, a picture and the end begin their own', () => {
  const history = [
    at(AlertState.FIRING, Level.LEVEL_3), at(AlertState.FIRING, Level.LEVEL_3), at(AlertState.FIRING, Level.LEVEL_3),
    at(AlertState.FIRING, Level.LEVEL_3, [EvidenceKind.STILL]), at(AlertState.FIRING, Level.LEVEL_2, [EvidenceKind.STILL]), at(AlertState.FIRING, Level.LEVEL_2, [EvidenceKind.STILL]),
    at(AlertState.RESOLVED, Level.LEVEL_2, [EvidenceKind.STILL]),
  ];
  const told = runs(history);
  expect(told.map((one) => one.all.length)).toEqual([3, 1, 2, 1]);
  expect(told.flatMap((one) => one.all)).toEqual(history);
  expect(told.every((one) => one.first === one.all[0])).toBe(true);
  expect(runs([])).toEqual([]);
});
