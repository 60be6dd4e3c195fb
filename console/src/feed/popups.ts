// Alerts of levels 1 and 2 that nobody has opened or put away since they came. Others only stand in the list.
import { ref } from 'vue';
import type { Row } from '../bus/messages';
import { isCritical } from './order';

/** Ids, newest first. Bounded as the list is: whoever is not in that any more is not shown. */
const MOST = 200;

export const popups = ref<string[]>([]);

/** New alerts have come. */
export function fresh(rows: Row[]): void {
  const critical = rows.filter(isCritical);
  if (critical.length === 0) return;
  const ids = critical.map((row) => row.id).reverse();
  popups.value = [...new Set([...ids, ...popups.value])].slice(0, MOST);
}

/** Somebody has opened it, or put it away. */
export function putAway(id: string): void {
  popups.value = popups.value.filter((one) => one !== id);
}
