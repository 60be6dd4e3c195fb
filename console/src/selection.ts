// Which line of a list is selected, and the keys that select and open.
import { ref, type Ref } from 'vue';

export interface Selection {
  /** The key of the line; it may be none that is listed. */
  selected: Ref<string | undefined>;
  /** Takes a key of the keyboard; whether it had a meaning. */
  pressed: (key: string) => boolean;
}

/** `keys`: the lines in their order. `moved` hears what was selected by key, `open` what is to be opened. */
export function useSelection(
  keys: () => readonly string[], { moved, open }: { moved: (key: string) => void; open: (key: string) => void },
): Selection {
  const selected = ref<string>();
  /** The next line or the one before; without a line that is listed the first or the last. */
  function step(by: number): void {
    const all = keys();
    const at = selected.value === undefined ? -1 : all.indexOf(selected.value);
    const next = at < 0 ? (by > 0 ? 0 : all.length - 1) : Math.min(Math.max(at + by, 0), all.length - 1);
    const key = all[next];
    if (key === undefined) return;
    selected.value = key;
    moved(key);
  }
  function pressed(key: string): boolean {
    switch (key) {
      case 'j':
      case 'ArrowDown':
        step(1);
        return true;
      case 'k':
      case 'ArrowUp':
        step(-1);
        return true;
      case 'Enter':
        // What nobody sees any more is not opened.
        if (selected.value === undefined || !keys().includes(selected.value)) return false;
        open(selected.value);
        return true;
      default:
        return false;
    }
  }
  return { selected, pressed };
}
