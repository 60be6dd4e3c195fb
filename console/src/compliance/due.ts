// Which points are to be filed (备案), and how long there is yet.
import { valueOf } from '../case/enumeration';
import { FilingStatus, type FiledPoint } from '../gen/xueliang/v1/filing_pb';

/** From so many days on a deadline is marked: a filing takes the unit about a week. */
export const SOON_DAYS = 7;

/** How a point stands to its deadline. A change is to be filed promptly: the law names no days. */
export type Due =
  | { is: 'over' | 'soon' | 'ahead'; days: number }
  | { is: 'unknown' | 'promptly' | 'nothing' };

export function dueOf(point: FiledPoint): Due {
  switch (point.status) {
    case FilingStatus.UNFILED: {
      const days = point.daysLeft;
      if (days === undefined) return { is: 'unknown' };
      if (days < 0) return { is: 'over', days: -days };
      return { is: days <= SOON_DAYS ? 'soon' : 'ahead', days };
    }
    case FilingStatus.CHANGED:
    case FilingStatus.REMOVED:
      return { is: 'promptly' };
    default:
      return { is: 'nothing' };
  }
}

/** Where a point stands in the list: overdue ones first, then by the days that are left, then what is to be filed promptly. */
function rank(point: FiledPoint): number {
  const due = dueOf(point);
  switch (due.is) {
    case 'over': return -due.days;
    case 'soon':
    case 'ahead': return due.days;
    case 'unknown': return 1e6;
    case 'promptly': return 2e6;
    case 'nothing': return 3e6;
  }
}

/** The most pressing first; of equals by camera. */
export function byUrgency(points: readonly FiledPoint[]): FiledPoint[] {
  const id = (one: FiledPoint): string => one.facts?.cameraId ?? '';
  return [...points].sort((a, b) => rank(a) - rank(b) || (id(a) < id(b) ? -1 : 1));
}

/** What is listed: all that is to be filed, one status, or all. */
export type Shown = 'due' | 'all' | FilingStatus;

/** As the address says it; what it says wrongly is what is to be filed. */
export function shownOf(said: unknown): Shown {
  if (said === 'all') return 'all';
  const number = typeof said === 'string' && /^[1-4]$/.test(said) ? Number(said) : 0;
  return number === 0 ? 'due' : valueOf<FilingStatus>(FilingStatus, number);
}

/** What the service is asked for; none: all. */
export function statusesOf(shown: Shown): FilingStatus[] {
  if (shown === 'all') return [];
  return shown === 'due' ? [FilingStatus.UNFILED, FilingStatus.CHANGED, FilingStatus.REMOVED] : [shown];
}
