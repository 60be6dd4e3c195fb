// A list of the record that is read page by page, newest first, as far as somebody scrolls.
import { ref, shallowRef } from 'vue';

/** What the service tells at once. */
export interface Page<T> {
  items: T[];
  /** For the next page; empty on the last. */
  next: string;
}

/** Asks for the page that a token names; empty: the first. */
export type AskPage<T> = (pageToken: string, signal: AbortSignal) => Promise<Page<T>>;

export class Pages<T> {
  /** Newest first, each once. */
  readonly rows = shallowRef<T[]>([]);
  /** Whether an answer is awaited. */
  readonly loading = ref(false);
  readonly failure = ref('');
  /** Whether there is nothing older. */
  readonly complete = ref(false);
  /** When the newest was asked for, by this machine's clock; 0: never. */
  readonly atMs = ref(0);
  readonly #words: (error: unknown) => string;
  readonly #number: (item: T) => bigint;
  #ask: AskPage<T> | undefined;
  #next = '';
  /** The page whose reading failed last; empty: the first. */
  #failed = '';
  #abort = new AbortController();

  /** `number`: what an item is known by, greater for newer ones. */
  constructor(words: (error: unknown) => string, number: (item: T) => bigint) {
    this.#words = words;
    this.#number = number;
  }

  /** Lists what `ask` tells from now on. */
  async begin(ask: AskPage<T>): Promise<void> {
    this.clear();
    this.#ask = ask;
    await this.#read('', (page) => {
      this.rows.value = page.items;
      this.#follow(page.next);
    });
  }

  /** Brings the next page, where there is one. */
  async more(): Promise<void> {
    if (this.loading.value || this.complete.value || this.atMs.value === 0) return;
    await this.#read(this.#next, (page) => {
      const known = new Set(this.rows.value.map(this.#number));
      this.rows.value = [...this.rows.value, ...page.items.filter((one) => !known.has(this.#number(one)))];
      this.#follow(page.next);
    });
  }

  /**
   * Asks anew for the newest, and for as much of what was read before as so many pages hold. What is older than these stays as it was
   * read.
   */
  async refresh(pages = 1): Promise<void> {
    if (this.loading.value || !this.#ask) return;
    const wanted = this.rows.value.length;
    await this.#read('', (page) => {
      const [first, last] = [this.rows.value[0], page.items.at(-1)];
      // Where the newest do not reach down to what was read before, there may be others in between.
      const meet = first !== undefined && last !== undefined && page.next !== '' && this.#number(last) <= this.#number(first);
      const older = meet ? this.rows.value.filter((one) => this.#number(one) < this.#number(last)) : [];
      this.rows.value = [...page.items, ...older];
      if (older.length === 0) this.#follow(page.next);
    }, (ask, signal) => joined(ask, signal, pages, wanted));
  }

  /** Asks once more for what failed. */
  async again(): Promise<void> {
    if (this.#failed === '') await this.refresh();
    else await this.more();
  }

  /** Something that was just changed or made, as it is now. What was asked for before that is let go: it may not know of it. */
  put(item: T): void {
    this.stop();
    const number = this.#number(item);
    const known = this.rows.value.some((one) => this.#number(one) === number);
    this.rows.value = known ? this.rows.value.map((one) => (this.#number(one) === number ? item : one)) : [item, ...this.rows.value];
  }

  /** Forgets what was read: there is nothing to ask for. */
  clear(): void {
    this.stop();
    this.#ask = undefined;
    this.#next = '';
    this.rows.value = [];
    this.complete.value = false;
    this.atMs.value = 0;
    this.failure.value = '';
  }

  /** Waits for nothing any more. */
  stop(): void {
    this.#abort.abort();
    this.#abort = new AbortController();
    this.loading.value = false;
  }

  #follow(next: string): void {
    this.#next = next;
    this.complete.value = next === '';
  }

  async #read(
    pageToken: string, take: (page: Page<T>) => void,
    how = (ask: AskPage<T>, signal: AbortSignal): Promise<Page<T>> => ask(pageToken, signal),
  ): Promise<void> {
    const ask = this.#ask;
    if (!ask) return;
    const { signal } = this.#abort;
    this.loading.value = true;
    try {
      const page = await how(ask, signal);
      if (signal.aborted) return;
      take(page);
      if (pageToken === '') this.atMs.value = Date.now();
      this.failure.value = '';
    } catch (error) {
      if (signal.aborted) return;
      this.failure.value = this.#words(error);
      this.#failed = pageToken;
    } finally {
      if (!signal.aborted) this.loading.value = false;
    }
  }
}

/** Pages from the first on as one, until so many items are there; no more pages than `most`. */
async function joined<T>(ask: AskPage<T>, signal: AbortSignal, most: number, wanted: number): Promise<Page<T>> {
  const items: T[] = [];
  let next = '';
  for (let page = 0; page < most && (page === 0 || (next !== '' && items.length < wanted)); page++) {
    const told = await ask(next, signal);
    items.push(...told.items);
    next = told.next;
  }
  return { items, next };
}
