import { create } from '@bufbuild/protobuf';
import { beforeEach, expect, test } from 'vitest';
import { GetPictureResponseSchema, PictureRefusal, type GetPictureResponse } from '../gen/xueliang/v1/evidence_pb';
import { Taking } from './picture';

let asked: number;
let answers: (GetPictureResponse | Error)[];
let dropped: string[];
let taking: Taking;

const refused = (refusal: PictureRefusal, message: string): GetPictureResponse => create(GetPictureResponseSchema, { refusal, message });
const picture = (n: number): GetPictureResponse => create(GetPictureResponseSchema, { jpeg: new Uint8Array([n]), arrivedUnixUs: BigInt(n) * 1_000_000n });

beforeEach(() => {
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

test('each picture was asked for, one at a time, and lets the one before go', async () => {
  answers = [picture(1), picture(2)];
  await Promise.all([taking.take(), taking.take()]);
  expect([asked, taking.shot.value]).toEqual([1, { url: 'url-1', arrivedMs: 1000 }]);
  await taking.take();
  expect([asked, taking.shot.value?.url, dropped]).toEqual([2, 'url-2', ['url-1']]);
});

test('a refusal is told, and the picture that is there stays', async () => {
  answers = [picture(1), refused(PictureRefusal.BUSY, 'later'), new Error('away'), picture(2)];
  await taking.take();
  await taking.take();
  expect([taking.refusal.value, taking.said.value, taking.shot.value?.url]).toEqual([PictureRefusal.BUSY, 'later', 'url-1']);
  await taking.take();
  expect([taking.refusal.value, taking.said.value]).toEqual([PictureRefusal.UNSPECIFIED, 'Error: away']);
  await taking.take();
  expect([taking.refusal.value, taking.said.value, taking.shot.value?.url]).toEqual([PictureRefusal.UNSPECIFIED, '', 'url-2']);
});

test('with the page the picture goes', async () => {
  answers = [picture(1), picture(2)];
  await taking.take();
  const late = taking.take();
  taking.stop();
  await late;
  await taking.take();
  expect([asked, taking.shot.value, dropped]).toEqual([2, undefined, ['url-1']]);
});
