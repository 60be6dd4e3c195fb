// What a clock in a zone shows.

/** A moment as people write it where nothing may be taken for granted: year, month, day and time. */
export function stampIn(at: number, timeZone: string): string {
  const digits: Intl.DateTimeFormatOptions = {
    year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23', timeZone,
  };
  const parts = new Map(new Intl.DateTimeFormat('en-GB', digits).formatToParts(at).map((one) => [one.type, one.value]));
  const part = (type: Intl.DateTimeFormatPartTypes): string => parts.get(type) ?? '';
  return `${part('year')}-${part('month')}-${part('day')} ${part('hour')}:${part('minute')}:${part('second')}`;
}
