// Words that are kept: why something is done.

/** The service takes no fewer characters. */
const LEAST = 4;

/** Whether something is said that the service may take; it decides. */
export function isSaid(words: string): boolean {
  return Array.from(words.trim()).length >= LEAST;
}

/** Whether words stand there that are too few to be kept: where nothing has to be said nothing may, and this not. */
export function isTooShort(words: string): boolean {
  return words.trim() !== '' && !isSaid(words);
}
