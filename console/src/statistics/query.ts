// Of what statistics are: as the address of the page says it, and as the service is asked.
import { create } from '@bufbuild/protobuf';
import type { LocationQuery } from 'vue-router';
import { beginOf, dayAfter, isDay, micros } from '../days';
import { GetCaseStatisticsRequestSchema, type GetCaseStatisticsRequest, type StatisticsKey } from '../gen/xueliang/v1/statistics_pb';

/** A stretch of time and a place. */
export interface Choice {
  /** The first day and the last one, both included. */
  from: string;
  to: string;
  /** A division with all below it; empty: all. */
  division: string;
  drills: boolean;
}

/** What is shown where the address says nothing. */
const USUAL_DAYS = 31;
/** The service counts no more at once. */
export const MOST_DAYS = 366;

/** As the address says; what it says wrongly is left out. `today`: the site's day. */
export function choiceOf(query: LocationQuery, today: string): Choice {
  const text = (name: string): string => {
    const told = query[name];
    return typeof told === 'string' ? told : '';
  };
  const to = isDay(text('to')) ? text('to') : today;
  const from = isDay(text('from')) ? text('from') : dayAfter(to, 1 - USUAL_DAYS);
  return { from, to, division: text('division'), drills: text('drills') === '1' };
}

/** What the address says of a choice. */
export function queryOf(choice: Choice): Record<string, string> {
  const { from, to, division } = choice;
  return { from, to, ...(division ? { division } : {}), ...(choice.drills ? { drills: '1' } : {}) };
}

/** Why a choice cannot be asked for; `undefined`: it can. */
export function faultOf(choice: Choice): 'days' | 'long' | undefined {
  if (choice.from > choice.to) return 'days';
  return choice.from < dayAfter(choice.to, 1 - MOST_DAYS) ? 'long' : undefined;
}

/** The days of a choice, in order. */
export function daysOf(choice: Choice): string[] {
  const days: string[] = [];
  for (let day = choice.from; day <= choice.to && days.length < MOST_DAYS; day = dayAfter(day, 1)) days.push(day);
  return days;
}

/**
 * How deep divisions are told apart, the root being 1: one step below the one that is asked for, or below the only one that
 * stands above all others that are to be seen.
 */
export function depthOf(divisions: readonly { code: string; depth: number }[], chosen: string): number {
  const asked = divisions.find((one) => one.code === chosen);
  if (asked) return asked.depth + 2;
  if (divisions.length === 0) return 0;
  const top = Math.min(...divisions.map((one) => one.depth));
  return divisions.filter((one) => one.depth === top).length === 1 ? top + 2 : top + 1;
}

/** The question. Days are those of a zone. */
export function requestOf(choice: Choice, zone: string, by: StatisticsKey, depth: number, pageSize: number): GetCaseStatisticsRequest {
  return create(GetCaseStatisticsRequestSchema, {
    filter: { divisions: choice.division ? [choice.division] : [] },
    fromUnixUs: micros(beginOf(choice.from, zone)),
    toUnixUs: micros(beginOf(dayAfter(choice.to, 1), zone)),
    withDrills: choice.drills,
    by: [by],
    divisionDepth: depth,
    pageSize,
  });
}
