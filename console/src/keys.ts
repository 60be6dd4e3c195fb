// The keyboard. Keys act wherever nobody writes and no dialog is open; what has a meaning to the browser keeps it.
import { onBeforeUnmount, onMounted } from 'vue';

/** A dialog that is open. One that fades out is not. */
const OPEN_DIALOG = '.el-overlay:not([style*="display: none"]):not(.dialog-fade-leave-active)';

/** Calls `act` with each key; whether it had a meaning there. */
export function useKeys(act: (key: string) => boolean): void {
  const pressed = (event: KeyboardEvent): void => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    const target = event.target;
    if (target instanceof HTMLElement) {
      if (target.isContentEditable || ['INPUT', 'TEXTAREA', 'SELECT'].includes(target.tagName)) return;
      // A button that has the focus is what Enter and the space bar mean.
      if ((event.key === 'Enter' || event.key === ' ') && ['BUTTON', 'A'].includes(target.tagName)) return;
    }
    if (document.querySelector(OPEN_DIALOG)) return;
    if (act(event.key)) event.preventDefault();
  };
  onMounted(() => {
    document.addEventListener('keydown', pressed);
  });
  onBeforeUnmount(() => {
    document.removeEventListener('keydown', pressed);
  });
}
