// A list that a button opens: a click elsewhere closes it, and so does Esc, which leads back to the button.
import { onBeforeUnmount, onMounted, ref, type Ref } from 'vue';

export interface DropDown {
  open: Ref<boolean>;
  /** For `keydown.esc` of `root`. */
  escape: (event: Event) => void;
}

export function useDropDown(root: Ref<HTMLElement | null | undefined>, button: Ref<HTMLElement | null | undefined>): DropDown {
  const open = ref(false);
  function clicked(event: Event): void {
    if (event.target instanceof Node && !root.value?.contains(event.target)) open.value = false;
  }
  function escape(event: Event): void {
    if (!open.value) return;
    event.stopPropagation();
    open.value = false;
    button.value?.focus();
  }
  onMounted(() => {
    document.addEventListener('pointerdown', clicked);
  });
  onBeforeUnmount(() => {
    document.removeEventListener('pointerdown', clicked);
  });
  return { open, escape };
}
