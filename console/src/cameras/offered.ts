// Which divisions are offered for a choice.
import type { DivisionChoice } from './here';

/** All that may be seen, or else those that a list names; the one that is asked for stands there in any case. */
export function offered(seen: readonly DivisionChoice[], names: ReadonlyMap<string, string>, chosen: string): readonly DivisionChoice[] {
  const named = [...names].map(([code, name]) => ({ code, name, depth: 0 })).sort((a, b) => (a.code < b.code ? -1 : 1));
  const all = seen.length > 0 ? seen : named;
  return chosen === '' || all.some((one) => one.code === chosen) ? all : [...all, { code: chosen, name: chosen, depth: 0 }];
}
