// Links that an administrator hands to the owner of a new account: `/#/set-up?token=TOKEN`. What follows the hash is sent to
// nobody, and so stands in no log of a server.

const SET_UP = '#/set-up?';

/** The one-time token of a link by what follows its hash; empty where there is none. */
export function tokenOfLink(hash: string): string {
  return hash.startsWith(SET_UP) ? (new URLSearchParams(hash.slice(SET_UP.length)).get('token') ?? '') : '';
}
