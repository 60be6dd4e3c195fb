import { create } from '@bufbuild/protobuf';
import { beforeAll, expect, test, vi } from 'vitest';
import { CaseSchema, CaseState, ListCasesResponseSchema } from '../gen/xueliang/v1/case_pb';
import { ALL, requestOf } from './query';
import type { Where } from '../case/places';
import type { Ask, Question } from './search';
import type * as Csv from './csv';

// The page's language is what the browser remembers.
let csv: typeof Csv;
beforeAll(async () => {
  vi.stubGlobal('localStorage', { getItem: () => null });
  csv = await import('./csv');
});

const question: Question = (pageSize, pageToken) => requestOf(ALL, 'Asia/Shanghai', pageSize, pageToken);

/** A service with so many cases. */
const store = (count: number): Ask => (request) => {
  const begin = Number(request.pageToken || 0);
  const end = Math.min(begin + request.pageSize, count);
  const cases = Array.from({ length: end - begin }, (_, n) =>
    create(CaseSchema, { number: `n${begin + n}`, subject: { alertId: `a${begin + n}`, cameraId: 'pond' }, state: CaseState.NEW }));
  return Promise.resolve(create(ListCasesResponseSchema, { cases, nextPageToken: end < count ? String(end) : '' }));
};
const nowhere: Csv.Places = () => Promise.resolve(new Map<string, Where>());

test('a file holds all that is searched for, up to its bound, and says whether that is all', async () => {
  const told: number[] = [];
  const few = await csv.all(store(1500), question, nowhere, new AbortController().signal, (listed) => told.push(listed));
  expect([few.cases.length, few.complete, told]).toEqual([1500, true, [1000, 1500]]);
  const whole = await csv.all(store(csv.MOST_ROWS), question, nowhere, new AbortController().signal, () => undefined);
  expect([whole.cases.length, whole.complete]).toEqual([csv.MOST_ROWS, true]);
  const many = await csv.all(store(csv.MOST_ROWS + 1), question, nowhere, new AbortController().signal, () => undefined);
  expect([many.cases.length, many.complete]).toEqual([csv.MOST_ROWS, false]);
});

test('a line names place and unit and no account, and nothing in it is calculated', async () => {
  const one = create(CaseSchema, {
    number: '33028220261130010200001', unit: '=cmd', subject: { alertId: 'a', cameraId: 'pond' },
    capacities: { handled: { accounts: ['hugo'] } }, claimedBy: { account: 'ana' },
  });
  const found = await csv.all(
    () => Promise.resolve(create(ListCasesResponseSchema, { cases: [one] })), question,
    (ids) => Promise.resolve(new Map(ids.map((id) => [id, { camera: '东码头, 北', division: '浒山', address: '' }]))),
    new AbortController().signal, () => undefined,
  );
  const [head = '', line = '', ...rest] = csv.fileOf(found, new Map()).split('\r\n');
  expect(head.startsWith('\ufeff案件编号,')).toBe(true);
  expect(line).toContain('33028220261130010200001,a,');
  expect(line.startsWith("'33028220261130010200001,"), 'a spreadsheet keeps all its digits').toBe(true);
  expect(line).toContain('"东码头, 北",pond,浒山');
  expect(line).toContain("'=cmd");
  expect(line).not.toMatch(/hugo|ana/);
  expect(rest).toEqual(['']);
});
