// What is asked for again and again, whatever came of it the last time.
import { onBeforeUnmount, ref, shallowRef, type Ref, type ShallowRef } from 'vue';
import { reasonOf } from '../alert/load';

export interface Round<T> {
  value: ShallowRef<T | undefined>;
  /** When it last came, by this machine's clock; 0: never. */
  atMs: Ref<number>;
  /** Why it did not come the last time; empty where it did. */
  failure: Ref<string>;
}

/** How a call is made: it ends with the page, and an answer that has not come by then is given up. */
export interface Within {
  signal: AbortSignal;
  timeoutMs: number;
}

const WITHIN_MS = 20_000;

/** Asks now and so long after each answer or failure, until the page is left. */
export function useRounds<T>(ask: (within: Within) => Promise<T>, everyMs: number): Round<T> {
  const value = shallowRef<T>();
  const atMs = ref(0);
  const failure = ref('');
  const abort = new AbortController();
  const within: Within = { signal: abort.signal, timeoutMs: WITHIN_MS };
  let timer: ReturnType<typeof setTimeout> | undefined;
  async function round(): Promise<void> {
    try {
      value.value = await ask(within);
      atMs.value = Date.now();
      failure.value = '';
    } catch (error) {
      failure.value = reasonOf(error);
    }
    if (!abort.signal.aborted) timer = setTimeout(() => void round(), everyMs);
  }
  void round();
  onBeforeUnmount(() => {
    abort.abort();
    clearTimeout(timer);
  });
  return { value, atMs, failure };
}
