// Asking again and again while somebody sees the page: each time a while after the last answer, however long that took, and at once
// when somebody looks at the page again.
import { onScopeDispose } from 'vue';

/**
 * Asks after `firstMs`, and `everyMs` after each answer, until this part of the page is left; not while the page is hidden. `ask`
 * tells of its failures itself. Gives a way to ask sooner: after what is under way, if anything is.
 */
export function useRounds(ask: () => Promise<unknown>, everyMs: () => number, firstMs = 0): (afterMs?: number) => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let [running, left] = [false, false];
  /** When to ask next, said while an answer was awaited. */
  let wantedMs: number | undefined;

  function plan(afterMs: number): void {
    clearTimeout(timer);
    if (!left) timer = setTimeout(() => void round(), afterMs);
  }
  async function round(): Promise<void> {
    running = true;
    try {
      if (!document.hidden) await ask();
    } finally {
      running = false;
      plan(wantedMs ?? everyMs());
      wantedMs = undefined;
    }
  }
  const again = (afterMs = 0): void => {
    if (running) wantedMs = afterMs;
    else plan(afterMs);
  };
  const shown = (): void => {
    if (!document.hidden) again();
  };
  document.addEventListener('visibilitychange', shown);
  onScopeDispose(() => {
    left = true;
    clearTimeout(timer);
    document.removeEventListener('visibilitychange', shown);
  });
  plan(firstMs);
  return again;
}
