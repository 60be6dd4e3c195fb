import { expect, test } from 'vitest';
import { Pages, type Page } from './pages';

interface Entry {
  id: bigint;
  word: string;
}
const entry = (id: number, word = 'read'): Entry => ({ id: BigInt(id), word });
const pages = (): Pages<Entry> => new Pages<Entry>(String, (one) => one.id);
const ids = (of: Pages<Entry>): number[] => of.rows.value.map((one) => Number(one.id));

/** A service that holds entries, newest first, and tells two at once. */
function service(held: Entry[]): (token: string) => Promise<Page<Entry>> {
  return (token) => {
    const from = token === '' ? held : held.filter((one) => one.id < BigInt(token));
    const items = from.slice(0, 2);
    return Promise.resolve({ items, next: from.length > 2 ? String(items.at(-1)?.id) : '' });
  };
}

test('a list is read page by page to its end, each once', async () => {
  const list = pages();
  await list.begin(service([5, 4, 3, 2, 1].map((id) => entry(id))));
  expect([ids(list), list.complete.value]).toEqual([[5, 4], false]);
  await list.more();
  await list.more();
  expect([ids(list), list.complete.value]).toEqual([[5, 4, 3, 2, 1], true]);
  await list.more();
  expect(ids(list)).toEqual([5, 4, 3, 2, 1]);
});

test('what is new comes in front, what was read of the older stays, and the list goes on behind its end', async () => {
  const held = [4, 3, 2, 1].map((id) => entry(id));
  const list = pages();
  await list.begin(service(held));
  await list.more();
  expect(list.complete.value).toBe(true);
  held.unshift(entry(5));
  held[1] = entry(4, 'changed');
  await list.refresh();
  expect([ids(list), list.complete.value]).toEqual([[5, 4, 3, 2, 1], true]);
  expect(list.rows.value[1]?.word).toBe('changed');
});

test('more new ones than a page tells leave no hole', async () => {
  const held = [2, 1].map((id) => entry(id));
  const list = pages();
  await list.begin(service(held));
  held.unshift(entry(7), entry(6), entry(5), entry(4), entry(3));
  await list.refresh();
  while (!list.complete.value) await list.more();
  expect(ids(list)).toEqual([7, 6, 5, 4, 3, 2, 1]);
});

test('an answer to an earlier question changes nothing, and a failure is told and can be tried again', async () => {
  const list = pages();
  let late: (page: Page<Entry>) => void = () => undefined;
  const first = list.begin(() => new Promise((resolve) => {
    late = resolve;
  }));
  let fails = true;
  const second = list.begin(() => (fails ? Promise.reject(new Error('away')) : Promise.resolve({ items: [entry(1)], next: '' })));
  late({ items: [entry(9)], next: '' });
  await Promise.all([first, second]);
  expect([ids(list), list.failure.value, list.loading.value]).toEqual([[], 'Error: away', false]);
  fails = false;
  await list.again();
  expect([ids(list), list.failure.value, list.complete.value]).toEqual([[1], '', true]);
});

test('what was done is seen at once, and an answer from before that does not undo it', async () => {
  let late: (page: Page<Entry>) => void = () => undefined;
  const answers: Promise<Page<Entry>>[] = [service([entry(1)])(''), new Promise((resolve) => {
    late = resolve;
  })];
  const list = pages();
  await list.begin(() => answers.shift() ?? Promise.reject(new Error('asked too often')));
  const refreshed = list.refresh();
  list.put(entry(1, 'changed'));
  list.put(entry(2, 'made'));
  late({ items: [entry(1)], next: '' });
  await refreshed;
  expect(list.rows.value.map((one) => one.word)).toEqual(['made', 'changed']);
});

test('what is tried again is what failed: the newest, or the page that was scrolled to', async () => {
  const held = [3, 2, 1].map((id) => entry(id));
  const tell = service(held);
  let fails = false;
  const list = pages();
  await list.begin((token) => (fails ? Promise.reject(new Error('away')) : tell(token)));
  held.unshift(entry(4));
  fails = true;
  await list.refresh();
  expect([ids(list), list.failure.value]).toEqual([[3, 2], 'Error: away']);
  fails = false;
  await list.again();
  expect([ids(list), list.failure.value]).toEqual([[4, 3, 2], '']);
  fails = true;
  await list.more();
  fails = false;
  await list.again();
  expect([ids(list), list.failure.value, list.complete.value]).toEqual([[4, 3, 2, 1], '', true]);
});

test('a refresh that failed is repeated where the whole list is there', async () => {
  const held = [entry(1)];
  let fails = false;
  const list = pages();
  await list.begin(() => (fails ? Promise.reject(new Error('away')) : service(held)('')));
  held.unshift(entry(2));
  fails = true;
  await list.refresh();
  fails = false;
  await list.again();
  expect([ids(list), list.failure.value]).toEqual([[2, 1], '']);
});

test('where there is nothing to ask for nothing is listed, and nothing asked', async () => {
  const list = pages();
  await list.begin(service([entry(1)]));
  list.clear();
  await Promise.all([list.refresh(), list.more(), list.again()]);
  expect([ids(list), list.complete.value, list.loading.value]).toEqual([[], false, false]);
});

test('as many pages as were read are read anew, and no more than are allowed', async () => {
  const held = [6, 5, 4, 3, 2, 1].map((id) => entry(id));
  const list = pages();
  let asked = 0;
  const told = service(held);
  await list.begin((token) => {
    asked += 1;
    return told(token);
  });
  await list.more();
  await list.more();
  const change = (at: number, word: string): void => {
    held[at] = entry(6 - at, word);
  };
  change(4, 'changed');
  asked = 0;
  await list.refresh(10);
  expect([asked, list.rows.value[4]?.word, list.complete.value]).toEqual([3, 'changed', true]);
  // One that is no longer listed goes.
  held.splice(3, 1);
  await list.refresh(10);
  expect(ids(list)).toEqual([6, 5, 4, 2, 1]);
  change(0, 'new');
  held[4] = entry(1, 'late');
  asked = 0;
  await list.refresh(2);
  expect([asked, list.rows.value[0]?.word, list.rows.value[4]?.word]).toEqual([2, 'new', 'read']);
});

test('of a list of which little was read little is asked for anew', async () => {
  const list = pages();
  let asked = 0;
  const told = service([6, 5, 4, 3, 2, 1].map((id) => entry(id)));
  await list.begin((token) => {
    asked += 1;
    return told(token);
  });
  await list.refresh(10);
  expect([asked, ids(list), list.complete.value]).toEqual([2, [6, 5], false]);
});
