// The address of a handler's link. The token stands behind the hash, which a browser sends to nobody: it is in no log of a server.

/** The page that a link opens, with the token. */
export function linkOf(origin: string, token: string): string {
  return `${origin}/h.html#${token}`;
}

/** Whether an address leads to the machine that opens it, and so to nowhere on a telephone. */
export function isLocal(url: string): boolean {
  const { hostname } = new URL(url);
  return hostname === 'localhost' || hostname === '[::1]' || hostname.startsWith('127.');
}
