// The points that are listed: all that match, so that the most pressing can stand first; the service tells them by camera.
import type { FiledPoint, ListPointsResponse } from '../gen/xueliang/v1/filing_pb';
import { byUrgency } from './due';

/** The service tells no more at once. */
export const A_PAGE = 1000;
/** More are not listed: the sheet of `xueliang sheet filing` has all. */
export const MOST = 5000;

/** Counts of all that may be seen. */
export type Counts = Pick<ListPointsResponse, 'inForce' | 'unfiled' | 'overdue' | 'changed' | 'withoutSign'>;

export interface Points {
  points: FiledPoint[];
  counts: Counts;
  /** There are no more than these. */
  complete: boolean;
}

/** Asks for the page that a token names; empty: the first. */
export type Ask = (pageToken: string) => Promise<ListPointsResponse>;

export async function gather(ask: Ask): Promise<Points> {
  let told = await ask('');
  const points = [...told.points];
  while (told.nextPageToken !== '' && points.length < MOST) {
    told = await ask(told.nextPageToken);
    points.push(...told.points);
  }
  const { inForce, unfiled, overdue, changed, withoutSign } = told;
  return { points: byUrgency(points.slice(0, MOST)), counts: { inForce, unfiled, overdue, changed, withoutSign }, complete: told.nextPageToken === '' && points.length <= MOST };
}
