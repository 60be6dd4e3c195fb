// What is asked of all cases: as it stands in the address of the page, and as the service is asked.
import { create } from '@bufbuild/protobuf';
import type { LocationQuery } from 'vue-router';
import { valueOf } from '../case/enumeration';
import { isOpen, OPEN_STATES } from '../case/timers';
import { beginOf, dayAfter, isSensibleDay, micros } from '../days';
import { Kind, Level } from '../gen/xueliang/v1/alert_pb';
import {
  CancelReason, CaseFlag, CaseState, FalseAlarmReason, ListCasesRequestSchema, NotAcceptedReason, type ListCasesRequest,
} from '../gen/xueliang/v1/case_pb';

/** What is chosen; nothing chosen in a field: all. */
export interface Choice {
  /** The first day, and the last one, both included. */
  from: string;
  to: string;
  division: string;
  camera: string;
  kind: Kind | undefined;
  level: Level | undefined;
  /** One state, or all that are open or over. */
  state: CaseState | 'open' | 'over' | undefined;
  flag: CaseFlag | undefined;
  /** A verdict and its reason. */
  reason: Reason | undefined;
  /** A case's number, or how it begins. */
  number: string;
  /** Only what people reported and the machine had missed. */
  misses: boolean;
}

/** Why a case came to nothing. */
export interface Reason {
  of: keyof typeof REASONS;
  number: number;
}

/** Verdicts that have reasons, and the names of these in the protocol. */
export const REASONS = { false: 'FalseAlarmReason', declined: 'NotAcceptedReason', void: 'CancelReason' } as const;

export const ALL: Choice = {
  from: '', to: '', division: '', camera: '', kind: undefined, level: undefined, state: undefined, flag: undefined,
  reason: undefined, number: '', misses: false,
};

/** Why a choice cannot be asked for; `undefined`: it can. */
export function faultOf(choice: Choice): 'days' | 'number' | undefined {
  if (choice.from !== '' && choice.to !== '' && choice.from > choice.to) return 'days';
  return choice.number === '' || /^\d{20,29}$/.test(choice.number) ? undefined : 'number';
}

function value<E extends number>(all: Record<string, string | E>, told: string): E | undefined {
  if (!/^[1-9]\d{0,4}$/.test(told)) return undefined;
  return Object.values(all).includes(Number(told) as E) ? valueOf(all, Number(told)) : undefined;
}

function reasonOf(told: string): Reason | undefined {
  const [of = '', number = ''] = told.split('-');
  const known = { false: value(FalseAlarmReason, number), declined: value(NotAcceptedReason, number), void: value(CancelReason, number) };
  if (of !== 'false' && of !== 'declined' && of !== 'void') return undefined;
  const found = known[of];
  return found === undefined ? undefined : { of, number: found };
}

/** A reason as the address says it. */
export function reasonText(reason: Reason | undefined): string {
  return reason ? `${reason.of}-${reason.number}` : '';
}

/** As the address says; what it says wrongly is left out. */
export function choiceOf(query: LocationQuery): Choice {
  const text = (name: string): string => {
    const told = query[name];
    return typeof told === 'string' ? told : '';
  };
  const day = (name: string): string => (isSensibleDay(text(name)) ? text(name) : '');
  const state = text('state');
  return {
    from: day('from'),
    to: day('to'),
    division: text('division'),
    camera: text('camera'),
    kind: value(Kind, text('kind')),
    level: value(Level, text('level')),
    state: state === 'open' || state === 'over' ? state : value(CaseState, state),
    flag: value(CaseFlag, text('flag')),
    reason: reasonOf(text('reason')),
    number: text('number'),
    misses: text('misses') === '1',
  };
}

/** What the address says of a choice; what is not chosen does not stand there. */
export function queryOf(choice: Choice): Record<string, string> {
  const said: Record<string, string | undefined> = {
    from: choice.from,
    to: choice.to,
    division: choice.division,
    camera: choice.camera,
    kind: choice.kind?.toString(),
    level: choice.level?.toString(),
    state: choice.state?.toString(),
    flag: choice.flag?.toString(),
    reason: reasonText(choice.reason),
    number: choice.number,
    misses: choice.misses ? '1' : '',
  };
  return Object.fromEntries(Object.entries(said).filter((one): one is [string, string] => !!one[1]));
}

const OVER_STATES = Object.values(CaseState).filter((one): one is CaseState => typeof one === 'number' && one !== CaseState.UNSPECIFIED && !isOpen(one));

function statesOf(state: Choice['state']): CaseState[] {
  if (state === undefined) return [];
  if (state === 'open') return [...OPEN_STATES];
  return state === 'over' ? [...OVER_STATES] : [state];
}

/** The question, latest opened first. Days are those of a zone. */
export function requestOf(choice: Choice, zone: string, pageSize: number, pageToken = ''): ListCasesRequest {
  const reasons = <E extends number>(of: Reason['of'], all: Record<string, string | E>): E[] =>
    choice.reason?.of === of ? [valueOf(all, choice.reason.number)] : [];
  return create(ListCasesRequestSchema, {
    filter: {
      divisions: choice.division ? [choice.division] : [],
      cameraIds: choice.camera ? [choice.camera] : [],
      kinds: choice.kind === undefined ? [] : [choice.kind],
    },
    levels: choice.level === undefined ? [] : [choice.level],
    states: statesOf(choice.state),
    flags: choice.flag === undefined ? [] : [choice.flag],
    falseAlarmReasons: reasons<FalseAlarmReason>('false', FalseAlarmReason),
    notAcceptedReasons: reasons<NotAcceptedReason>('declined', NotAcceptedReason),
    cancelReasons: reasons<CancelReason>('void', CancelReason),
    number: choice.number,
    onlyMisses: choice.misses,
    fromUnixUs: micros(beginOf(choice.from, zone)),
    toUnixUs: micros(beginOf(choice.to === '' ? '' : dayAfter(choice.to, 1), zone)),
    // It is counted once, with the first page.
    withTotal: pageToken === '',
    pageSize,
    pageToken,
  });
}
