// What the worker knows and every page of the browser shows: the alerts, how the stream is, what cameras see.
//
// Pages come and go; the stream, its cursor and what it said stay. An item is shown once a page that somebody sees has
// painted it, and only then acknowledged.
import { AlertState, type Record as AlertRecord } from '../gen/xueliang/v1/alert_pb';
import { CatchingUp } from './catching-up';
import { Clock } from './clock';
import type { Row, Sight, Status, ToPage, ToWorker } from './messages';
import { ms, rowOf } from './row';
import type { Event, Item } from './watcher';

/** Alerts that a list holds: more than anyone looks at, few enough for a browser of a control room. */
export const MOST_ROWS = 5000;
/** Gaps that are shown until somebody puts them away. */
const MOST_GAPS = 10;
/** Changes are told together, at most this late: a picture of a screen is 17 ms. */
export const TELL_WITHIN_MS = 30;
/** Minor alerts are fetched so many at a time, as the service names them. */
const MOST_FETCHED = 256;
/** And at most so many wait for that; more are counted and not fetched. */
const MOST_WAITING = 2048;
/** Events that wait to be painted. What goes before stands for nothing once a later place has been painted. */
const MOST_UNSHOWN = 4096;
/** Browsers let the timers of a hidden page run once a minute: one that was silent for longer is gone. */
const GONE_AFTER_MS = 180_000;

const NO_STATUS: Status = {
  connected: false, stale: false, complete: false, heardMs: 0, reason: '', againMs: 0, refused: false,
  missed: [], summarised: 0, dropped: 0, clockMs: 0, serverVersion: '',
};
const NO_SIGHT: Sight = { cameras: 0, blind: 0, criticalLost: 0, notCovered: 0, troubles: [], toldMs: 0, reported: false };

/** A page's end of the line. */
export interface Page {
  post(message: ToPage): void;
}

/** What the hub needs of the stream and of the service. */
export interface Source {
  shown(event: Event): void;
  /** The latest states of alerts, by id. */
  fetch(ids: string[]): Promise<AlertRecord[]>;
  /** Alerts that have ended, the latest ones, of those that were shown. */
  ended(): Promise<AlertRecord[]>;
  /** Whether the stream goes on where an earlier console was: it tells what has happened since, and not what fired before. */
  resumed: boolean;
  /** Alerts that fire, of those that are shown. */
  active(): Promise<AlertRecord[]>;
}

interface PageState {
  aliveMs: number;
  bell: boolean;
}

export class Hub {
  readonly #pages = new Map<Page, PageState>();
  readonly #rows = new Map<string, Row>();
  readonly #clock = new Clock();
  #status = NO_STATUS;
  #sight = NO_SIGHT;
  /** Ids in the snapshot that is being told; undefined between two. */
  #snapshot: Set<string> | undefined;
  /** Events that no page has painted yet, by number. */
  #unshown: { number: number; event: Event }[] = [];
  #number = 0;
  #gaps = 0;
  /** Told with the next message: rows that changed, ids that are gone, ids that are new. */
  #changed = new Set<string>();
  #removed = new Set<string>();
  #fresh = new Set<string>();
  #statusChanged = false;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #bell: Page | undefined;
  #waiting: string[] = [];
  #fetching = false;
  #source: Source | undefined;
  /** Of a stream that goes on where an earlier console was, while the list lacks what fired before. */
  #lacking: CatchingUp | undefined;
  /** For whom that is being asked for. */
  #restoring: Source | undefined;

  /** Where what follows comes from; before the first event of it. */
  attach(source: Source): void {
    this.#source = source;
    this.#lacking = source.resumed ? new CatchingUp() : undefined;
  }

