// A long list of which only the lines that are in view exist.
import { useVirtualizer, type Virtualizer } from '@tanstack/vue-virtual';
import { computed, nextTick, watch, type ComputedRef, type Ref } from 'vue';

/** What is listed. */
export interface Listed<T> {
  /** What scrolls. */
  scroller: Readonly<Ref<HTMLElement | null>>;
  items: () => readonly T[];
  keyOf: (one: T) => string;
  /** Pixels. */
  heightOf: (one: T) => number;
  /** The key of the line that is selected, listed or not. */
  selected: () => string | undefined;
  /** How far down the list begins, pixels. */
  beginPx?: number;
  /** Hears that the last lines come near: where there are more, they are to be asked for before their place comes into view. */
  end?: () => void;
}

/** A line that is in view, or near it. */
export interface Line<T> {
  one: T;
  key: string;
  index: number;
  start: number;
  size: number;
}

export interface Lines<T> {
  virtual: Ref<Virtualizer<HTMLElement, Element>>;
  shown: ComputedRef<Line<T>[]>;
  /** The key of the selected line where it exists just now. */
  active: ComputedRef<string | undefined>;
  focus: () => void;
}

/** Lines that exist above and below those in view. */
const BESIDE = 12;
/** Lines below those that exist, from which on the end is near. */
const AHEAD = 30;

export function useLines<T>(listed: Listed<T>): Lines<T> {
  const { scroller } = listed;
  const items = computed(listed.items);
  const virtual = useVirtualizer<HTMLElement, Element>(
    computed(() => {
      const all = items.value;
      return {
        count: all.length,
        getScrollElement: () => scroller.value,
        estimateSize: (at: number) => {
          const one = all[at];
          return one === undefined ? 0 : listed.heightOf(one);
        },
        getItemKey: (at: number) => {
          const one = all[at];
          return one === undefined ? at : listed.keyOf(one);
        },
        overscan: BESIDE,
        initialOffset: listed.beginPx ?? 0,
      };
    }),
  );
  // Lines need not be of one height: where they change places, all is measured anew.
  watch(items, () => {
    virtual.value.measure();
  });
  const shown = computed(() =>
    virtual.value.getVirtualItems().flatMap(({ index, start, size }): Line<T>[] => {
      const one = items.value[index];
      return one === undefined ? [] : [{ one, key: listed.keyOf(one), index, start, size }];
    }),
  );
  if (listed.end) {
    watch(
      shown,
      (lines) => {
        const last = lines.at(-1);
        if (last && last.index >= items.value.length - AHEAD) listed.end?.();
      },
      { immediate: true },
    );
  }
  const active = computed(() => shown.value.find((line) => line.key === listed.selected())?.key);
  /** What was selected by key, or elsewhere, comes into view. */
  watch(
    listed.selected,
    async (key) => {
      if (key === undefined) return;
      await nextTick();
      const at = items.value.findIndex((one) => listed.keyOf(one) === key);
      if (at >= 0) virtual.value.scrollToIndex(at, { align: 'auto' });
    },
    { immediate: true },
  );
  const focus = (): void => {
    scroller.value?.focus({ preventScroll: true });
  };
  return { virtual, shown, active, focus };
}
