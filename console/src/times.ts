// Moments and lengths of time in words. Moments are told in the site's zone, on a 24-hour clock.
import { i18n, language } from './i18n/i18n';
import { timezone } from './words';
import { stampIn } from './zone';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const formats = new Map<string, Intl.DateTimeFormat>();

function format(at: number, options: Intl.DateTimeFormatOptions): string {
  const key = `${language()} ${timezone()} ${JSON.stringify(options)}`;
  let made = formats.get(key);
  if (!made) {
    const locale = language() === 'zh' ? 'zh-CN' : 'en-GB';
    made = new Intl.DateTimeFormat(locale, { ...options, timeZone: timezone(), hourCycle: 'h23' });
    formats.set(key, made);
  }
  return made.format(at);
}

/** Hours, minutes and seconds. */
export function clock(at: number): string {
  return format(at, { hour: '2-digit', minute: '2-digit', second: '2-digit' });
}

/** A moment whose day counts. */
export function moment(at: number): string {
  return format(at, { month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit', second: '2-digit' });
}

/** A moment as people write it where nothing may be taken for granted: year, month, day and time, in the site's zone. */
export function stamp(at: number): string {
  return stampIn(at, timezone());
}

/** The time of day, and the day as well where it is not that of another moment. */
export function momentBeside(at: number, now: number): string {
  const day: Intl.DateTimeFormatOptions = { month: '2-digit', day: '2-digit' };
  return format(at, day) === format(now, day) ? clock(at) : moment(at);
}

/** The time of day; of another day its date, and no seconds. */
export function shortBeside(at: number, now: number): string {
  const day: Intl.DateTimeFormatOptions = { month: '2-digit', day: '2-digit' };
  if (format(at, day) === format(now, day)) return clock(at);
  return format(at, { ...day, hour: '2-digit', minute: '2-digit' });
}

/** A length of time in one unit, or in two where the second says something. */
export function lasting(length: number): string {
  const t = i18n.global.t;
  const ms = Math.max(0, length);
  if (ms < MINUTE) return t('time.seconds', { n: Math.floor(ms / SECOND) });
  if (ms < HOUR) {
    const seconds = Math.floor((ms % MINUTE) / SECOND);
    const minutes = t('time.minutes', { n: Math.floor(ms / MINUTE) });
    return seconds === 0 ? minutes : `${minutes} ${t('time.seconds', { n: seconds })}`;
  }
  if (ms < DAY) {
    return `${t('time.hours', { n: Math.floor(ms / HOUR) })} ${t('time.minutes', { n: Math.floor((ms % HOUR) / MINUTE) })}`;
  }
  return `${t('time.days', { n: Math.floor(ms / DAY) })} ${t('time.hours', { n: Math.floor((ms % DAY) / HOUR) })}`;
}

/** How long ago something was, in its largest unit. */
export function ago(length: number): string {
  const t = i18n.global.t;
  const ms = Math.max(0, length);
  if (ms < 2 * SECOND) return t('time.now');
  const units: [number, string][] = [[DAY, 'days'], [HOUR, 'hours'], [MINUTE, 'minutes'], [SECOND, 'seconds']];
  const [unit, name] = units.find(([unit]) => ms >= unit) ?? [SECOND, 'seconds'];
  return t('time.ago', { time: t(`time.${name}`, { n: Math.floor(ms / unit) }) });
}

/** A short length of time to the millisecond, or to the tenth of a second. */
export function precise(ms: number): string {
  if (ms < 1000) return `${Math.round(ms * 10) / 10} ms`;
  return ms < 60 * SECOND ? `${(ms / 1000).toFixed(1)} s` : lasting(ms);
}