  /** Lets go of all that was told, of what waits for an answer too, and tells pages so: it was for somebody else. */
  clear(): void {
    this.#source = undefined;
    this.#rows.clear();
    this.#status = { ...NO_STATUS, clockMs: this.#status.clockMs };
    this.#sight = NO_SIGHT;
    this.#snapshot = undefined;
    this.#lacking = undefined;
    this.#unshown = [];
    this.#waiting = [];
    this.#changed.clear();
    this.#removed.clear();
    this.#fresh.clear();
    for (const page of this.#pages.keys()) this.#tellAll(page);
  }

  /** Says something to all pages. */
  say(message: ToPage): void {
    for (const page of this.#pages.keys()) page.post(message);
  }

  /** A page was opened. */
  join(page: Page): void {
    this.#pages.set(page, { aliveMs: Date.now(), bell: false });
    // It is told all in a moment: what it is still owed would be told twice.
    this.#tell();
    this.#tellAll(page);
  }

  #tellAll(page: Page): void {
    const upTo = this.#number;
    page.post({ type: 'all', rows: [...this.#rows.values()], status: this.#status, sight: this.#sight, upTo });
  }

  /** A page says something. */
  heard(page: Page, message: ToWorker): void {
    const state = this.#pages.get(page);
    if (!state) return;
    state.aliveMs = Date.now();
    switch (message.type) {
      case 'painted':
        this.#painted(message.upTo);
        break;
      case 'seen-gap':
        this.#setStatus({ missed: this.#status.missed.filter((one) => one.number !== message.number) });
        break;
      case 'bell':
        state.bell = message.ready;
        this.#chooseBell();
        break;
      case 'alive':
      case 'signed-in':
      case 'signed-out':
        break;
      case 'bye':
        this.#pages.delete(page);
        this.#chooseBell();
        break;
    }
  }

  /** The stream says something. */
  event(event: Event): void {
    this.#number += 1;
    // A hidden page paints nothing for hours: of signs of life the latest says it all.
    const last = this.#unshown.at(-1);
    if (last && signOfLife(last.event) && signOfLife(event)) this.#unshown.pop();
    this.#unshown.push({ number: this.#number, event });
    if (this.#unshown.length > MOST_UNSHOWN) this.#unshown.shift();
    switch (event.type) {
      case 'item':
        this.#item(event.item);
        break;
      case 'lost':
        this.#snapshot = undefined;
        this.#setStatus({
          connected: false, reason: event.reason, refused: event.refused, againMs: Date.now() + event.waitMs,
        });
        break;
      case 'stale':
        this.#setStatus({ stale: true });
        break;
    }
    this.#tellSoon();
  }

  /** What cameras see was told. */
  sees(sight: Sight): void {
    this.#sight = sight;
    this.#dropSilent();
    this.say({ type: 'sight', sight });
  }

  #item(item: Item): void {
    switch (item.case) {
      case 'opened':
        this.#setStatus({ connected: true, reason: '', refused: false, serverVersion: item.value.serverVersion });
        break;
      case 'delivery': {
        this.#lacking?.delivery(ms(item.value.record?.committedUnixUs ?? 0n));
        const row = rowOf(item.value.record, item.value);
        if (row) {
          this.#snapshot?.add(row.id);
          this.#put(row, !item.value.inSnapshot);
        }
        break;
      }
      case 'snapshot':
        // It tells all that fires, whatever is lacking.
        this.#lacking = undefined;
        if (item.value.begin) this.#snapshot = new Set();
        else this.#settle();
        this.#heard();
        break;
      case 'bookmark':
        this.#clock.heard(ms(item.value.atUnixUs), Date.now());
        // A stream that goes on where it was has told everything, too. Inside a snapshot there is no cursor yet.
        if (item.value.cursor.length > 0 && !this.#snapshot) {
          if (!this.#lacking) this.#setStatus({ complete: true });
          else if (this.#lacking.bookmark(ms(item.value.atUnixUs))) void this.#restore();
        }
        this.#heard();
        break;
      case 'summary':
        this.#setStatus({
          summarised: item.value.counts.reduce((sum, one) => sum + Number(one.count), this.#status.summarised),
        });
        this.#want(item.value.alertIds);
        break;
      case 'gap': {
        const gap = item.value;
        this.#gaps += 1;
        const missed = {
          number: this.#gaps,
          reason: gap.reason,
          atMs: Date.now(),
          counts: gap.countsKnown
            ? gap.missed.map((one) => ({ level: one.level, count: Number(one.count) }))
            : undefined,
          fromMs: ms(gap.fromUnixUs),
          toMs: ms(gap.toUnixUs),
        };
        this.#setStatus({ complete: false, missed: [...this.#status.missed, missed].slice(-MOST_GAPS) });
        break;
      }
      case 'closed':
        this.#setStatus({ connected: false });
        break;
      case undefined:
        break;
    }
  }

  #heard(): void {
    this.#setStatus({ stale: false, heardMs: Date.now(), clockMs: this.#clock.offsetMs });
  }

  /** Takes the latest state of an alert. `news`: it was not only told again. */
  #put(row: Row, news: boolean): void {
    const before = this.#rows.get(row.id);
    if (before && before.revision > row.revision) return;
    // Its way was told when it first came; a record that was volatile is on disk now.
    if (before?.revision === row.revision && row.ageMs === 0) row.ageMs = before.ageMs;
    this.#rows.set(row.id, row);
    this.#changed.add(row.id);
    this.#removed.delete(row.id);
    const fires = row.state === AlertState.FIRING;
    const worse = before && fires && row.level < before.level;
    if (news && fires && (!before || worse)) this.#fresh.add(row.id);
    if (!fires) this.#fresh.delete(row.id);
    if (this.#rows.size > MOST_ROWS) this.#drop();
  }

  /** Lets go of what is least needed: what ended first, then what is least severe, oldest first. */
  #drop(): void {
    let least: Row | undefined;
    for (const row of this.#rows.values()) {
      if (!least || lessNeeded(row, least)) least = row;
    }
    if (!least) return;
    this.#remove(least.id);
    this.#setStatus({ dropped: this.#status.dropped + 1 });
  }

  #remove(id: string): void {
    this.#rows.delete(id);
    this.#changed.delete(id);
    this.#fresh.delete(id);
    this.#removed.add(id);
  }

