import { expect, test, vi } from 'vitest';
import { session } from '../session/here';
import { divisions, learnDivisions, scrolled } from './here';

let answer = (): void => undefined;
vi.mock('../session/here', async () => ({ session: { seat: (await import('vue')).ref(1) } }));
vi.mock('../bus/transport', () => ({
  client: () => ({
    listDivisions: () =>
      new Promise((resolve) => {
        answer = () => { resolve({ divisions: [{ code: '33', name: '浙江', pathCodes: ['33'] }], nextPageToken: '' }); };
      }),
  }),
}));

test('divisions that one session may see are not offered to the next, also where the answer comes late', async () => {
  const learned = learnDivisions();
  answer();
  await learned;
  expect(divisions.value.map((one) => one.code)).toEqual(['33']);
  scrolled.px = 400;
  const late = learnDivisions();
  session.seat.value += 1;
  expect([divisions.value, scrolled.px]).toEqual([[], 0]);
  answer();
  await late;
  expect(divisions.value).toEqual([]);
});
