import { create } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import { CaseSchema, CaseState, ListCasesResponseSchema, type Case, type ListCasesRequest } from '../gen/xueliang/v1/case_pb';
import { ALL, requestOf } from './query';
import { PAGE, Search } from './search';

const question = (number = '') => (pageSize: number, pageToken: string) => requestOf({ ...ALL, number }, 'Asia/Shanghai', pageSize, pageToken);

/** A service with so many cases, which tells what it was asked. */
class Store {
  readonly cases: Case[];
  readonly asked: ListCasesRequest[] = [];
  fails = '';

  constructor(count: number) {
    this.cases = Array.from({ length: count }, (_, n) => create(CaseSchema, { number: `n${n}`, state: CaseState.NEW }));
  }
  readonly ask = (request: ListCasesRequest) => {
    this.asked.push(request);
    if (this.fails !== '') return Promise.reject(new Error(this.fails));
    const begin = Number(request.pageToken || 0);
    const end = begin + request.pageSize;
    const found = this.cases.filter((one) => one.number.startsWith(request.number));
    return Promise.resolve(create(ListCasesResponseSchema, {
      cases: found.slice(begin, end),
      nextPageToken: end < found.length ? String(end) : '',
      total: request.withTotal ? found.length : 0,
    }));
  };
}

const search = (store: Store): Search => new Search(store.ask, (error) => (error as Error).message);
const numbers = (of: Search): string[] => of.cases.value.map((one) => one.number);

test('what is scrolled to is asked for, page by page, and each case stands there once', async () => {
  const store = new Store(2 * PAGE + 50);
  const found = search(store);
  await found.choose(question());
  expect([numbers(found).length, found.total.value, found.complete.value]).toEqual([PAGE, 450, false]);
  // A new one has come meanwhile, and what follows has moved on.
  store.cases.unshift(create(CaseSchema, { number: 'new' }));
  await found.more();
  await found.more();
  await found.more();
  expect(store.asked.length, 'after the last page nothing is asked for').toBe(3);
  expect(new Set(numbers(found)).size).toBe(numbers(found).length);
  expect([numbers(found).length, found.total.value, found.complete.value], 'counted with the first page').toEqual([450, 450, true]);
});

test('what fails is told, and what was found for another question is gone; a later answer to another question is let go', async () => {
  const store = new Store(3);
  const found = search(store);
  await found.choose(question());
  store.fails = 'away';
  await found.choose(question('n1'));
  expect([found.failure.value, numbers(found), found.total.value, found.loading.value]).toEqual(['away', [], -1, false]);
  store.fails = '';
  const late = found.choose(question());
  await found.choose(question('n2'));
  await late;
  expect([numbers(found), found.total.value, found.failure.value, found.loading.value]).toEqual([['n2'], 1, '', false]);
});

test('a page that failed can be asked for again', async () => {
  const store = new Store(PAGE + 1);
  const found = search(store);
  await found.choose(question());
  store.fails = 'away';
  await found.more();
  expect([found.failure.value, found.loading.value]).toEqual(['away', false]);
  store.fails = '';
  await found.again();
  expect([found.failure.value, numbers(found).length]).toEqual(['', PAGE + 1]);
  store.fails = 'away';
  await found.choose(question('n1'));
  store.fails = '';
  await found.again();
  expect([found.failure.value, numbers(found)[0]], 'the first page of another question as well').toEqual(['', 'n1']);
});

test('a case that was acted on stands there as it is now, and what is not searched for is gone', async () => {
  const found = search(new Store(3));
  await found.choose(question());
  found.put(create(CaseSchema, { number: 'n1', state: CaseState.CLOSED }));
  expect(found.cases.value.map((one) => one.state)).toEqual([CaseState.NEW, CaseState.CLOSED, CaseState.NEW]);
  found.clear();
  await found.more();
  expect([numbers(found), found.total.value]).toEqual([[], -1]);
});
