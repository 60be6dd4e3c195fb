import { expect, test } from 'vitest';
import { Kind } from '../gen/xueliang/v1/alert_pb';
import { CameraOrder, Granted, Signal } from '../gen/xueliang/v1/camera_pb';
import { ALL, choiceOf, queryOf, requestOf, type Choice } from './query';

test('an address brings back what was chosen', () => {
  const choice: Choice = {
    text: '东码头', division: '330282', signal: Signal.UNSPECIFIED, kind: Kind.FIRE_FLAME, granted: Granted.NOT_COVERED, troubled: true,
  };
  expect(choiceOf(queryOf(choice))).toEqual(choice);
  expect(queryOf(ALL)).toEqual({});
  expect(choiceOf({})).toEqual(ALL);
});

test('what an address says wrongly is not asked for', () => {
  const wrong = { signal: '99', kind: 'x', granted: '0', troubled: 'yes', text: ['a', 'b'], division: null };
  expect(choiceOf(wrong)).toEqual(ALL);
});

test('the worst come first, and a text is as long as the service takes it', () => {
  const request = requestOf({ ...ALL, text: '水'.repeat(50) }, 200);
  expect(request.order).toBe(CameraOrder.TROUBLE);
  expect(new TextEncoder().encode(request.text).length).toBe(99);
  expect([request.signals, request.kinds, request.divisions]).toEqual([[], [], []]);
  expect(requestOf({ ...ALL, signal: Signal.UNSPECIFIED }, 1).signals).toEqual([0]);
});
