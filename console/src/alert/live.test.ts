import { create } from '@bufbuild/protobuf';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { GetPictureResponseSchema, PictureRefusal, type GetPictureResponse } from '../gen/xueliang/v1/evidence_pb';
import { Looking, type View } from './live';

const NEXT_MS = 1500;

let asked: string[];
let answers: (GetPictureResponse | Error)[];
let dropped: string[];
let seen: View | undefined;
let looking: Looking | undefined;

const pass = (ms: number): Promise<unknown> => vi.advanceTimersByTimeAsync(ms);
const answer = (of: Partial<GetPictureResponse>): GetPictureResponse =>
  Object.assign(create(GetPictureResponseSchema, { nextUs: BigInt(NEXT_MS * 1000), leftUs: 300_000_000n, opening: 'one' }), of);
const picture = (arrivedS: number): GetPictureResponse =>
  answer({ jpeg: new Uint8Array([arrivedS]), arrivedUnixUs: BigInt(arrivedS * 1_000_000), ageUs: 400_000n });

beforeEach(() => {
  vi.useFakeTimers();
  [asked, answers, dropped, seen] = [[], [], [], undefined];
});
afterEach(() => {
  looking?.stop();
  vi.useRealTimers();
});

async function look(...all: (GetPictureResponse | Error)[]): Promise<void> {
  answers = all;
  looking = new Looking(
    (opening) => {
      asked.push(opening);
      const next = answers.shift();
      if (next === undefined) return new Promise(() => undefined);
      return next instanceof Error ? Promise.reject(next) : Promise.resolve(next);
    },
    { make: (jpeg) => `url-${jpeg[0]}`, drop: (url) => dropped.push(url) },
    (error) => String(error),
    (view) => {
      seen = view;
    },
    () => Date.now(),
  );
  await pass(0);
}

test('a look is opened once, goes on with what was opened, and lets each picture go', async () => {
  await look(picture(1), picture(2), picture(3));
  expect(seen?.picture).toMatchObject({ url: 'url-1', arrivedMs: 1000, ageMs: 400 });
  await pass(NEXT_MS);
  await pass(NEXT_MS);
  expect(asked).toEqual(['', 'one', 'one']);
  expect([seen?.picture?.url, dropped]).toEqual(['url-3', ['url-1', 'url-2']]);
  looking?.stop();
  await pass(60_000);
  expect([asked.length, dropped.at(-1)]).toEqual([3, 'url-3']);
});

test('what is refused at the beginning is not asked for again by itself', async () => {
  await look(answer({ opening: '', refusal: PictureRefusal.NOT_REDACTED, message: 'no model' }));
  expect(seen).toMatchObject({ refusal: PictureRefusal.NOT_REDACTED, said: 'no model', ended: true });
  await pass(60_000);
  expect(asked).toEqual(['']);
});

test('what is refused for the moment keeps the last picture, and is asked for again', async () => {
  await look(picture(1), answer({ refusal: PictureRefusal.BUSY }), picture(2));
  await pass(NEXT_MS);
  expect(seen).toMatchObject({ refusal: PictureRefusal.BUSY, ended: false, picture: { url: 'url-1' } });
  await pass(NEXT_MS);
  expect(seen).toMatchObject({ refusal: PictureRefusal.UNSPECIFIED, picture: { url: 'url-2' } });
});

test('a service that is away for a moment is asked again, and for long it is not', async () => {
  const away = (): Error => new Error('away');
  await look(picture(1), away(), picture(2), ...Array.from({ length: 20 }, away));
  await pass(NEXT_MS);
  expect(seen).toMatchObject({ said: 'Error: away', ended: false });
  await pass(2000);
  expect(seen?.picture?.url).toBe('url-2');
  await pass(60_000);
  expect(seen?.ended).toBe(true);
  expect(asked.length).toBeLessThan(14);
});

test('where nothing could be opened nothing is opened by itself', async () => {
  await look(new Error('away'));
  await pass(60_000);
  expect([asked.length, seen?.ended]).toEqual([1, true]);
});
