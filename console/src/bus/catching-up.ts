// A stream that goes on at an earlier place first tells what has happened since. Only then is the rest of the list asked for: what is
// in the list already would ring no bell when it comes.

/** What was committed so shortly before a bookmark was made is of now. */
const NOW_MS = 2000;
/** By then the rest is asked for all the same: a lane that was left alone may be behind for long. */
const MOST_BOOKMARKS = 10;

export class CatchingUp {
  /** When the latest delivery since the last bookmark was committed; 0: there was none. */
  #committedMs = 0;
  #bookmarks = 0;

  /** A delivery has come that was committed then, by the service's clock. */
  delivery(committedMs: number): void {
    this.#committedMs = committedMs;
  }

  /** A bookmark has come that was made then, by the service's clock; whether the stream has come to what happens now. */
  bookmark(madeMs: number): boolean {
    this.#bookmarks += 1;
    const now = this.#committedMs === 0 || this.#committedMs > madeMs - NOW_MS;
    this.#committedMs = 0;
    return now || this.#bookmarks >= MOST_BOOKMARKS;
  }
}
