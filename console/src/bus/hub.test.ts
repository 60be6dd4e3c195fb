import { create } from '@bufbuild/protobuf';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import {
  AlertState,
  GapReason,
  Kind,
  Lane,
  Level,
  RecordSchema,
  SubscribeResponseSchema,
  type Record as AlertRecord,
} from '../gen/xueliang/v1/alert_pb';
import { Hub, MOST_ROWS, TELL_WITHIN_MS, type Page, type Source } from './hub';
import type { Row, Status, ToPage } from './messages';
import type { Event } from './watcher';

interface Told {
  rows: Map<string, Row>;
  status: Status | undefined;
  fresh: string[];
  upTo: number;
  yours: boolean;
}

class Desk implements Page {
  readonly told: Told = { rows: new Map(), status: undefined, fresh: [], upTo: 0, yours: false };
  post(message: ToPage): void {
    switch (message.type) {
      case 'all':
        this.told.rows = new Map(message.rows.map((row) => [row.id, row]));
        this.told.status = message.status;
        this.told.upTo = message.upTo;
        break;
      case 'changes':
        for (const row of message.rows) this.told.rows.set(row.id, row);
        for (const id of message.removed) this.told.rows.delete(id);
        this.told.fresh.push(...message.fresh);
        this.told.upTo = message.upTo;
        break;
      case 'status':
        this.told.status = message.status;
        break;
      case 'bell':
        this.told.yours = message.yours;
        break;
      case 'sight':
        break;
    }
  }
}

interface Told1 {
  revision?: number;
  level?: Level;
  ended?: boolean;
  volatile?: boolean;
  inSnapshot?: boolean;
}

const record = (alertId: string, { revision = 1, level = Level.LEVEL_3, ended = false }: Told1): AlertRecord =>
  create(RecordSchema, {
    lane: Lane.MAJOR,
    // Long before any bookmark.
    committedUnixUs: 1_000_000n,
    alert: {
      alertId, level, revision: BigInt(revision), state: ended ? AlertState.RESOLVED : AlertState.FIRING,
      startedUnixUs: BigInt(Date.now()) * 1000n,
    },
  });

const item = (value: Parameters<typeof create<typeof SubscribeResponseSchema>>[1]): Event => ({
  type: 'item',
  item: create(SubscribeResponseSchema, value).item,
});

const delivery = (id: string, how: Told1 = {}): Event =>
  item({
    item: {
      case: 'delivery',
      value: { record: record(id, how), volatile: how.volatile ?? false, inSnapshot: how.inSnapshot ?? false, ageUs: 700_000n },
    },
  });
const mark = (begin: boolean): Event => item({ item: { case: 'snapshot', value: { begin } } });
const bookmark = (cursor: number[]): Event =>
  item({ item: { case: 'bookmark', value: { cursor: Uint8Array.from(cursor), atUnixUs: BigInt(Date.now() + 5000) * 1000n } } });

let hub: Hub;
let shown: Event[];
let fetched: string[][];
let desk: Desk;
let asked = 0;
let failures = 0;

beforeEach(() => {
  vi.useFakeTimers();
  hub = new Hub();
  shown = [];
  fetched = [];
  [asked, failures] = [0, 0];
  hub.attach(source(false));
  desk = new Desk();
  hub.join(desk);
});
/** Of the service: what is lacking is asked for as often as that fails. */
function source(resumed: boolean): Source {
  return {
    resumed,
    active: () => {
      asked += 1;
      return asked > failures ? Promise.resolve([record('old', {}), record('new', {}), record('over', { ended: true })]) : Promise.reject(new Error('away'));
    },
    shown: (event) => shown.push(event),
    ended: () => Promise.resolve([record('before', { ended: true }), record('gone', {})]),
    fetch: (ids) => {
      fetched.push(ids);
      return Promise.resolve(ids.map((id) => record(id, { level: Level.LEVEL_4 })));
    },
  };
}
afterEach(() => {
  vi.useRealTimers();
});

