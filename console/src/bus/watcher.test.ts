// Against a service that does what a test says: the cases of the Rust crate `client`, whose meaning the watcher has.
import { create } from '@bufbuild/protobuf';
import { Code, ConnectError } from '@connectrpc/connect';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import {
  CloseReason,
  GapReason,
  Lane,
  SubscribeResponseSchema,
  type SubscribeResponse,
} from '../gen/xueliang/v1/alert_pb';
import { ACKNOWLEDGE_EVERY_MS } from './acks';
import { GIVEN_UP_AFTER_MS, REFUSED_WAIT_MS, STALE_AFTER_MS, Watcher, type Event, type Service } from './watcher';

const place = (number: number): Uint8Array => Uint8Array.of(number);

const opened = (): SubscribeResponse =>
  create(SubscribeResponseSchema, {
    item: { case: 'opened', value: { subscriptionId: 's', credit: { critical: 64, major: 64, minor: 64 } } },
  });

/** A volatile one where it has no place. */
const delivery = (alertId: string, revision: number, cursor?: number, inSnapshot = false): SubscribeResponse =>
  create(SubscribeResponseSchema, {
    item: {
      case: 'delivery',
      value: {
        record: { alert: { alertId, revision: BigInt(revision) } },
        lane: Lane.CRITICAL,
        volatile: cursor === undefined && !inSnapshot,
        inSnapshot,
        cursor: cursor === undefined ? new Uint8Array() : place(cursor),
      },
    },
  });

const bookmark = (number: number): SubscribeResponse =>
  create(SubscribeResponseSchema, { item: { case: 'bookmark', value: { cursor: place(number) } } });

const gap = (reason: GapReason): SubscribeResponse =>
  create(SubscribeResponseSchema, { item: { case: 'gap', value: { reason } } });

const closed = (reason: CloseReason, cursor: number): SubscribeResponse =>
  create(SubscribeResponseSchema, { item: { case: 'closed', value: { reason, cursor: place(cursor) } } });

/** What a stream does after its items. */
type End = 'stays open' | 'ends' | ConnectError;

/** Each stream in turn; the last again and again. */
class Scripted implements Service {
  readonly cursors: number[][] = [];
  readonly acknowledged: number[] = [];
  deaf = false;
  readonly #streams: { items: SubscribeResponse[]; end: End }[];

  constructor(...streams: { items: SubscribeResponse[]; end: End }[]) {
    this.#streams = streams;
  }

  async *subscribe(wanted: { cursor: Uint8Array }, signal: AbortSignal): AsyncIterable<SubscribeResponse> {
    const stream = this.#streams[Math.min(this.cursors.length, this.#streams.length - 1)];
    this.cursors.push([...wanted.cursor]);
    for (const item of stream?.items ?? []) {
      await Promise.resolve();
      yield item;
    }
    if (stream?.end instanceof ConnectError) throw stream.end;
    if (stream?.end === 'ends') return;
    await new Promise((_, reject) => {
      signal.addEventListener('abort', () => {
        reject(new Error('aborted'));
      });
    });
  }

  acknowledge = (acknowledgement: { cursor: Uint8Array }): Promise<unknown> => {
    this.acknowledged.push(acknowledgement.cursor[0] ?? -1);
    return this.deaf ? new Promise(() => undefined) : Promise.resolve();
  };
}

/** A console that shows everything at once. */
class Desk {
  readonly told: string[] = [];
  readonly watcher: Watcher;
  readonly #stop = new AbortController();

  constructor(service: Service, cursor: Uint8Array = new Uint8Array(), shows = true) {
    const wanted = { subscription: '', cursor };
    this.watcher = new Watcher(
      service,
      wanted,
      (event) => {
        this.told.push(word(event));
        if (shows) this.watcher.shown(event);
      },
      () => 1,
    );
    void this.watcher.run(this.#stop.signal);
  }

  leave(): void {
    this.#stop.abort();
  }
}

function word(event: Event): string {
  if (event.type !== 'item') return event.type;
  const item = event.item;
  if (item.case !== 'delivery') return item.case ?? '';
  return `${item.value.record?.alert?.revision ?? ''}${item.value.volatile ? ' volatile' : ''}`;
}

let desk: Desk;

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  desk.leave();
  vi.useRealTimers();
});

