// What is asked for again and again, whatever came of it the last time.
import { onScopeDispose, ref, shallowRef, type Ref, type ShallowRef } from 'vue';
import { reasonOf } from '../reason';
import { useRounds } from '../rounds';

export interface Answer<T> {
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
export function useAnswer<T>(ask: (within: Within) => Promise<T>, everyMs: number): Answer<T> {
  const value = shallowRef<T>();
  const atMs = ref(0);
  const failure = ref('');
  const abort = new AbortController();
  const within: Within = { signal: abort.signal, timeoutMs: WITHIN_MS };
  useRounds(async () => {
    try {
      value.value = await ask(within);
      atMs.value = Date.now();
      failure.value = '';
    } catch (error) {
      failure.value = reasonOf(error);
    }
  }, () => everyMs);
  onScopeDispose(() => {
    abort.abort();
  });
  return { value, atMs, failure };
}
