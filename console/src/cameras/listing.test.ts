import { create } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import {
  CameraStatusSchema, ListCamerasResponseSchema, Signal,
  type CameraStatus, type ListCamerasRequest,
} from '../gen/xueliang/v1/camera_pb';
import { Listing, MOST, PAGE } from './listing';
import { ALL } from './query';

/** A service with cameras in some order, which tells what it was asked. */
class Town {
  cameras: CameraStatus[];
  readonly asked: ListCamerasRequest[] = [];
  fails = '';

  constructor(count: number) {
    this.cameras = Array.from({ length: count }, (_, n) => create(CameraStatusSchema, { cameraId: `c${n}`, signal: Signal.STREAMING }));
  }
  readonly ask = (request: ListCamerasRequest): Promise<ReturnType<Town['answer']>> => {
    this.asked.push(request);
    return this.fails === '' ? Promise.resolve(this.answer(request)) : Promise.reject(new Error(this.fails));
  };
  answer(request: ListCamerasRequest) {
    const wanted = request.cameraIds.length === 0 ? this.cameras : this.cameras.filter((one) => request.cameraIds.includes(one.cameraId));
    const begin = Number(request.pageToken || 0);
    const end = begin + request.pageSize;
    return create(ListCamerasResponseSchema, {
      cameras: wanted.slice(begin, end),
      total: wanted.length,
      nextPageToken: end < wanted.length ? String(end) : '',
      reportedUnixUs: 5_000_000n,
    });
  }
}

const listing = (town: Town): Listing => new Listing(town.ask, (error) => (error as Error).message);
const ids = (list: Listing): string[] => list.rows.value.map((one) => one.cameraId);

test('what is scrolled to is asked for, page by page, and each camera stands there once', async () => {
  const town = new Town(2 * PAGE + 50);
  const list = listing(town);
  await list.choose(ALL);
  expect([ids(list).length, list.total.value, list.complete.value]).toEqual([PAGE, 450, false]);
  // One of the first page has fallen behind meanwhile.
  const [first] = town.cameras.splice(0, 1);
  if (first) town.cameras.push(first);
  await list.more();
  await list.more();
  await list.more();
  expect(town.asked.length, 'after the last page nothing is asked for').toBe(3);
  expect(new Set(ids(list)).size).toBe(ids(list).length);
  expect(list.complete.value).toBe(true);
});

test('a refresh shows what is worst now, and what stands in view of a long list', async () => {
  const town = new Town(3 * MOST);
  const list = listing(town);
  await list.choose(ALL);
  while (list.rows.value.length <= MOST) await list.more();
  const seen = town.cameras[MOST - 10];
  const worst = town.cameras.splice(2 * MOST, 1)[0];
  if (!seen || !worst) throw new Error('they are there');
  worst.signal = Signal.OFFLINE;
  town.cameras.unshift(worst);
  const changed = create(CameraStatusSchema, { cameraId: seen.cameraId, signal: Signal.STALLED });
  town.cameras = town.cameras.map((one) => (one === seen ? changed : one));
  await list.refresh([seen.cameraId]);
  expect(ids(list)[0]).toBe(worst.cameraId);
  expect(list.rows.value.find((one) => one.cameraId === seen.cameraId)?.signal).toBe(Signal.STALLED);
  expect(list.total.value, 'not that of those in view').toBe(3 * MOST);
});

test('what fails is told, and what was listed stays; a later answer to another question is let go', async () => {
  const town = new Town(3);
  const list = listing(town);
  await list.choose(ALL);
  town.fails = 'away';
  await list.refresh([]);
  expect([list.failure.value, ids(list).length]).toEqual(['away', 3]);
  town.fails = '';
  const late = list.choose(ALL);
  town.cameras = town.cameras.slice(0, 1);
  await list.choose({ ...ALL, text: 'c0' });
  await late;
  expect([ids(list), list.failure.value, list.loading.value]).toEqual([['c0'], '', false]);
});

test('with the session all of it is gone', async () => {
  const list = listing(new Town(3));
  await list.choose(ALL);
  expect(list.lists(ALL)).toBe(true);
  list.clear();
  expect([ids(list), list.total.value, list.names.value.size, list.lists(ALL), list.choice]).toEqual([[], 0, 0, false, undefined]);
  await list.refresh([]);
  expect(ids(list), 'nothing is asked for again by itself').toEqual([]);
});
