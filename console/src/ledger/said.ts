// Words that are kept: why something is done.

/** The service takes no fewer characters. */
const LEAST = 4;

/** Whether something is said that the service may take; it decides. */
export function isSaid(words: string): boolean {
  return Array.from(words.trim()).length >= LEAST;
}
