// What an opened alert needs, asked for in parallel and each by itself: what cannot be had does not keep the rest away.
import { onBeforeUnmount, ref, shallowRef, watch, type Ref, type ShallowRef } from 'vue';
import { reasonOf } from '../reason';

/** What was asked for. */
export interface Loaded<T> {
  value: ShallowRef<T | undefined>;
  /** Why it is not there; empty while that is not known, or where it is there. */
  failure: Ref<string>;
}

/**
 * Asks now and whenever `again` changes, `afterMs` later: whoever leafs through a list asks for nothing on the way. What
 * comes after the panel was closed, or after it was asked for anew, is let go.
 */
export function load<T>(ask: (signal: AbortSignal) => Promise<T>, again: () => unknown, afterMs: number): Loaded<T> {
  const value = shallowRef<T>();
  const failure = ref('');
  let abort = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const begin = (): void => {
    abort.abort();
    clearTimeout(timer);
    const mine = new AbortController();
    abort = mine;
    timer = setTimeout(() => {
      ask(mine.signal).then(
        (told) => {
          if (mine.signal.aborted) return;
          value.value = told;
          failure.value = '';
        },
        (error: unknown) => {
          if (!mine.signal.aborted) failure.value = reasonOf(error);
        },
      );
    }, afterMs);
  };
  watch(again, begin, { immediate: true });
  onBeforeUnmount(() => {
    abort.abort();
    clearTimeout(timer);
  });
  return { value, failure };
}
