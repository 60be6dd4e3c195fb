// Numbers that were chosen on the page as values of the protocol's enumerations.

/** The value of an enumeration that a number is. */
export function valueOf<E extends number>(all: Record<string, string | E>, number: number): E {
  const found = Object.values(all).find((one): one is E => typeof one === 'number' && (one as number) === number);
  if (found === undefined) throw new RangeError(`${number} is none of ${Object.keys(all).join(', ')}`);
  return found;
}
