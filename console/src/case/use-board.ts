// The cases that a page lists: all that are open, asked for every few seconds while somebody sees the page, and of those that are
// over as many as were asked for.
import { ConnectError } from '@connectrpc/connect';
import { ref, shallowRef, type Ref, type ShallowRef } from 'vue';
import { client } from '../bus/transport';
import { CaseService, CaseState, type Case } from '../gen/xueliang/v1/case_pb';
import { useRounds } from '../rounds';
import { overWith } from './board';
import { learnPlaces } from './places';
import { OPEN_STATES } from './timers';

const EVERY_MS = 5000;
const A_PAGE = 500;
/** Pages of open cases: beyond that the page says that there are more. */
const PAGES = 4;
const PAGE_OVER = 100;
const MOST_OVER = 1000;
const WITHIN = { timeoutMs: 20_000 };

const OVER_STATES = [
  CaseState.CLOSED, CaseState.FORCED_CLOSED, CaseState.FALSE_ALARM, CaseState.MERGED, CaseState.NOT_ACCEPTED,
  CaseState.CLEARED, CaseState.CANCELLED,
];

export interface Board {
  open: ShallowRef<Case[]>;
  over: ShallowRef<Case[]>;
  /** There are more open ones than are listed. */
  more: Ref<boolean>;
  /** There are older ones that are over. */
  older: Ref<boolean>;
  failure: Ref<string>;
  /** When the list was last whole, by this machine's clock; 0: never. */
  atMs: Ref<number>;
  /** Asks now: something was done. */
  again: () => void;
  /** Asks for older ones that are over. */
  askOlder: () => Promise<void>;
}

export function useBoard(wantsOver: () => boolean): Board {
  const service = client(CaseService);
  const open = shallowRef<Case[]>([]);
  const over = shallowRef<Case[]>([]);
  const [more, older] = [ref(false), ref(false)];
  const failure = ref('');
  const atMs = ref(0);
  let overToken = '';

  async function readOpen(): Promise<void> {
    const found: Case[] = [];
    let pageToken = '';
    for (let page = 0; page < PAGES; page++) {
      const told = await service.listCases({ states: [...OPEN_STATES], pageSize: A_PAGE, pageToken }, WITHIN);
      found.push(...told.cases);
      pageToken = told.nextPageToken;
      if (pageToken === '') break;
    }
    open.value = found;
    more.value = pageToken !== '';
  }

  async function latestOver(): Promise<Case[]> {
    const told = await service.listCases({ states: OVER_STATES, pageSize: PAGE_OVER }, WITHIN);
    if (over.value.length <= told.cases.length) {
      overToken = told.nextPageToken;
      older.value = overToken !== '';
    }
    return told.cases;
  }

  async function askOlder(): Promise<void> {
    if (overToken === '') return;
    try {
      const told = await service.listCases({ states: OVER_STATES, pageSize: PAGE_OVER, pageToken: overToken }, WITHIN);
      over.value = overWith(over.value, told.cases, open.value).slice(0, MOST_OVER);
      overToken = over.value.length >= MOST_OVER ? '' : told.nextPageToken;
      older.value = overToken !== '';
      void learnPlaces(told.cases);
    } catch (error) {
      failure.value = ConnectError.from(error).rawMessage;
    }
  }

  const again = useRounds(async () => {
    try {
      await readOpen();
      // Those that were asked for besides stay.
      over.value = overWith(wantsOver() ? await latestOver() : [], over.value, open.value).slice(0, MOST_OVER);
      failure.value = '';
      atMs.value = Date.now();
      void learnPlaces([...open.value, ...over.value]);
    } catch (error) {
      failure.value = ConnectError.from(error).rawMessage;
    }
  }, () => EVERY_MS);
  return { open, over, more, older, failure, atMs, again, askOlder };
}
