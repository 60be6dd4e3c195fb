import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { effectScope, type EffectScope } from 'vue';
import { useRounds } from './rounds';

const EVERY_MS = 5000;

let page: EventTarget & { hidden: boolean };
let scope: EffectScope;
/** What was asked, each with the way to answer it. */
let asked: (() => void)[];
let again: (afterMs?: number) => void;

const pass = (ms: number): Promise<unknown> => vi.advanceTimersByTimeAsync(ms);
async function answer(): Promise<void> {
  asked.at(-1)?.();
  await pass(0);
}

beforeEach(() => {
  vi.useFakeTimers();
  page = Object.assign(new EventTarget(), { hidden: false });
  vi.stubGlobal('document', page);
  asked = [];
  scope = effectScope();
  again = scope.run(() => useRounds(() => new Promise<void>((resolve) => asked.push(resolve)), () => EVERY_MS)) ?? again;
});
afterEach(() => {
  scope.stop();
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

test('the next question comes a while after the answer, and a slow answer is waited for', async () => {
  await pass(0);
  await pass(10 * EVERY_MS);
  expect(asked.length).toBe(1);
  await answer();
  await pass(EVERY_MS - 1);
  expect(asked.length).toBe(1);
  await pass(1);
  expect(asked.length).toBe(2);
});

test('what is left asks for nothing any more, also where an answer was awaited', async () => {
  await pass(0);
  scope.stop();
  await answer();
  again();
  page.dispatchEvent(new Event('visibilitychange'));
  await pass(10 * EVERY_MS);
  expect([asked.length, vi.getTimerCount()]).toEqual([1, 0]);
});

test('something that was done is asked for at once, and while an answer is awaited right after it', async () => {
  await pass(0);
  again();
  await pass(EVERY_MS);
  expect(asked.length).toBe(1);
  await answer();
  expect(asked.length).toBe(2);
  await answer();
  await pass(1);
  again();
  await pass(0);
  expect(asked.length).toBe(3);
});

test('a hidden page asks for nothing, and at once when it is looked at', async () => {
  page.hidden = true;
  await pass(10 * EVERY_MS);
  expect(asked.length).toBe(0);
  page.hidden = false;
  page.dispatchEvent(new Event('visibilitychange'));
  await pass(0);
  expect(asked.length).toBe(1);
});
