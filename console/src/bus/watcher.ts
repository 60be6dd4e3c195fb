// A console's side of the alert bus: subscribe, go on after losing the connection, acknowledge what was shown.
//
// It means what the Rust crate `client` means: it resumes after the last item it gave, leaves out what it gave before by alert
// and revision, says when what is shown may be out of date, and tells of everything that a console must not overlook.
// What a browser lacks is a connection that notices that its other end is gone: a stream without a sign of life is given up.
import { Code, ConnectError } from '@connectrpc/connect';
import { create } from '@bufbuild/protobuf';
import {
  CloseReason,
  GapReason,
  GapSchema,
  Lane,
  type AlertFilter,
  type Delivery,
  type SubscribeResponse,
} from '../gen/xueliang/v1/alert_pb';
import { Acks, type Send } from './acks';
import { Memory } from './memory';

/** A console without a bookmark for this long shows itself stale. */
export const STALE_AFTER_MS = 3000;
/** A stream on which nothing at all has come for so long is given up. */
export const GIVEN_UP_AFTER_MS = 10_000;
/** A service that has not answered by then is tried again. Counting what a console missed may take some seconds. */
export const OPEN_WITHIN_MS = 30_000;
/** Consoles that lose the bus at one moment come back over this long. */
export const FIRST_WAIT_MS = 500;
/** The longest wait between two tries, while the service is away. */
export const LONGEST_WAIT_MS = 10_000;
/** A service that refuses for good is asked again this seldom. */
export const REFUSED_WAIT_MS = 10_000;
/** Alerts whose latest revision is remembered, to leave out what comes twice. */
export const REMEMBERED = 8192;

/** An item of the stream, as the protocol has it. */
export type Item = SubscribeResponse['item'];

/** What a console learns. */
export type Event =
  | { type: 'item'; item: Item }
  /** The connection is gone; it is tried again after the wait. `refused`: asking again changes nothing by itself. */
  | { type: 'lost'; reason: string; waitMs: number; refused: boolean }
  /** No bookmark for three seconds: what is shown may be out of date, until the next bookmark. */
  | { type: 'stale' };

/** What is asked for. */
export interface Wanted {
  subscription: string;
  cursor: Uint8Array;
  filter?: AlertFilter;
}

/** The service, as a watcher needs it. */
export interface Service {
  subscribe(wanted: Wanted, signal: AbortSignal): AsyncIterable<SubscribeResponse>;
  acknowledge: Send;
}

/** A subscription that goes on. */
export class Watcher {
  readonly #service: Service;
  readonly #told: (event: Event) => void;
  readonly #random: () => number;
  readonly #acks: Acks;
  readonly #memory = new Memory(REMEMBERED);
  readonly #wanted: Wanted;
  /** Place after the last item taken. */
  #taken: Uint8Array;
  /** Place after the last item shown. */
  #shown: Uint8Array;
  #tries = 0;
  #refused = false;
  /** The bus closed the stream to have it opened again. */
  #renewing = false;
  /** The service has taken no place yet: what is asked for is one that was stored. */
  #stored: boolean;
  /** This stream got as far as a bookmark. */
  #worth = false;
  #stale = false;
  #staleTimer: ReturnType<typeof setTimeout> | undefined;

  /** `told` is called with each event in order. `wanted.cursor` is where to begin: one that was stored, or an empty one. */
  constructor(service: Service, wanted: Wanted, told: (event: Event) => void, random: () => number = Math.random) {
    this.#service = service;
    this.#wanted = wanted;
    this.#told = told;
    this.#random = random;
    this.#taken = wanted.cursor;
    this.#shown = wanted.cursor;
    this.#stored = wanted.cursor.length > 0;
    this.#acks = new Acks(service.acknowledge);
  }

  /**
   * Where to go on after a restart of the console: after the last item that was shown. Empty until there is one, and from a
   * gap to the end of its snapshot: then begin with none.
   */
  get cursor(): Uint8Array {
    return this.#shown;
  }

  /** Whether what is shown may be out of date. */
  get stale(): boolean {
    return this.#stale;
  }

