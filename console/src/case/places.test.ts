import { create } from '@bufbuild/protobuf';
import { expect, test, vi } from 'vitest';
import { CaseSchema } from '../gen/xueliang/v1/case_pb';
import { session } from '../session/here';
import { learnPlaces, placeOf } from './places';

/** What was asked, each with the way to answer it. */
const asked = vi.hoisted((): { ids: string[]; answer: () => void }[] => []);
vi.mock('../session/here', async () => ({ session: { seat: (await import('vue')).ref(1) } }));
vi.mock('../bus/transport', () => ({
  client: () => ({
    listAlerts: ({ alertIds }: { alertIds: string[] }) =>
      new Promise((resolve) => {
        const records = alertIds.map((alertId) => ({ alert: { alertId, place: { cameraName: `camera of ${alertId}`, divisionName: '', address: '' } } }));
        asked.push({ ids: alertIds, answer: () => { resolve({ records }); } });
      }),
  }),
}));

const one = create(CaseSchema, { subject: { alertId: 'a', cameraId: 'c-1' } });

test('what a camera is called is known to the session that asked, and to no other', async () => {
  const learned = learnPlaces([one]);
  await learnPlaces([one]);
  expect(asked.map(({ ids }) => ids), 'asked for once').toEqual([['a']]);
  asked[0]?.answer();
  await learned;
  expect(placeOf(one).camera).toBe('camera of a');
  session.seat.value += 1;
  expect(placeOf(one).camera).toBe('c-1');

  const late = learnPlaces([one]);
  session.seat.value += 1;
  asked[1]?.answer();
  await late;
  expect(placeOf(one).camera, 'an answer to the one before').toBe('c-1');
  const own = learnPlaces([one]);
  asked[2]?.answer();
  await own;
  expect(placeOf(one).camera).toBe('camera of a');
});

test('of cases that are no longer at hand the oldest are forgotten, of those at hand none', async () => {
  session.seat.value += 1;
  const some = (from: number, many: number) =>
    Array.from({ length: many }, (_, n) => create(CaseSchema, { subject: { alertId: `a${from + n}`, cameraId: 'c-1' } }));
  const learn = async (cases: ReturnType<typeof some>): Promise<void> => {
    const learned = learnPlaces(cases);
    asked.at(-1)?.answer();
    await learned;
  };
  const known = (all: ReturnType<typeof some>): number => all.filter((one) => placeOf(one).camera !== 'c-1').length;
  const all = some(0, 1400);
  for (let n = 200; n <= 1400; n += 200) await learn(all.slice(0, n));
  expect(known(all), 'all are at hand').toBe(1400);
  await learn(some(2000, 200));
  expect(known(all)).toBe(1000);
  expect(known(all.slice(0, 400)), 'the oldest are gone').toBe(0);
});
