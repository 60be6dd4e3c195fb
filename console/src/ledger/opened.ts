// What is selected of a list of the record, and what is opened of it beside it, by keys as at the desks.
import { shallowRef, watch, type Ref, type ShallowRef } from 'vue';
import { useKeys } from '../keys';
import { useSelection } from '../selection';

export interface Opened<T> {
  selected: Ref<string | undefined>;
  /** As the list has it now, where the list has it. */
  opened: ShallowRef<T | undefined>;
  open: (row: T) => void;
}

/** Keys that move through the list. In what is opened they scroll. */
const MOVING = ['j', 'ArrowDown', 'k', 'ArrowUp'];

/** `focus` leads the keyboard to the list. */
export function useOpened<T>(rows: () => readonly T[], idOf: (row: T) => string, focus: () => void): Opened<T> {
  const opened = shallowRef<T>();
  function open(row: T): void {
    selected.value = idOf(row);
    opened.value = row;
  }
  function openKey(key: string): void {
    const row = rows().find((one) => idOf(one) === key);
    if (row !== undefined) open(row);
  }
  const { selected, pressed } = useSelection(() => rows().map(idOf), {
    moved: (key) => {
      if (opened.value === undefined) focus();
      else openKey(key);
    },
    open: openKey,
  });
  watch(rows, (rows) => {
    const before = opened.value;
    const fresh = before && rows.find((one) => idOf(one) === idOf(before));
    if (fresh !== undefined) opened.value = fresh;
  });
  useKeys((key) => {
    if (MOVING.includes(key) && document.activeElement?.closest('.panel')) return false;
    if (key !== 'Escape') return pressed(key);
    if (opened.value === undefined) return false;
    opened.value = undefined;
    return true;
  });
  return { selected, opened, open };
}