  /** The snapshot is complete: what fires and is not in it no longer fires, or is no longer for this console. */
  #settle(): void {
    const snapshot = this.#snapshot;
    this.#snapshot = undefined;
    if (!snapshot) return;
    for (const row of [...this.#rows.values()]) {
      if (row.state === AlertState.FIRING && !snapshot.has(row.id)) this.#remove(row.id);
    }
    this.#setStatus({ complete: true });
    void this.#recall();
  }

  /** Brings what fired before a stream that goes on where an earlier console was. What fails is asked for with a later bookmark. */
  async #restore(): Promise<void> {
    const source = this.#source;
    if (!source || this.#restoring === source) return;
    this.#restoring = source;
    try {
      const records = await source.active();
      if (source !== this.#source || !this.#lacking) return;
      for (const record of records) {
        const row = rowOf(record);
        const known = row && this.#rows.get(row.id);
        if (row?.state === AlertState.FIRING && (!known || known.revision < row.revision)) this.#put(row, false);
      }
      this.#lacking = undefined;
      this.#setStatus({ complete: true });
      void this.#recall();
    } catch {
      // The list stays incomplete, and says so.
    } finally {
      if (this.#restoring === source) this.#restoring = undefined;
    }
  }

  /** A snapshot is of what fires. What has ended meanwhile is asked for: it stands in the list, and rings no bell. */
  async #recall(): Promise<void> {
    const source = this.#source;
    try {
      const records = (await source?.ended()) ?? [];
      if (source !== this.#source) return;
      for (const record of records) {
        const row = rowOf(record);
        if (row && row.state !== AlertState.FIRING) this.#put(row, false);
      }
      this.#tellSoon();
    } catch {
      // The list is complete as to what fires; what has ended stands in the record.
    }
  }

  /** Fetches alerts that were counted instead of delivered, a few at a time. */
  #want(ids: string[]): void {
    const room = MOST_WAITING - this.#waiting.length;
    if (ids.length > room) this.#setStatus({ dropped: this.#status.dropped + ids.length - room });
    this.#waiting.push(...ids.slice(0, room));
    if (!this.#fetching) void this.#fetch();
  }

  async #fetch(): Promise<void> {
    this.#fetching = true;
    while (this.#waiting.length > 0 && this.#source) {
      const source = this.#source;
      const ids = this.#waiting.splice(0, MOST_FETCHED);
      try {
        const records = await source.fetch(ids);
        // What was asked for on behalf of somebody who has left is let go.
        if (source !== this.#source) continue;
        for (const record of records) {
          const row = rowOf(record);
          if (row) this.#put(row, true);
        }
      } catch {
        // They are counted in `summarised`, and stand in the record.
        if (source === this.#source) this.#setStatus({ dropped: this.#status.dropped + ids.length });
      }
      this.#tellSoon();
    }
    this.#fetching = false;
  }

  #setStatus(change: Partial<Status>): void {
    this.#status = { ...this.#status, ...change };
    this.#statusChanged = true;
    this.#tellSoon();
  }

  #tellSoon(): void {
    this.#timer ??= setTimeout(() => {
      this.#tell();
    }, TELL_WITHIN_MS);
  }

  #tell(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const messages: ToPage[] = [];
    if (this.#statusChanged) messages.push({ type: 'status', status: this.#status });
    const rows = [...this.#changed].flatMap((id) => this.#rows.get(id) ?? []);
    messages.push({
      type: 'changes', rows, removed: [...this.#removed], fresh: [...this.#fresh], upTo: this.#number,
    });
    this.#changed.clear();
    this.#removed.clear();
    this.#fresh.clear();
    this.#statusChanged = false;
    for (const message of messages) this.say(message);
  }

  #painted(upTo: number): void {
    let done = 0;
    for (const { number, event } of this.#unshown) {
      if (number > upTo) break;
      this.#source?.shown(event);
      done += 1;
    }
    this.#unshown.splice(0, done);
  }

  /** One page rings for all: the one that could first. */
  #chooseBell(): void {
    const able = [...this.#pages].find(([, state]) => state.bell)?.[0];
    if (this.#bell === able) return;
    this.#bell?.post({ type: 'bell', yours: false });
    this.#bell = able;
    able?.post({ type: 'bell', yours: true });
  }

  #dropSilent(): void {
    const before = Date.now() - GONE_AFTER_MS;
    for (const [page, state] of this.#pages) if (state.aliveMs < before) this.#pages.delete(page);
    this.#chooseBell();
  }
}

function signOfLife(event: Event): boolean {
  return event.type !== 'item' || event.item.case === 'bookmark';
}

function lessNeeded(a: Row, b: Row): boolean {
  const ended = (row: Row): boolean => row.state !== AlertState.FIRING;
  if (ended(a) !== ended(b)) return ended(a);
  if (a.level !== b.level) return a.level > b.level;
  return a.startedMs < b.startedMs;
}
