// Drafts of this tab, and how somebody came to the page.
import { watch } from 'vue';
import { session } from '../session/here';
import type { Keeping } from './editor';
import { read, written } from './kept';

/** In the tab's own storage, as its session is: gone with the tab, and no other tab reads it. */
const PREFIX = 'xueliang.rules.';

function account(): string | undefined {
  const state = session.state.value;
  return state.type === 'in' ? state.who.name : undefined;
}

/** The draft of a camera. */
export function keeping(cameraId: string): Keeping {
  const key = PREFIX + cameraId;
  return {
    get: () => read(sessionStorage.getItem(key), account()),
    set: (kept) => {
      const of = account();
      if (kept && of !== undefined) sessionStorage.setItem(key, written(kept, of));
      else sessionStorage.removeItem(key);
    },
  };
}

function wipe(): void {
  for (const key of Object.keys(sessionStorage)) if (key.startsWith(PREFIX)) sessionStorage.removeItem(key);
}
// The first seat of a page is whoever sat there before it was reloaded: they have what they had.
watch(session.seat, (_, before) => {
  if (before > 0) wipe();
}, { flush: 'sync' });
watch(session.state, (state) => {
  if (state.type === 'out') wipe();
}, { flush: 'sync' });

/** Whether somebody came by a link of the page: to look at pictures is to be registered, which no reload does by itself. */
export const arrival = { byHand: false };
