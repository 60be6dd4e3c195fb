// Cameras as they are listed: page by page as far as somebody scrolls, and asked for anew every few seconds. Tens of thousands
// may match; only those that were scrolled to are here.
import { computed, ref, shallowRef, triggerRef } from 'vue';
import type { CameraStatus, ListCamerasRequest, ListCamerasResponse } from '../gen/xueliang/v1/camera_pb';
import { requestOf, type Choice } from './query';

/** About five windows full. */
export const PAGE = 200;
/** The service gives no more at once. */
export const MOST = 1000;

/** Asks the service. */
export type Ask = (request: ListCamerasRequest, signal: AbortSignal) => Promise<ListCamerasResponse>;

export class Listing {
  /** In order, worst first, each once. */
  readonly rows = shallowRef<CameraStatus[]>([]);
  readonly total = ref(0);
  /** Whether an answer is awaited that somebody looks out for. */
  readonly loading = ref(false);
  readonly failure = ref('');
  /** When the oldest of the nodes' reports came, milliseconds; 0: no node has reported. */
  readonly reportedMs = ref(0);
  /** What divisions are called, by code. */
  readonly names = shallowRef(new Map<string, string>());
  readonly complete = computed(() => this.#next.value === '' && this.total.value > 0);
  readonly #next = ref('');
  readonly #ask: Ask;
  readonly #words: (error: unknown) => string;
  #choice: Choice | undefined;
  #abort = new AbortController();

  constructor(ask: Ask, words: (error: unknown) => string) {
    this.#ask = ask;
    this.#words = words;
  }

  /** Whether this is what is listed. */
  lists(choice: Choice): boolean {
    return JSON.stringify(choice) === JSON.stringify(this.#choice) && this.rows.value.length > 0;
  }

  /** What is listed; `undefined`: nothing yet. */
  get choice(): Choice | undefined {
    return this.#choice;
  }

  /** Forgets all of it: it is of one session, and goes with that. */
  clear(): void {
    this.stop();
    this.#choice = undefined;
    this.#next.value = '';
    this.rows.value = [];
    this.total.value = 0;
    this.reportedMs.value = 0;
    this.failure.value = '';
    this.names.value = new Map();
  }

  /** Lists something else from now on. */
  async choose(choice: Choice): Promise<void> {
    this.stop();
    this.#choice = choice;
    this.#next.value = '';
    await this.#load(requestOf(choice, PAGE), (answer) => {
      this.rows.value = answer.cameras;
    });
  }

  /** Brings the next page, where there is one. */
  async more(): Promise<void> {
    if (this.loading.value || this.#next.value === '' || !this.#choice) return;
    await this.#load(requestOf(this.#choice, PAGE, this.#next.value), (answer) => {
      // A camera may have changed its place in between: it stands where it was seen first.
      const known = new Set(this.rows.value.map((one) => one.cameraId));
      this.rows.value = [...this.rows.value, ...answer.cameras.filter((one) => !known.has(one.cameraId))];
    });
  }

  /**
   * Asks anew for what is listed. Of a list that is longer than the service tells at once, its beginning, where new trouble
   * shows, and those that are in view.
   */
  async refresh(inView: readonly string[]): Promise<void> {
    const choice = this.#choice;
    if (this.loading.value || !choice) return;
    const listed = this.rows.value.length;
    if (listed <= MOST) {
      await this.#quietly(requestOf(choice, Math.min(MOST, Math.max(PAGE, listed))), (answer) => {
        this.rows.value = answer.cameras;
        this.#next.value = answer.nextPageToken;
      });
      return;
    }
    await this.#quietly(requestOf(choice, PAGE), (answer) => {
      const moved = new Set(answer.cameras.map((one) => one.cameraId));
      this.rows.value = [...answer.cameras, ...this.rows.value.filter((one) => !moved.has(one.cameraId))];
    });
    if (inView.length === 0) return;
    const request = requestOf(choice, MOST);
    request.cameraIds = inView.slice(0, MOST);
    const total = this.total.value;
    await this.#quietly(request, (answer) => {
      const fresh = new Map(answer.cameras.map((one) => [one.cameraId, one]));
      this.rows.value = this.rows.value.map((one) => fresh.get(one.cameraId) ?? one);
      this.total.value = total;
    });
  }

  /** Waits for nothing any more. */
  stop(): void {
    this.#abort.abort();
    this.#abort = new AbortController();
    this.loading.value = false;
  }

  async #load(request: ListCamerasRequest, take: (answer: ListCamerasResponse) => void): Promise<void> {
    this.loading.value = true;
    const mine = this.#abort;
    await this.#quietly(request, (answer) => {
      take(answer);
      this.#next.value = answer.nextPageToken;
    });
    if (mine === this.#abort) this.loading.value = false;
  }

  async #quietly(request: ListCamerasRequest, take: (answer: ListCamerasResponse) => void): Promise<void> {
    const { signal } = this.#abort;
    try {
      const answer = await this.#ask(request, signal);
      if (signal.aborted) return;
      this.total.value = answer.total;
      this.reportedMs.value = Number(answer.reportedUnixUs / 1000n);
      for (const one of answer.divisions) this.names.value.set(one.code, one.name);
      triggerRef(this.names);
      take(answer);
      this.failure.value = '';
    } catch (error) {
      if (!signal.aborted) this.failure.value = this.#words(error);
    }
  }
}