const later = (): Promise<unknown> => vi.advanceTimersByTimeAsync(TELL_WITHIN_MS + 1);

test('nothing is acknowledged before a page has painted it, and each once', async () => {
  hub.event(delivery('a'));
  hub.event(delivery('b'));
  await later();
  expect([...desk.told.rows.keys()]).toEqual(['a', 'b']);
  expect(shown).toEqual([]);
  hub.heard(desk, { type: 'painted', upTo: 1 });
  expect(shown.length).toBe(1);
  hub.heard(desk, { type: 'painted', upTo: desk.told.upTo });
  hub.heard(desk, { type: 'painted', upTo: desk.told.upTo });
  expect(shown.length).toBe(2);
});

test('what comes new rings once, what comes again or is told in a snapshot does not, what gets worse does', async () => {
  hub.event(mark(true));
  hub.event(delivery('old', { inSnapshot: true }));
  hub.event(mark(false));
  hub.event(delivery('new'));
  await later();
  hub.event(delivery('new', { revision: 2 }));
  hub.event(delivery('over', { ended: true }));
  await later();
  expect(desk.told.fresh).toEqual(['new']);
  hub.event(delivery('new', { revision: 3, level: Level.LEVEL_2 }));
  await later();
  expect(desk.told.fresh).toEqual(['new', 'new']);
});

test('a snapshot takes the place of what fires once it has ended, and one that breaks off does not', async () => {
  hub.event(delivery('gone'));
  hub.event(delivery('ended', { ended: true }));
  hub.event(delivery('stays'));
  await later();
  hub.event(mark(true));
  hub.event(delivery('stays', { inSnapshot: true }));
  hub.event({ type: 'lost', reason: 'r', waitMs: 1, refused: false });
  await later();
  expect(desk.told.rows.has('gone')).toBe(true);
  hub.event(mark(true));
  hub.event(delivery('stays', { inSnapshot: true }));
  hub.event(mark(false));
  await later();
  await later();
  // What had ended before is told of as well, and of what fires only what the snapshot says.
  expect([...desk.told.rows.keys()]).toEqual(['ended', 'stays', 'before']);
  expect(desk.told.fresh).not.toContain('before');
  expect(desk.told.rows.get('stays')?.ageMs, 'its way was told before').toBe(700);
});

test('a page that is opened later is told all, and the stream is not asked again', async () => {
  hub.event(delivery('a', { volatile: true }));
  hub.event(bookmark([1]));
  await later();
  const second = new Desk();
  hub.join(second);
  expect(second.told.rows.get('a')?.volatile).toBe(true);
  expect(second.told.status?.complete).toBe(true);
  expect(second.told.status?.clockMs).toBe(5000);
});

test('a gap stays until somebody puts it away', async () => {
  const missed = [{ level: Level.LEVEL_2, count: 3n }];
  hub.event(item({ item: { case: 'gap', value: { reason: GapReason.TRIMMED, missed, countsKnown: true } } }));
  await later();
  expect(desk.told.status?.missed[0]?.counts).toEqual([{ level: Level.LEVEL_2, count: 3 }]);
  expect(desk.told.status?.complete).toBe(false);
  hub.heard(desk, { type: 'seen-gap', number: desk.told.status?.missed[0]?.number ?? 0 });
  await later();
  expect(desk.told.status?.missed).toEqual([]);
});

test('minor alerts that were counted are fetched, and the count stays', async () => {
  hub.event(item({ item: { case: 'summary', value: { counts: [{ kind: Kind.CAM_OFFLINE, count: 2n }], alertIds: ['x', 'y'] } } }));
  await later();
  await later();
  expect(fetched).toEqual([['x', 'y']]);
  expect([...desk.told.rows.keys()]).toEqual(['x', 'y']);
  expect(desk.told.status?.summarised).toBe(2);
});

