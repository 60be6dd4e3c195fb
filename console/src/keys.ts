// The keyboard. Keys act wherever nobody writes and no dialog is open; what has a meaning to the browser keeps it.
import { onBeforeUnmount, onMounted } from 'vue';

/** The class of a dialog that takes digits. */
export const TAKES_DIGITS = 'takes-digits';
/** One that fades out takes none any more, and those that were meant for it may still come. */
const FADING_CHOICE = `.${TAKES_DIGITS}.dialog-fade-leave-active`;
/** A dialog that is open. One that fades out is not. */
const OPEN_DIALOG = '.el-overlay:not([style*="display: none"]):not(.dialog-fade-leave-active)';

/** Calls `act` with each key, and with whether a dialog that took digits fades out meanwhile; whether the key had a meaning there. */
export type ActOnKey = (key: string, fades: boolean) => boolean;

/** Whether an element has a meaning of its own for a key. */
function keeps(target: EventTarget | null, key: string): boolean {
  if (!(target instanceof HTMLElement)) return false;
  if (target.isContentEditable || ['TEXTAREA', 'SELECT'].includes(target.tagName)) return true;
  if (target instanceof HTMLInputElement) {
    // Nobody writes into a checkbox: the space bar is all that it takes.
    return target.type !== 'checkbox' || key === ' ';
  }
  // A button that has the focus is what Enter and the space bar mean.
  return (key === 'Enter' || key === ' ') && ['BUTTON', 'A'].includes(target.tagName);
}

/** Listens until what it gives back is called. */
export function listen(act: ActOnKey): () => void {
  /** Whether a dialog was open when the key was pressed: the dialog hears the key first, and may be closed by it. */
  let covered = false;
  const before = (): void => {
    covered = document.querySelector(OPEN_DIALOG) !== null;
  };
  const pressed = (event: KeyboardEvent): void => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (covered || keeps(event.target, event.key)) return;
    if (act(event.key, document.querySelector(FADING_CHOICE) !== null)) event.preventDefault();
  };
  window.addEventListener('keydown', before, true);
  document.addEventListener('keydown', pressed);
  return () => {
    window.removeEventListener('keydown', before, true);
    document.removeEventListener('keydown', pressed);
  };
}

/** The same while a part of the page is there. */
export function useKeys(act: ActOnKey): void {
  let stop: (() => void) | undefined;
  onMounted(() => {
    stop = listen(act);
  });
  onBeforeUnmount(() => stop?.());
}
