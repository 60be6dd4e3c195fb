// The service's clock beside this machine's: ages are the service's, and a control room's computer may be minutes off.

/** Bookmarks that count: a minute's worth. */
const KEPT = 60;

/** What is known of the difference. Bookmarks arrive some time after they were made: the one that took least says most. */
export class Clock {
  readonly #seen: number[] = [];

  /** A bookmark that was made at one time by the service's clock came at another by ours, milliseconds. */
  heard(madeMs: number, cameMs: number): void {
    this.#seen.push(madeMs - cameMs);
    if (this.#seen.length > KEPT) this.#seen.shift();
  }

  /** The service's clock less ours, milliseconds; 0 until a bookmark has come. */
  get offsetMs(): number {
    return this.#seen.length === 0 ? 0 : Math.max(...this.#seen);
  }
}
