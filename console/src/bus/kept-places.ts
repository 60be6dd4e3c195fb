// Where a console goes on after all its pages were closed: the place of what was shown last. A place is an epoch and positions, and
// nothing of any alert. One for each account of this browser, of the service that the page came from; gone when its owner signs out.
//
// What cannot be kept or read is as if it had not been kept: then a console begins with what is active.

/** Of how an entry is written; one of another version says nothing. */
export const VERSION = 1;
/** Accounts whose place is kept; the ones that were here longest ago go. */
export const MOST_ACCOUNTS = 8;
/** A place is some dozens of bytes; more is none. */
const MOST_BYTES = 1024;
/** A place moves with each bookmark, which is each second. */
export const KEEP_EVERY_MS = 1000;
/** A database that does not answer by then is not waited for: alerts are. */
export const WITHIN_MS = 1000;

/** What is kept of one account. */
export interface Entry {
  account: string;
  version: number;
  /** What it sees of the town: of another part the place says nothing. */
  scope: string;
  cursor: Uint8Array;
  keptMs: number;
}

/** Where entries lie, one for each account. What is read is not trusted to be what was written. */
export interface Shelf {
  all(): Promise<unknown[]>;
  put(entry: Entry): Promise<void>;
  remove(account: string): Promise<void>;
}

function isEntry(value: unknown): value is Entry {
  if (typeof value !== 'object' || value === null) return false;
  const { account, version, scope, cursor, keptMs } = value as Record<keyof Entry, unknown>;
  return version === VERSION && typeof account === 'string' && typeof scope === 'string' && typeof keptMs === 'number' &&
    cursor instanceof Uint8Array && cursor.length > 0 && cursor.length <= MOST_BYTES;
}

export class KeptPlaces {
  readonly #shelf: Shelf;
  /** What is to be kept next. */
  #next: Entry | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Whose place was written last: with another one there may be too many. */
  #written = '';
  /** One after the other: what is wiped is not written again by what began before. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(shelf: Shelf) {
    this.#shelf = shelf;
  }

  /** Where an account goes on; empty: nothing is known of it. */
  async of(account: string, scope: string): Promise<Uint8Array> {
    const nothing = new Uint8Array();
    if (this.#next?.account === account && this.#next.scope === scope) return this.#next.cursor;
    const read = this.#then(async () => {
      const found = (await this.#shelf.all()).find((one): one is Entry => isEntry(one) && one.account === account && one.scope === scope);
      return found?.cursor;
    });
    const late = new Promise<undefined>((resolve) => setTimeout(resolve, WITHIN_MS, undefined));
    return (await Promise.race([read, late])) ?? nothing;
  }

  /** Keeps a place, within a second. An empty one: there is none to go on at. */
  keep(account: string, scope: string, cursor: Uint8Array): void {
    // A copy: the cursor is a part of the message that it came in, which the browser would keep whole.
    this.#next = { account, version: VERSION, scope, cursor: cursor.slice(), keptMs: Date.now() };
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      const entry = this.#next;
      this.#next = undefined;
      if (entry) void this.#then(() => this.#write(entry));
    }, KEEP_EVERY_MS);
  }

  /** Wipes what is kept of an account. */
  forget(account: string): void {
    if (this.#next?.account === account) this.#next = undefined;
    void this.#then(() => this.#shelf.remove(account));
  }

  async #write(entry: Entry): Promise<void> {
    if (entry.cursor.length === 0 || entry.cursor.length > MOST_BYTES) {
      await this.#shelf.remove(entry.account);
      return;
    }
    await this.#shelf.put(entry);
    if (this.#written === entry.account) return;
    this.#written = entry.account;
    const others = (await this.#shelf.all()).filter(isEntry).sort((a, b) => b.keptMs - a.keptMs);
    for (const one of others.slice(MOST_ACCOUNTS)) await this.#shelf.remove(one.account);
  }

  #then<T>(what: () => Promise<T>): Promise<T | undefined> {
    const done = this.#last.then(what).catch(() => undefined);
    this.#last = done;
    return done;
  }
}

const NAME = 'xueliang';
const STORE = 'places';

/** The browser's own database. It is of the address that the page came from, and so of one service. */
export function database(): Shelf {
  let opened: Promise<IDBDatabase> | undefined;
  const open = (): Promise<IDBDatabase> => {
    opened ??= new Promise<IDBDatabase>((resolve, reject) => {
      const request = indexedDB.open(NAME, VERSION);
      request.onupgradeneeded = () => {
        const { result } = request;
        for (const name of [...result.objectStoreNames]) result.deleteObjectStore(name);
        result.createObjectStore(STORE, { keyPath: 'account' });
      };
      request.onsuccess = () => {
        // A later version of the page may change it.
        request.result.onversionchange = () => {
          request.result.close();
          opened = undefined;
        };
        resolve(request.result);
      };
      request.onerror = () => {
        reject(new Error(`open the browser's database: ${request.error?.message ?? ''}`));
      };
    }).catch((error: unknown) => {
      opened = undefined;
      throw error;
    });
    return opened;
  };
  const run = async <T>(mode: IDBTransactionMode, what: (store: IDBObjectStore) => IDBRequest<T>): Promise<T> => {
    const transaction = (await open()).transaction(STORE, mode);
    return new Promise<T>((resolve, reject) => {
      const request = what(transaction.objectStore(STORE));
      transaction.oncomplete = () => {
        resolve(request.result);
      };
      const failed = (): void => {
        reject(new Error(`use the browser's database: ${transaction.error?.message ?? ''}`));
      };
      transaction.onerror = failed;
      transaction.onabort = failed;
    });
  };
  return {
    all: () => run<unknown[]>('readonly', (store) => store.getAll()),
    put: async (entry) => {
      await run('readwrite', (store) => store.put(entry));
    },
    remove: async (account) => {
      await run('readwrite', (store) => store.delete(account));
    },
  };
}