const stream = (end: End, ...items: SubscribeResponse[]): { items: SubscribeResponse[]; end: End } => ({
  items: [opened(), ...items],
  end,
});

test('gaps, volatile states and ends are told, and repetitions are not', async () => {
  const service = new Scripted(
    stream(
      'ends',
      delivery('a', 1),
      delivery('a', 1),
      delivery('a', 1, 3),
      delivery('a', 1, 4),
      delivery('a', 2, 5),
      gap(GapReason.TRIMMED),
      delivery('a', 1, 7),
      bookmark(8),
      closed(CloseReason.CRITICAL_STALLED, 9),
    ),
    stream('stays open'),
  );
  desk = new Desk(service);
  await vi.advanceTimersByTimeAsync(1000);
  expect(desk.told).toEqual([
    'opened', '1 volatile', '1', '2', 'gap', '1', 'bookmark', 'closed', 'lost', 'opened',
  ]);
  // It goes on where the stream was closed.
  expect(service.cursors).toEqual([[], [9]]);
});

test('it begins at a stored place, and what was not shown moves none', async () => {
  const service = new Scripted(stream('stays open', delivery('a', 1, 3), bookmark(4)));
  desk = new Desk(service, place(2), false);
  await vi.advanceTimersByTimeAsync(1000);
  expect(service.cursors).toEqual([[2]]);
  expect([...desk.watcher.cursor]).toEqual([2]);
  expect(service.acknowledged).toEqual([]);
});

test('from a gap on there is no place to go on at, until there is one behind it', async () => {
  const service = new Scripted(stream('stays open', delivery('a', 1, 3), gap(GapReason.FOREIGN_EPOCH)));
  desk = new Desk(service);
  await vi.advanceTimersByTimeAsync(10);
  expect([...desk.watcher.cursor]).toEqual([]);
});

test('where only the filter changed, the place stays good', async () => {
  const service = new Scripted(stream('stays open', delivery('a', 1, 3), gap(GapReason.FILTER_CHANGED)));
  desk = new Desk(service);
  await vi.advanceTimersByTimeAsync(10);
  expect([...desk.watcher.cursor]).toEqual([3]);
});

test('an acknowledgement that is never answered holds up no alert, and nothing follows it', async () => {
  const many = Array.from({ length: 200 }, (_, n) => delivery('a', n + 1, n + 1));
  const service = new Scripted(stream('stays open', ...many));
  service.deaf = true;
  desk = new Desk(service);
  await vi.advanceTimersByTimeAsync(ACKNOWLEDGE_EVERY_MS * 3);
  expect(desk.told.length).toBe(201);
  expect(service.acknowledged.length).toBe(1);
});

test('one acknowledgement says what many would', async () => {
  const few = Array.from({ length: 20 }, (_, n) => delivery('a', n + 1, n + 1));
  const service = new Scripted(stream('stays open', ...few));
  desk = new Desk(service);
  await vi.advanceTimersByTimeAsync(ACKNOWLEDGE_EVERY_MS * 3);
  expect(service.acknowledged.length).toBeLessThanOrEqual(2);
  expect(service.acknowledged.at(-1)).toBe(20);
});

test('streams that the bus renews go on unnoticed, and at once', async () => {
  const service = new Scripted(
    stream('ends', bookmark(4), closed(CloseReason.RENEW, 5)),
    stream('stays open', delivery('a', 1, 6)),
  );
  desk = new Desk(service);
  await vi.advanceTimersByTimeAsync(0);
  expect(desk.told).toEqual(['opened', 'bookmark', '1']);
  expect(service.cursors).toEqual([[], [5]]);
});

