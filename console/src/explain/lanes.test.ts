import { create } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import { ExplainedCameraSchema, ExplainedRuleSchema, Said, Vigil } from '../gen/xueliang/v1/explain_pb';
import { NotLooked, PictureTrouble, Signal } from '../gen/xueliang/v1/camera_pb';
import { pictureLane, placed, ruleLane, signalLane, ticks, vigilLane, watchLane, type Words } from './lanes';

const words: Words = { word: (name, number) => `${name} ${number}`, unknown: '?', good: 'good', looked: 'looked at' };
const us = (seconds: number): bigint => BigInt(seconds) * 1_000_000n;
const span = (from: number, to: number) => ({ fromUnixUs: us(from), toUnixUs: us(to) });

test('nothing seen, not looked and could not look are three looks and three words', () => {
  const rule = create(ExplainedRuleSchema, {
    said: [
      { ...span(0, 2), said: Said.UNSPECIFIED },
      { ...span(2, 4), said: Said.NOT_SEEN, looks: 3n },
      { ...span(4, 5), said: Said.UNWATCHED },
      { ...span(5, 7), said: Said.NOT_LOOKED, reason: NotLooked.OFFLINE },
      { ...span(7, 8), said: Said.RESTED },
      { ...span(8, 9), said: Said.SEEN, looks: 4n, seen: 4n },
    ],
  });
  const parts = ruleLane(rule, words);
  expect(parts.map((part) => part.look)).toEqual(['unknown', 'quiet', 'gap', 'blind', 'rest', 'seen']);
  expect(new Set(parts.map((part) => part.word)).size).toBe(6);
  expect(parts[3]?.word).toBe('Said 3: NotLooked 2');
  expect([parts[1]?.looks, parts[5]?.seen]).toEqual([3, 4]);
});

test('what a camera did is told lane by lane', () => {
  const camera = create(ExplainedCameraSchema, {
    watch: [{ ...span(0, 5), said: Said.SEEN, looks: 5n }, { ...span(5, 6), said: Said.NOT_LOOKED, reason: NotLooked.BUSY }],
    signal: [{ ...span(0, 5), signal: Signal.STREAMING }, { ...span(5, 6), signal: Signal.STALLED }, { ...span(6, 7) }],
    picture: [{ ...span(0, 1), known: false }, { ...span(1, 2), known: true }, { ...span(2, 3), known: true, troubles: [PictureTrouble.DARK] }],
    vigil: [{ ...span(0, 3), vigil: Vigil.RESTING }],
  });
  expect(watchLane(camera, words).map((part) => part.word)).toEqual(['looked at', 'Said 3: NotLooked 5']);
  expect(signalLane(camera, words).map((part) => part.look)).toEqual(['good', 'blind', 'unknown']);
  expect(pictureLane(camera, words).map((part) => part.word)).toEqual(['?', 'good', 'PictureTrouble 1']);
  expect(vigilLane(camera, words)[0]?.look).toBe('rest');
});

test('parts stand where their time is, and what lies outside is cut', () => {
  const part = { fromMs: 500, toMs: 2500, look: 'good' as const, word: '', looks: 0, seen: 0 };
  expect(placed(part, 0, 10_000)).toEqual({ left: 5, width: 20 });
  expect(placed(part, 1000, 2000)).toEqual({ left: 0, width: 100 });
  expect(placed(part, 5000, 9000).width).toBe(0);
});

test('an axis has round moments, and few', () => {
  expect(ticks(1000, 61_000, 4)).toEqual([15_000, 30_000, 45_000, 60_000]);
  for (const length of [1, 10, 60, 900, 3600, 21_600]) expect(ticks(0, length * 1000, 8).length).toBeLessThanOrEqual(9);
});
