import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { KeptPlaces, KEEP_EVERY_MS, MOST_ACCOUNTS, VERSION, WITHIN_MS, type Entry, type Shelf } from './kept-places';

/** A shelf in memory. */
class Memory implements Shelf {
  readonly held = new Map<string, unknown>();
  puts = 0;
  broken = false;
  all(): Promise<unknown[]> {
    return this.broken ? Promise.reject(new Error('broken')) : Promise.resolve([...this.held.values()]);
  }
  put(entry: Entry): Promise<void> {
    if (this.broken) return Promise.reject(new Error('broken'));
    this.puts += 1;
    this.held.set(entry.account, entry);
    return Promise.resolve();
  }
  remove(account: string): Promise<void> {
    this.held.delete(account);
    return Promise.resolve();
  }
}

let shelf: Memory;
let places: KeptPlaces;

beforeEach(() => {
  vi.useFakeTimers();
  shelf = new Memory();
  places = new KeptPlaces(shelf);
});
afterEach(() => {
  vi.useRealTimers();
});

const place = (number: number): Uint8Array => Uint8Array.of(number);
const later = (): Promise<unknown> => vi.advanceTimersByTimeAsync(KEEP_EVERY_MS + 1);
const kept = async (account = 'ana', scope = '33'): Promise<number[]> => [...await places.of(account, scope)];

test('the latest place is kept, at most once a second, and found again by its account and part of the town alone', async () => {
  for (let n = 1; n <= 50; n++) places.keep('ana', '33', place(n));
  await later();
  expect([shelf.puts, await kept()]).toEqual([1, [50]]);
  expect(await kept('bo')).toEqual([]);
  expect(await kept('ana', '3302')).toEqual([]);
  expect(await new KeptPlaces(shelf).of('ana', '33')).toEqual(place(50));
});

test('who signs out leaves nothing, and nothing comes after it', async () => {
  places.keep('ana', '33', place(1));
  await later();
  places.keep('ana', '33', place(2));
  places.forget('ana');
  await later();
  expect([shelf.held.size, await kept()]).toEqual([0, []]);
});

test('where there is no place to go on at, none is kept', async () => {
  places.keep('ana', '33', place(1));
  await later();
  places.keep('ana', '33', new Uint8Array());
  await later();
  expect(await kept()).toEqual([]);
  places.keep('ana', '33', new Uint8Array(5000));
  await later();
  expect(shelf.held.size).toBe(0);
});

test('as many accounts are kept as were here last', async () => {
  for (let n = 0; n < MOST_ACCOUNTS + 3; n++) {
    places.keep(`a${n}`, '', place(n));
    await later();
  }
  expect([...shelf.held.keys()]).toEqual(Array.from({ length: MOST_ACCOUNTS }, (_, n) => `a${n + 3}`));
});

test('what another version wrote, or nobody, is no place', async () => {
  const good = { account: 'ana', version: VERSION, scope: '33', cursor: place(1), keptMs: 1 };
  for (const wrong of [{ version: VERSION + 1 }, { cursor: 'x' }, { cursor: new Uint8Array() }, { scope: 3 }]) {
    shelf.held.set('ana', { ...good, ...wrong });
    expect(await kept(), JSON.stringify(wrong)).toEqual([]);
  }
  shelf.held.set('ana', good);
  expect(await kept()).toEqual([1]);
});

test('a database that fails or does not answer holds nobody up', async () => {
  shelf.broken = true;
  places.keep('ana', '33', place(1));
  await later();
  expect(await kept()).toEqual([]);
  shelf.all = () => new Promise(() => undefined);
  const asked = kept();
  await vi.advanceTimersByTimeAsync(WITHIN_MS + 1);
  expect(await asked).toEqual([]);
});