test('a bus that renews streams that were worth nothing is left alone for a while', async () => {
  const service = new Scripted(stream('ends', closed(CloseReason.RENEW, 5)));
  desk = new Desk(service);
  await vi.advanceTimersByTimeAsync(400);
  expect(desk.told).toEqual(['opened', 'closed', 'lost']);
});

test('a refusal for good is told and not stormed against', async () => {
  const service = new Scripted({ items: [], end: new ConnectError('no', Code.PermissionDenied) });
  desk = new Desk(service);
  await vi.advanceTimersByTimeAsync(REFUSED_WAIT_MS - 1);
  expect(service.cursors.length).toBe(1);
  await vi.advanceTimersByTimeAsync(REFUSED_WAIT_MS);
  expect(service.cursors.length).toBe(2);
});

test('a service that is away is asked at growing intervals', async () => {
  const service = new Scripted({ items: [], end: new ConnectError('away', Code.Unavailable) });
  desk = new Desk(service);
  await vi.advanceTimersByTimeAsync(60_000);
  // 0.5, 1, 2, 4 and 8 s, then every 10.
  expect(service.cursors.length).toBe(10);
});

test('a bus that says nothing is stale once its time is over, until a bookmark says otherwise', async () => {
  const service = new Scripted(stream('stays open'), stream('stays open', bookmark(1)));
  desk = new Desk(service);
  await vi.advanceTimersByTimeAsync(STALE_AFTER_MS + 1);
  expect(desk.told).toEqual(['opened', 'stale']);
  expect(desk.watcher.stale).toBe(true);
  // The stream that fell silent is given up, and the next one says that all is well.
  await vi.advanceTimersByTimeAsync(GIVEN_UP_AFTER_MS);
  expect(desk.told).toEqual(['opened', 'stale', 'lost', 'opened', 'bookmark']);
  expect(desk.watcher.stale).toBe(false);
});

test('a snapshot is told in full, also what was given before', async () => {
  const mark = (begin: boolean): SubscribeResponse =>
    create(SubscribeResponseSchema, {
      item: { case: 'snapshot', value: { begin, cursor: begin ? new Uint8Array() : place(9) } },
    });
  const service = new Scripted(
    stream('stays open', delivery('a', 1, 3), gap(GapReason.TRIMMED), mark(true), delivery('a', 1, undefined, true), mark(false)),
  );
  desk = new Desk(service);
  await vi.advanceTimersByTimeAsync(10);
  expect(desk.told).toEqual(['opened', '1', 'gap', 'snapshot', '1', 'snapshot']);
  expect([...desk.watcher.cursor]).toEqual([9]);
});

test('what was shown on a stream that was lost is acknowledged on the next', async () => {
  const lost = stream(new ConnectError('gone', Code.Unavailable), bookmark(3));
  const service = new Scripted(lost, stream('stays open'));
  desk = new Desk(service);
  await vi.advanceTimersByTimeAsync(2000);
  expect(service.acknowledged.at(-1)).toBe(3);
});

test('a stored place that the service cannot read is told as a gap, and the next stream begins with none', async () => {
  const service = new Scripted(
    { items: [], end: new ConnectError('cursor: version 9', Code.InvalidArgument) },
    stream('stays open', bookmark(4)),
  );
  desk = new Desk(service, place(2));
  await vi.advanceTimersByTimeAsync(1000);
  expect(desk.told).toEqual(['gap', 'lost', 'opened', 'bookmark']);
  expect(service.cursors).toEqual([[2], []]);
  expect([...desk.watcher.cursor]).toEqual([4]);
});

test('what is refused for another reason is asked for at the same place again', async () => {
  const service = new Scripted({ items: [], end: new ConnectError('no', Code.PermissionDenied) });
  desk = new Desk(service, place(2));
  await vi.advanceTimersByTimeAsync(REFUSED_WAIT_MS + 1);
  expect(service.cursors).toEqual([[2], [2]]);
});