test('a flood drops what is needed least and counts it', async () => {
  hub.event(delivery('severe', { level: Level.LEVEL_2 }));
  hub.event(delivery('over', { ended: true, level: Level.LEVEL_2 }));
  for (let n = 0; n < MOST_ROWS; n++) hub.event(delivery(`minor-${n}`, { level: Level.LEVEL_4 }));
  await later();
  expect(desk.told.rows.size).toBe(MOST_ROWS);
  expect(desk.told.rows.has('severe')).toBe(true);
  expect(desk.told.rows.has('over')).toBe(false);
  expect(desk.told.status?.dropped).toBe(2);
});

test('one page rings for all of them, and another when that is gone', () => {
  const second = new Desk();
  hub.join(second);
  hub.heard(second, { type: 'bell', ready: true });
  hub.heard(desk, { type: 'bell', ready: true });
  expect([desk.told.yours, second.told.yours].filter(Boolean).length).toBe(1);
  hub.heard(desk.told.yours ? desk : second, { type: 'bye' });
  expect(desk.told.yours || second.told.yours).toBe(true);
});

test('when somebody leaves nothing of theirs stays, and what was on its way to them is let go', async () => {
  hub.event(delivery('a'));
  hub.event(item({ item: { case: 'gap', value: { reason: GapReason.TRIMMED } } }));
  await later();
  let answer: (records: AlertRecord[]) => void = () => undefined;
  hub.attach({
    ...source(false),
    ended: () => Promise.resolve([]),
    fetch: () => new Promise((resolve) => (answer = resolve)),
  });
  hub.event(item({ item: { case: 'summary', value: { alertIds: ['late'] } } }));
  hub.clear();
  expect(desk.told.rows.size).toBe(0);
  expect(desk.told.status?.missed).toEqual([]);
  answer([record('late', {})]);
  await later();
  expect(desk.told.rows.size).toBe(0);
  hub.heard(desk, { type: 'painted', upTo: desk.told.upTo });
  expect(shown).toEqual([]);
  // Whoever comes next begins with what they are told.
  hub.event(delivery('b'));
  await later();
  expect([...desk.told.rows.keys()]).toEqual(['b']);
});

test('a stream that goes on where an earlier console was brings what fired before, and rings for what is new alone', async () => {
  hub.attach(source(true));
  hub.event(item({ item: { case: 'opened', value: { serverVersion: '1' } } }));
  // What has happened since comes first: the list is not whole before it has.
  hub.event(delivery('new'));
  hub.event(bookmark([1]));
  await later();
  expect([asked, desk.told.status?.complete]).toEqual([0, false]);
  failures = 1;
  hub.event(bookmark([2]));
  await later();
  expect([asked, desk.told.status?.complete], 'what fails leaves it incomplete').toEqual([1, false]);
  hub.event(bookmark([3]));
  await later();
  expect([asked, desk.told.status?.complete]).toEqual([2, true]);
  await later();
  expect([...desk.told.rows.keys()].sort()).toEqual(['before', 'new', 'old']);
  expect(desk.told.fresh).toEqual(['new']);
  hub.event(bookmark([4]));
  await later();
  expect(asked).toBe(2);
});

test('a gap and its snapshot stand for all that was lacking', async () => {
  hub.attach(source(true));
  hub.event(item({ item: { case: 'gap', value: { reason: GapReason.TRIMMED } } }));
  hub.event(mark(true));
  hub.event(delivery('fires', { inSnapshot: true }));
  hub.event(mark(false));
  hub.event(bookmark([2]));
  await later();
  expect([asked, desk.told.status?.complete, desk.told.status?.missed.length]).toEqual([0, true, 1]);
  expect(desk.told.rows.has('old')).toBe(false);
});

test('what was asked for on behalf of somebody who has left is let go', async () => {
  hub.attach(source(true));
  hub.event(bookmark([1]));
  hub.clear();
  await later();
  expect(desk.told.rows.size).toBe(0);
});
