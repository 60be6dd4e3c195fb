// The keyboard. Keys act wherever nobody writes and no dialog is open; what has a meaning to the browser keeps it.
import { onBeforeUnmount, onMounted } from 'vue';

/** For so long after a dialog that took digits has closed a digit is meant for it: a hand is faster than an eye. */
const LATE_MS = 500;
/** A dialog that is open. One that fades out is not. */
const OPEN_DIALOG = '.el-overlay:not([style*="display: none"]):not(.dialog-fade-leave-active)';

/** Acts on a key; whether it had a meaning. `late`: a digit would be meant for a dialog that has just closed. */
export type ActOnKey = (key: string, late: boolean) => boolean;

let lateUntilMs = 0;

/** A dialog that took digits has closed. */
export function digitsWereTaken(): void {
  lateUntilMs = performance.now() + LATE_MS;
}

/** Whether an element has a meaning of its own for a key. */
function keeps(target: EventTarget | null, key: string): boolean {
  if (!(target instanceof HTMLElement)) return false;
  if (target.isContentEditable || ['TEXTAREA', 'SELECT'].includes(target.tagName)) return true;
  if (target instanceof HTMLInputElement) {
    // Nobody writes into a checkbox: the space bar is all that it takes.
    return target.type !== 'checkbox' || key === ' ';
  }
  // A map that has the focus is zoomed by them.
  if (['-', '=', '+'].includes(key) && target.closest('.leaflet-container')) return true;
  // A button, a link or the head of a fold that has the focus is what Enter and the space bar mean.
  return (key === 'Enter' || key === ' ') && ['BUTTON', 'A', 'SUMMARY'].includes(target.tagName);
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
    if (act(event.key, performance.now() < lateUntilMs)) event.preventDefault();
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
