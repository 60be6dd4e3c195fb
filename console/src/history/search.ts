// Cases as a search finds them: page by page as far as somebody scrolls.
import { ref, shallowRef } from 'vue';
import { keyOf } from '../case/board';
import type { Case, ListCasesRequest, ListCasesResponse } from '../gen/xueliang/v1/case_pb';

/** About five windows full. */
export const PAGE = 200;

/** Asks the service. */
export type Ask = (request: ListCasesRequest, signal: AbortSignal) => Promise<ListCasesResponse>;

/** What is searched for: the question for a page. */
export type Question = (pageSize: number, pageToken: string) => ListCasesRequest;

export class Search {
  /** Latest opened first, each once. */
  readonly cases = shallowRef<Case[]>([]);
  /** How many there are; -1: not known yet. */
  readonly total = ref(-1);
  /** There are more than that: the service counts up to a bound. */
  readonly totalIsMore = ref(false);
  /** All of them are listed. */
  readonly complete = ref(false);
  readonly loading = ref(false);
  readonly failure = ref('');
  readonly #ask: Ask;
  readonly #words: (error: unknown) => string;
  #question: Question | undefined;
  #next = '';
  #abort = new AbortController();

  constructor(ask: Ask, words: (error: unknown) => string) {
    this.#ask = ask;
    this.#words = words;
  }

  /** Searches for something else from now on. */
  async choose(question: Question): Promise<void> {
    this.stop();
    this.#question = question;
    this.#next = '';
    this.cases.value = [];
    this.total.value = -1;
    this.totalIsMore.value = false;
    this.complete.value = false;
    await this.#load((answer) => {
      this.cases.value = answer.cases;
      this.total.value = answer.total;
      this.totalIsMore.value = answer.totalIsMore;
    });
  }

  /** Brings the next page, where there is one. */
  async more(): Promise<void> {
    if (this.loading.value || this.#next === '') return;
    await this.#load((answer) => {
      // One that nobody had touched may have got a number in between: it stands where it was seen first.
      const known = new Set(this.cases.value.map(keyOf));
      this.cases.value = [...this.cases.value, ...answer.cases.filter((one) => !known.has(keyOf(one)))];
    });
  }

  /** Asks once more for what failed. */
  async again(): Promise<void> {
    if (this.#next !== '') await this.more();
    else if (this.#question) await this.choose(this.#question);
  }

  /** A case that is listed, as it stands now. */
  put(fresh: Case): void {
    this.cases.value = this.cases.value.map((one) => (keyOf(one) === keyOf(fresh) ? fresh : one));
  }

  /** Forgets what was found: there is nothing to search for. */
  clear(): void {
    this.stop();
    this.#question = undefined;
    this.#next = '';
    this.cases.value = [];
    this.total.value = -1;
    this.totalIsMore.value = false;
    this.complete.value = false;
    this.failure.value = '';
  }

  /** Waits for nothing any more. */
  stop(): void {
    this.#abort.abort();
    this.#abort = new AbortController();
    this.loading.value = false;
  }

  async #load(take: (answer: ListCasesResponse) => void): Promise<void> {
    const question = this.#question;
    if (!question) return;
    const { signal } = this.#abort;
    this.loading.value = true;
    try {
      const answer = await this.#ask(question(PAGE, this.#next), signal);
      if (signal.aborted) return;
      take(answer);
      this.#next = answer.nextPageToken;
      this.complete.value = this.#next === '';
      this.failure.value = '';
    } catch (error) {
      if (signal.aborted) return;
      this.failure.value = this.#words(error);
    }
    this.loading.value = false;
  }
}
