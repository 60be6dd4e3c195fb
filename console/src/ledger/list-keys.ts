// A list and what is opened of it, by keys: as at the desks.
import { useKeys } from '../keys';

export interface KeyedList<T> {
  rows: () => readonly T[];
  idOf: (row: T) => string;
  /** What is selected; `undefined`: nothing. */
  selected: () => string | undefined;
  select: (row: T) => void;
  /** Whether something is opened: it is what is selected, then. */
  opened: () => boolean;
  open: (row: T) => void;
  close: () => void;
}

/** Keys that move through the list. In what is opened they scroll. */
const MOVING = ['j', 'ArrowDown', 'k', 'ArrowUp'];

export function useListKeys<T>(list: KeyedList<T>): void {
  const at = (): number => list.rows().findIndex((row) => list.idOf(row) === list.selected());
  function step(by: number): void {
    const rows = list.rows();
    const here = at();
    const row = rows[here < 0 ? 0 : Math.min(Math.max(here + by, 0), rows.length - 1)];
    if (row === undefined) return;
    if (list.opened()) list.open(row);
    else list.select(row);
  }
  useKeys((key) => {
    if (MOVING.includes(key) && document.activeElement?.closest('.panel')) return false;
    switch (key) {
      case 'j':
      case 'ArrowDown':
        step(1);
        break;
      case 'k':
      case 'ArrowUp':
        step(-1);
        break;
      case 'Enter': {
        const row = list.rows()[at()];
        if (row === undefined) return false;
        list.open(row);
        break;
      }
      case 'Escape':
        if (!list.opened()) return false;
        list.close();
        break;
      default:
        return false;
    }
    return true;
  });
}
