import { create } from '@bufbuild/protobuf';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { GetPictureResponseSchema, PictureRefusal, type GetPictureResponse } from '../gen/xueliang/v1/evidence_pb';
import { Taking } from './picture';

let asked: number;
let answers: (GetPictureResponse | Error)[];
let dropped: string[];
let taking: Taking;

const answer = (of: Partial<GetPictureResponse>): GetPictureResponse =>
  Object.assign(create(GetPictureResponseSchema), of);
const picture = (n: number): GetPictureResponse => answer({ jpeg: new Uint8Array([n]), arrivedUnixUs: BigInt(n) * 1_000_000n });

beforeEach(() => {
  vi.useFakeTimers();
  [asked, answers, dropped] = [0, [], []];
  taking = new Taking(
    () => {
      asked += 1;
      const next = answers.shift() ?? new Error('nothing more');
      return next instanceof Error ? Promise.reject(next) : Promise.resolve(next);
    },
    { make: (jpeg) => `url-${jpeg[0]}`, drop: (url) => dropped.push(url) },
    (error) => String(error),
  );
});
afterEach(() => {
  vi.useRealTimers();
});

test('a picture is asked for by hand and each anew; who asks twice at once gets one', async () => {
  answers = [picture(1), picture(2)];
  await Promise.all([taking.take(), taking.take()]);
  expect([asked, taking.shot.value]).toEqual([1, { url: 'url-1', arrivedMs: 1000 }]);
  await taking.take();
  expect([asked, taking.shot.value?.url, dropped]).toEqual([2, 'url-2', ['url-1']]);
  await vi.advanceTimersByTimeAsync(600_000);
  expect(asked, 'nothing is asked for by itself').toBe(2);
});

test('a refusal is told, and the picture that is there stays', async () => {
  answers = [picture(1), answer({ refusal: PictureRefusal.BUSY, message: 'later' }), new Error('away')];
  await taking.take();
  await taking.take();
  expect([taking.refusal.value, taking.said.value, taking.shot.value?.url]).toEqual([PictureRefusal.BUSY, 'later', 'url-1']);
  await taking.take();
  expect([taking.refusal.value, taking.said.value]).toEqual([PictureRefusal.UNSPECIFIED, 'Error: away']);
});

test('with the page the picture goes', async () => {
  answers = [picture(1), picture(2)];
  await taking.take();
  taking.stop();
  await taking.take();
  expect([taking.shot.value, dropped]).toEqual([undefined, ['url-1']]);
});
