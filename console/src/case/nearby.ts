// Cases near another one: those it may be part of, and what its place has seen lately.
import { client } from '../bus/transport';
import { CaseService, CaseState, type Case } from '../gen/xueliang/v1/case_pb';
import { OPEN_STATES } from './timers';

const HOUR_US = 3_600_000_000n;
const DAY_US = 24n * HOUR_US;
const MOST = 100;
const WITHIN = { timeoutMs: 10_000 };

/** The division that a case lies in itself; empty where that is not known. */
function divisionOf(one: Case): string {
  return one.subject?.divisionPath.at(-1) ?? '';
}

/** Of some cases those that another may be merged into: open, whole, with a number, and not itself; those of its camera first. */
export function mergeable(one: Case, others: readonly Case[]): Case[] {
  const here = (other: Case): number => (other.subject?.cameraId === one.subject?.cameraId ? 0 : 1);
  return others
    .filter((other) => other.number !== '' && other.number !== one.number && !one.absorbed.includes(other.number))
    .filter((other) => OPEN_STATES.includes(other.state) && !other.damaged)
    .sort((a, b) => here(a) - here(b));
}

/** What a case may be merged into. */
export async function nearby(one: Case): Promise<Case[]> {
  const division = divisionOf(one);
  const request = {
    filter: division === '' ? { cameraIds: [one.subject?.cameraId ?? ''] } : { divisions: [division] },
    states: [...OPEN_STATES],
    fromUnixUs: one.openedUnixUs - DAY_US,
    toUnixUs: one.openedUnixUs + DAY_US,
    pageSize: MOST,
  };
  return mergeable(one, (await client(CaseService).listCases(request, WITHIN)).cases);
}

/** What a place has seen. */
export interface Lately {
  cases: Case[];
  falseAlarms: number;
  /** There were more than could be listed. */
  more: boolean;
}

/** What the camera of a case, or its division, saw within 30 days before now, without the case itself. */
export async function lately(one: Case, wide: boolean, nowMs: number, signal: AbortSignal): Promise<Lately> {
  const division = divisionOf(one);
  const filter = wide && division !== '' ? { divisions: [division] } : { cameraIds: [one.subject?.cameraId ?? ''] };
  const fromUnixUs = BigInt(Math.round(nowMs)) * 1000n - 30n * DAY_US;
  const told = await client(CaseService).listCases({ filter, fromUnixUs, pageSize: MOST }, { ...WITHIN, signal });
  const own = one.subject?.alertId ?? '';
  const cases = told.cases.filter((other) => (own === '' ? other.number !== one.number : other.subject?.alertId !== own));
  return {
    cases,
    falseAlarms: cases.filter((other) => other.state === CaseState.FALSE_ALARM).length,
    more: told.nextPageToken !== '',
  };
}
