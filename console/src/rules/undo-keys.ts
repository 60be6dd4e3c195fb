// Ctrl+Z and Ctrl+Shift+Z (or Ctrl+Y), wherever nobody writes and no dialog is open: a field has its own.
import { onBeforeUnmount, onMounted } from 'vue';

const WRITES = 'input:not([type=checkbox]):not([type=radio]), textarea, [contenteditable=true]';
const OPEN_DIALOG = '.el-overlay:not([style*="display: none"]):not(.dialog-fade-leave-active)';

/** Which way a key leads; `undefined`: it is another one. */
export function wayOf(event: { key: string; ctrlKey: boolean; metaKey: boolean; altKey: boolean; shiftKey: boolean }): 'undo' | 'redo' | undefined {
  if (!(event.ctrlKey || event.metaKey) || event.altKey) return undefined;
  const key = event.key.toLowerCase();
  if (key === 'z') return event.shiftKey ? 'redo' : 'undo';
  return key === 'y' && !event.shiftKey ? 'redo' : undefined;
}

export function useUndoKeys(act: (way: 'undo' | 'redo') => void): void {
  const pressed = (event: KeyboardEvent): void => {
    const way = wayOf(event);
    if (!way || (event.target instanceof Element && event.target.matches(WRITES)) || document.querySelector(OPEN_DIALOG) !== null) return;
    event.preventDefault();
    act(way);
  };
  onMounted(() => {
    document.addEventListener('keydown', pressed);
  });
  onBeforeUnmount(() => {
    document.removeEventListener('keydown', pressed);
  });
}
