// What was shown and is not acknowledged yet. Sent beside the stream, so that no answer that stays away holds up an alert.
import { DeliveryStage, Lane, type Opened } from '../gen/xueliang/v1/alert_pb';

/** Acknowledgements go out at most this often, unless half of a lane's credit is used up. */
export const ACKNOWLEDGE_EVERY_MS = 100;
/** One that failed is sent again no sooner, unless there is something new. */
const AGAIN_MS = 1000;
/** An answer that has not come by then does not come. */
const ANSWER_WITHIN_MS = 5000;

/** One acknowledgement, as the service takes it. */
export interface Acknowledgement {
  subscriptionId: string;
  cursor: Uint8Array;
  stage: DeliveryStage;
}

/** Sends one acknowledgement. */
export type Send = (acknowledgement: Acknowledgement, withinMs: number) => Promise<unknown>;

/** Lanes by their place in an account. */
const LANES = [Lane.CRITICAL, Lane.MAJOR, Lane.MINOR];

/** The account of what was shown. */
export class Acks {
  readonly #send: Send;
  /** Name of the open stream; empty while there is none. */
  #subscriptionId = '';
  #credit = [0, 0, 0];
  /** Deliveries shown since the last acknowledgement, by lane. */
  #used = [0, 0, 0];
  /** Shown, and not acknowledged. */
  #owed: Uint8Array | undefined;
  #notBefore = 0;
  /** The one under way: what it acknowledges. What is no longer this object does not count when it is answered. */
  #flight: { cursor: Uint8Array } | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(send: Send) {
    this.#send = send;
  }

  /** A stream begins. */
  opened(opened: Opened): void {
    this.closed();
    this.#subscriptionId = opened.subscriptionId;
    const credit = opened.credit;
    this.#credit = [credit?.critical ?? 0, credit?.major ?? 0, credit?.minor ?? 0];
    this.#plan();
  }

  /** The stream is over. What is owed is acknowledged on the next one. */
  closed(): void {
    this.#subscriptionId = '';
    this.#used = [0, 0, 0];
    this.#notBefore = 0;
    this.#owed ??= this.#flight?.cursor;
    this.#flight = undefined;
    this.#plan();
  }

  /** What was shown is of a feed that the service no longer keeps. */
  forget(): void {
    this.#owed = undefined;
    this.#flight = undefined;
    this.#plan();
  }

  /** Everything up to a place was shown; `lane` where it was a delivery. */
  shown(cursor: Uint8Array, lane: Lane | undefined): void {
    const at = lane === undefined ? -1 : LANES.indexOf(lane);
    if (at >= 0) this.#used[at] = (this.#used[at] ?? 0) + 1;
    this.#owed = cursor;
    this.#plan();
  }

  #plan(): void {
    clearTimeout(this.#timer);
    if (this.#owed === undefined || this.#subscriptionId === '' || this.#flight) return;
    const pressing = this.#used.some((used, lane) => used * 2 >= Math.max(this.#credit[lane] ?? 0, 1));
    const wait = pressing ? 0 : Math.max(0, this.#notBefore - Date.now());
    this.#timer = setTimeout(() => {
      void this.#fly();
    }, wait);
  }

  async #fly(): Promise<void> {
    const cursor = this.#owed;
    if (cursor === undefined) return;
    const flight = { cursor };
    this.#flight = flight;
    this.#owed = undefined;
    this.#used = [0, 0, 0];
    this.#notBefore = Date.now() + ACKNOWLEDGE_EVERY_MS;
    const stage = DeliveryStage.DISPLAYED;
    let failed = false;
    try {
      await this.#send({ subscriptionId: this.#subscriptionId, cursor, stage }, ANSWER_WITHIN_MS);
    } catch {
      // It is sent again with the next, or on the next stream.
      failed = true;
    }
    if (this.#flight !== flight) return;
    this.#flight = undefined;
    if (failed) {
      this.#owed ??= cursor;
      this.#notBefore = Date.now() + AGAIN_MS;
    }
    this.#plan();
  }
}