  /** Watches until the signal says stop. */
  async run(stop: AbortSignal): Promise<void> {
    this.#watchFreshness();
    stop.addEventListener('abort', () => {
      clearTimeout(this.#staleTimer);
    });
    const over = (): boolean => stop.aborted;
    while (!over()) {
      const reason = await this.#stream(stop);
      this.#acks.closed();
      if (over()) return;
      // Nothing was missed and nobody need know: go on at once.
      if (this.#renewing) continue;
      const waitMs = this.#refused ? REFUSED_WAIT_MS : this.#nextWait();
      this.#told({ type: 'lost', reason, waitMs, refused: this.#refused });
      await pause(waitMs, stop);
    }
  }

  /** One stream to its end; why it ended. */
  async #stream(stop: AbortSignal): Promise<string> {
    const abort = new AbortController();
    const give = (): void => {
      abort.abort();
    };
    stop.addEventListener('abort', give);
    let silence = setTimeout(give, OPEN_WITHIN_MS);
    try {
      const wanted = { ...this.#wanted, cursor: this.#taken };
      for await (const response of this.#service.subscribe(wanted, abort.signal)) {
        clearTimeout(silence);
        silence = setTimeout(give, GIVEN_UP_AFTER_MS);
        const item = response.item;
        if (this.#note(item)) this.#told({ type: 'item', item });
      }
      return 'the bus ended the stream';
    } catch (error) {
      this.#renewing = false;
      if (abort.signal.aborted) return 'nothing has come for too long';
      const failure = ConnectError.from(error);
      this.#refused = forGood(failure.code);
      if (this.#stored && failure.code === Code.InvalidArgument) this.#discard();
      return `${Code[failure.code]}: ${failure.rawMessage}`;
    } finally {
      clearTimeout(silence);
      stop.removeEventListener('abort', give);
      // What the stream still holds is let go.
      abort.abort();
    }
  }

  /** Remembers places and revisions; false for what is not to be told: given before, or of no concern to anyone. */
  #note(item: Item): boolean {
    switch (item.case) {
      case 'opened':
        this.#acks.opened(item.value);
        this.#refused = false;
        this.#stored = false;
        this.#worth = false;
        if (this.#renewing) {
          this.#renewing = false;
          return false;
        }
        return true;
      case 'delivery':
        this.#reach(item.value.cursor);
        // The credit of what is left out comes back with the next place that is shown, a bookmark at the latest.
        return !this.#repeats(item.value);
      case 'snapshot':
        if (item.value.begin) {
          // What follows stands for itself, also where the stream with the gap before it was lost.
          this.#forget();
        } else {
          this.#reach(item.value.cursor);
          this.#freshen();
        }
        return true;
      case 'bookmark':
        this.#reach(item.value.cursor);
        this.#freshen();
        return true;
      case 'summary':
        this.#reach(item.value.cursor);
        return true;
      case 'gap':
        // Where only the filter changed the place is good, whatever is told before what comes after it. One that was told to
        // be gone leads nowhere; the snapshot's end is the next one.
        if (item.value.reason !== GapReason.FILTER_CHANGED) this.#taken = new Uint8Array();
        this.#forget();
        return true;
      case 'closed': {
        this.#reach(item.value.cursor);
        this.#acks.closed();
        const reason = item.value.reason;
        // A stream that was worth nothing is no renewal: its bus is in trouble, and is left alone for a while.
        if ((reason === CloseReason.RENEW || reason === CloseReason.RIGHTS_CHANGED) && this.#worth) {
          this.#renewing = true;
          return false;
        }
        if (reason === CloseReason.REPLACED) this.#refused = true;
        return true;
      }
      case undefined:
        return false;
    }
  }

  /**
   * The service cannot read the place that was stored, as of another version. For a console that is as with another store: what was missed since
   * nobody knows, and that is told.
   */
  #discard(): void {
    this.#stored = false;
    this.#refused = false;
    this.#taken = new Uint8Array();
    this.#forget();
    this.#told({ type: 'item', item: { case: 'gap', value: create(GapSchema, { reason: GapReason.FOREIGN_EPOCH }) } });
  }

  #reach(cursor: Uint8Array): void {
    if (cursor.length > 0) this.#taken = cursor;
  }

  /**
   * After a restore revisions count from an earlier one, with other content: what was given says nothing about them, and its
   * places are no longer known.
   */
  #forget(): void {
    this.#memory.clear();
    this.#acks.forget();
  }

  #freshen(): void {
    this.#stale = false;
    // A stream that got so far was worth its connection.
    this.#worth = true;
    this.#tries = 0;
    this.#watchFreshness();
  }

  #watchFreshness(): void {
    clearTimeout(this.#staleTimer);
    this.#staleTimer = setTimeout(() => {
      this.#stale = true;
      this.#told({ type: 'stale' });
    }, STALE_AFTER_MS);
  }

  #repeats(delivery: Delivery): boolean {
    const alert = delivery.record?.alert;
    if (!alert) return false;
    const repeats = this.#memory.repeats(alert.alertId, alert.revision, delivery.volatile);
    // A snapshot is told in full, so that a console can tell what is no longer active.
    return repeats && !delivery.inSnapshot;
  }

  /** Doubles from try to try, and is spread over its whole length. */
  #nextWait(): number {
    const longest = Math.min(FIRST_WAIT_MS * 2 ** this.#tries, LONGEST_WAIT_MS);
    this.#tries = Math.min(this.#tries + 1, 16);
    return longest * this.#random();
  }

  /** To be called once an event was shown, in the order in which events were given; for those with nothing to show, too. */
  shown(event: Event): void {
    if (event.type !== 'item') return;
    const item = event.item;
    if (item.case === 'gap' && item.value.reason !== GapReason.FILTER_CHANGED) this.#shown = new Uint8Array();
    const cursor = cursorOf(item);
    if (cursor.length > 0) {
      this.#acks.shown(cursor, laneOf(item));
      this.#shown = cursor;
    }
  }
}

/** Resume here to go on after it; empty where it has no place of its own. */
function cursorOf(item: Item): Uint8Array {
  switch (item.case) {
    case 'delivery':
    case 'snapshot':
    case 'bookmark':
    case 'summary':
      return item.value.cursor;
    // That of an end is the place of what was sent before it, whether that was shown or not.
    default:
      return new Uint8Array();
  }
}

/** The lane whose credit it used. */
function laneOf(item: Item): Lane | undefined {
  if (item.case === 'delivery') return item.value.lane;
  return item.case === 'summary' ? Lane.MINOR : undefined;
}

/** Whether the same request will be refused again. */
function forGood(code: Code): boolean {
  return [
    Code.InvalidArgument,
    Code.NotFound,
    Code.FailedPrecondition,
    Code.OutOfRange,
    Code.PermissionDenied,
    Code.Unauthenticated,
    Code.Unimplemented,
  ].includes(code);
}

function pause(ms: number, stop: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      stop.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    stop.addEventListener('abort', done);
  });
}
