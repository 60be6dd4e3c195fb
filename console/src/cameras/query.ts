// What is asked of the list of cameras: as it stands in the address of the page, and as the service is asked.
import { create } from '@bufbuild/protobuf';
import type { LocationQuery } from 'vue-router';
import { Kind } from '../gen/xueliang/v1/alert_pb';
import { CameraOrder, Granted, ListCamerasRequestSchema, Signal, type ListCamerasRequest } from '../gen/xueliang/v1/camera_pb';

/** What is chosen; nothing chosen in a field: all. */
export interface Choice {
  text: string;
  division: string;
  /** `undefined`: all; 0: of which nothing is known. */
  signal: Signal | undefined;
  kind: Kind | undefined;
  granted: Granted | undefined;
  troubled: boolean;
}

export const ALL: Choice = {
  text: '', division: '', signal: undefined, kind: undefined, granted: undefined, troubled: false,
};

/** The service takes no longer text. */
export const MAX_TEXT_BYTES = 100;

function number<T extends number>(value: unknown, most: T): T | undefined {
  if (typeof value !== 'string' || !/^\d{1,5}$/.test(value)) return undefined;
  const read = Number(value);
  return read <= most ? (read as T) : undefined;
}

/** As the address says; what it says wrongly is left out. */
export function choiceOf(query: LocationQuery): Choice {
  const text = (name: string): string => {
    const value = query[name];
    return typeof value === 'string' ? value : '';
  };
  return {
    text: cut(text('text')),
    division: text('division'),
    signal: number<Signal>(query['signal'], Signal.NOT_CONNECTED),
    kind: number<Kind>(query['kind'], Kind.MANUAL_REPORT),
    granted: number<Granted>(query['granted'], Granted.NOT_COVERED) || undefined,
    troubled: query['troubled'] === '1',
  };
}

/** What the address says of a choice; what is not chosen does not stand there. */
export function queryOf(choice: Choice): Record<string, string> {
  const said: Record<string, string | undefined> = {
    text: choice.text,
    division: choice.division,
    signal: choice.signal?.toString(),
    kind: choice.kind?.toString(),
    granted: choice.granted?.toString(),
    troubled: choice.troubled ? '1' : '',
  };
  return Object.fromEntries(Object.entries(said).filter((one): one is [string, string] => !!one[1]));
}

/** Text as long as the service takes it, cut between two characters. */
function cut(text: string): string {
  const encoder = new TextEncoder();
  let shorter = text;
  while (encoder.encode(shorter).length > MAX_TEXT_BYTES) shorter = Array.from(shorter).slice(0, -1).join('');
  return shorter;
}

/** The question, worst first. */
export function requestOf(choice: Choice, pageSize: number, pageToken = ''): ListCamerasRequest {
  return create(ListCamerasRequestSchema, {
    divisions: choice.division ? [choice.division] : [],
    signals: choice.signal === undefined ? [] : [choice.signal],
    kinds: choice.kind === undefined ? [] : [choice.kind],
    granted: choice.granted === undefined ? [] : [choice.granted],
    text: cut(choice.text),
    troubled: choice.troubled,
    order: CameraOrder.TROUBLE,
    pageSize,
    pageToken,
  });
}
