// What a shift leaves to the next, as of one moment: what is asked for, and each part by itself, so that what cannot be had keeps
// nothing else away and is said on the sheet.
import { create } from '@bufbuild/protobuf';
import { AlertState, Kind, type ListAlertsRequest, type ListAlertsResponse, type Record as AlertRecord } from '../gen/xueliang/v1/alert_pb';
import type { SummariseCamerasResponse } from '../gen/xueliang/v1/camera_pb';
import type { Case, ListCasesResponse } from '../gen/xueliang/v1/case_pb';
import { CaseStatisticsSchema, type CaseStatistics, type GetCaseStatisticsResponse } from '../gen/xueliang/v1/statistics_pb';
import type { ListSilencesResponse, Silence } from '../gen/xueliang/v1/suppression_pb';
import type { Where } from '../case/places';

/** Cases that a sheet lists: beyond that it says that there are more. */
export const MOST_CASES = 2000;
const A_PAGE = 500;
/** Silences that are looked through. */
const MOST_SILENCES = 5000;
const A_THOUSAND = 1000;

/** Faults of what watches, which say that the rest of the sheet may not be whole. */
export const FAULTS = [Kind.STORAGE_FAULT, Kind.RECORD_GAP, Kind.CLOCK_DRIFT, Kind.ANALYZER_DOWN, Kind.COVERAGE_GAP, Kind.UPSTREAM_DOWN] as const;

/** The services, as a sheet needs them. */
export interface Services {
  cases(pageSize: number, pageToken: string): Promise<ListCasesResponse>;
  /** What came of the cases that were opened since. */
  statistics(fromMs: number): Promise<GetCaseStatisticsResponse>;
  places(alertIds: string[]): Promise<Map<string, Where>>;
  silences(pageSize: number, pageToken: string): Promise<ListSilencesResponse>;
  /** What cameras are called, as far as that is known. */
  cameraNames(ids: string[]): Promise<Map<string, string>>;
  /** `undefined`: whoever asks may not see cameras. */
  cameras: (() => Promise<SummariseCamerasResponse>) | undefined;
  alerts(request: Pick<ListAlertsRequest, 'state' | 'pageSize'> & { kinds: Kind[] }): Promise<ListAlertsResponse>;
}

/** A part of the sheet: what was told, or why it was not. */
export type Part<T> = { told: T } | { failure: string };

export interface Gathered {
  cases: Part<{ cases: Case[]; places: Map<string, Where>; more: boolean }>;
  /** What came of the cases that were opened in this shift. */
  shift: Part<CaseStatistics>;
  silences: Part<{ silences: Silence[]; cameras: Map<string, string>; more: boolean }>;
  /** `undefined`: not for whoever asks. */
  cameras: Part<SummariseCamerasResponse> | undefined;
  faults: Part<{ records: AlertRecord[]; more: boolean }>;
}

async function part<T>(ask: () => Promise<T>, words: (error: unknown) => string): Promise<Part<T>> {
  try {
    return { told: await ask() };
  } catch (error) {
    return { failure: words(error) };
  }
}

async function cases(services: Services): Promise<{ cases: Case[]; places: Map<string, Where>; more: boolean }> {
  const found: Case[] = [];
  let token = '';
  do {
    const told = await services.cases(A_PAGE, token);
    found.push(...told.cases);
    token = told.nextPageToken;
  } while (token !== '' && found.length < MOST_CASES);
  const places = new Map<string, Where>();
  const ids = found.map((one) => one.subject?.alertId ?? '').filter((id) => id !== '');
  for (let at = 0; at < ids.length; at += A_THOUSAND) {
    for (const [id, place] of await services.places(ids.slice(at, at + A_THOUSAND))) places.set(id, place);
  }
  return { cases: found.slice(0, MOST_CASES), places, more: token !== '' || found.length > MOST_CASES };
}

async function silences(services: Services): Promise<{ silences: Silence[]; cameras: Map<string, string>; more: boolean }> {
  const found: Silence[] = [];
  let token = '';
  do {
    const told = await services.silences(A_THOUSAND, token);
    found.push(...told.silences);
    token = told.nextPageToken;
  } while (token !== '' && found.length < MOST_SILENCES);
  const cameras = await services.cameraNames(found.flatMap((one) => one.scope?.cameraIds ?? []));
  return { silences: found, cameras, more: token !== '' };
}

async function faults(services: Services): Promise<{ records: AlertRecord[]; more: boolean }> {
  const told = await services.alerts({ kinds: [...FAULTS], state: AlertState.FIRING, pageSize: A_PAGE });
  return { records: told.records, more: told.nextPageToken !== '' };
}

/** `fromMs`: when the shift began; `words`: why something could not be had. */
export async function gather(services: Services, fromMs: number, words: (error: unknown) => string): Promise<Gathered> {
  const { cameras: ask } = services;
  const [ofCases, ofShift, ofSilences, ofCameras, ofFaults] = await Promise.all([
    part(() => cases(services), words), part(async () => (await services.statistics(fromMs)).total ?? create(CaseStatisticsSchema), words), part(() => silences(services), words), ask && part(ask, words), part(() => faults(services), words),
  ]);
  return { cases: ofCases, shift: ofShift, silences: ofSilences, cameras: ofCameras, faults: ofFaults };
}
