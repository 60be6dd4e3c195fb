// The session of this page.
import { bearing, carry, client, onRefused } from '../bus/transport';
import { onSession, tell } from '../feed/feed';
import { AccountService } from '../gen/xueliang/v1/account_pb';
import { Session } from './session';

/** In the tab's own storage: gone with the tab, and no other tab reads it. */
const KEPT = 'xueliang.session';
const ANSWER_WITHIN_MS = 5000;

const accounts = client(AccountService);

export const session = new Session({
  self: (token) => accounts.getSelf({}, { headers: bearing(token), timeoutMs: ANSWER_WITHIN_MS }),
  signOut: (token) => accounts.signOut({}, { headers: bearing(token), timeoutMs: ANSWER_WITHIN_MS }),
  carry,
  tell,
  kept: {
    get: () => sessionStorage.getItem(KEPT) ?? '',
    set: (token) => {
      if (token === '') sessionStorage.removeItem(KEPT);
      else sessionStorage.setItem(KEPT, token);
    },
  },
});

/** To be called before the page is connected with its worker. */
export function follow(): void {
  onRefused((token) => {
    session.refused(token);
  });
  onSession((message) => {
    if (message.type === 'session') session.told(message.token, message.ended);
    else session.changed();
  });
}
