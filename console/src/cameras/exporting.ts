// Taking a list out as a file: how far it is, what came of it, and that only the latest attempt counts.
import { onScopeDispose, ref, type Ref } from 'vue';
import { reasonOf } from '../reason';
import { serverNow } from '../feed/feed';
import { save } from '../save';
import { stamp } from '../times';

/** A file of comma-separated values, and what is said of it. */
export interface Made {
  content: string;
  said: string;
}

export interface Exporting {
  /** What is said of the last attempt; empty before the first. */
  said: Ref<string>;
  start: () => Promise<void>;
}

/** `name`: how the file's name begins. `make` says how far it is; `failed` says why it could not be made. */
export function useExport(
  name: () => string, make: (signal: AbortSignal, say: (text: string) => void) => Promise<Made>, failed: (reason: string) => string,
): Exporting {
  const said = ref('');
  let abort = new AbortController();
  async function start(): Promise<void> {
    abort.abort();
    abort = new AbortController();
    const { signal } = abort;
    const say = (text: string): void => {
      if (!signal.aborted) said.value = text;
    };
    try {
      const made = await make(signal, say);
      if (signal.aborted) return;
      save(fileName(name()), made.content);
      say(made.said);
    } catch (error) {
      say(failed(reasonOf(error)));
    }
  }
  onScopeDispose(() => {
    abort.abort();
  });
  return { said, start };
}

/** With the service's time, so that of two files the later is known. */
export function fileName(name: string): string {
  return `${name}-${stamp(serverNow.value).replace(/[ :]/g, '-')}.csv`;
}
