import { create } from '@bufbuild/protobuf';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { GetPictureResponseSchema, PictureRefusal, type GetPictureResponse } from '../gen/xueliang/v1/evidence_pb';
import { Taking } from './picture';

let asked: string[];
let answers: (GetPictureResponse | Error)[];
let dropped: string[];
let taking: Taking;

const answer = (of: Partial<GetPictureResponse>): GetPictureResponse =>
  Object.assign(create(GetPictureResponseSchema, { nextUs: 1_500_000n, opening: 'one' }), of);
const picture = (n: number, opening = 'one'): GetPictureResponse => answer({ jpeg: new Uint8Array([n]), arrivedUnixUs: BigInt(n) * 1_000_000n, opening });

beforeEach(() => {
  vi.useFakeTimers();
  [asked, answers, dropped] = [[], [], []];
  taking = new Taking(
    (opening) => {
      asked.push(opening);
      const next = answers.shift() ?? new Error('nothing more');
      return next instanceof Error ? Promise.reject(next) : Promise.resolve(next);
    },
    { make: (jpeg) => `url-${jpeg[0]}`, drop: (url) => dropped.push(url) },
    (error) => String(error),
    () => Date.now(),
  );
});
afterEach(() => {
  vi.useRealTimers();
});

test('a newer picture is of the same opening, no sooner than it may be asked for', async () => {
  answers = [picture(1), picture(2)];
  await taking.take();
  expect(taking.shot.value).toEqual({ url: 'url-1', arrivedMs: 1000 });
  const again = taking.take();
  await taking.take();
  await vi.advanceTimersByTimeAsync(1400);
  expect(asked).toEqual(['']);
  await vi.advanceTimersByTimeAsync(200);
  await again;
  expect([asked, taking.shot.value?.url, dropped]).toEqual([['', 'one'], 'url-2', ['url-1']]);
  await vi.advanceTimersByTimeAsync(600_000);
  expect(asked.length, 'nothing is asked for by itself').toBe(2);
});

test('what is closed is opened again, since somebody asks', async () => {
  answers = [picture(1), answer({ opening: '', refusal: PictureRefusal.CLOSED }), picture(2, 'two')];
  await taking.take();
  await vi.advanceTimersByTimeAsync(2000);
  await taking.take();
  expect([asked, taking.shot.value?.url]).toEqual([['', 'one', ''], 'url-2']);
});

test('a refusal is told, and the picture that is there stays', async () => {
  answers = [picture(1), answer({ refusal: PictureRefusal.BUSY, message: 'later' }), new Error('away')];
  await taking.take();
  await vi.advanceTimersByTimeAsync(2000);
  await taking.take();
  expect([taking.refusal.value, taking.said.value, taking.shot.value?.url]).toEqual([PictureRefusal.BUSY, 'later', 'url-1']);
  await vi.advanceTimersByTimeAsync(2000);
  await taking.take();
  expect([taking.refusal.value, taking.said.value]).toEqual([PictureRefusal.UNSPECIFIED, 'Error: away']);
});

test('with the page the picture goes', async () => {
  answers = [picture(1), picture(2)];
  await taking.take();
  taking.stop();
  await vi.advanceTimersByTimeAsync(2000);
  await taking.take();
  expect([taking.shot.value, dropped]).toEqual([undefined, ['url-1']]);
});
