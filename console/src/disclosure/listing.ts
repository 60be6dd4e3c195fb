// How releases and requests are listed.

/** The service tells so many at once. */
export const A_PAGE = 100;
export const WITHIN_MS = 20_000;
/** What another account did is seen within that time. */
export const EVERY_MS = 5000;
/** Pages of what was scrolled to that are asked for anew each time; what is older stays as it was read. */
export const PAGES = 10;

/** The state that an address asks for; 0: all. */
export function stateOf(said: unknown, most: number): number {
  if (typeof said !== 'string' || !/^\d{1,3}$/.test(said)) return 0;
  return Number(said) <= most ? Number(said) : 0;
}
