// What a page knows of the worker's alerts, and what it does when new ones come.
import { computed, ref, shallowRef, triggerRef } from 'vue';
import type { Row, Sight, Status, ToPage, ToWorker } from '../bus/messages';
import { deskOf, lines, type DeskName, type Line } from './order';

/** How often a page says that it is there. */
const ALIVE_EVERY_MS = 20_000;

const rows = shallowRef(new Map<string, Row>());
export const status = shallowRef<Status>();
export const sight = shallowRef<Sight>();
/** Whether this page rings for all pages of the browser. */
export const bellIsOurs = ref(false);
/** This machine's time, once a second. */
export const now = ref(Date.now());

/** The service's time. */
export const serverNow = computed(() => now.value + (status.value?.clockMs ?? 0));

const listed: Record<DeskName, { value: Line[] }> = {
  hazards: computed(() => lines(rows.value.values(), 'hazards')),
  ops: computed(() => lines(rows.value.values(), 'ops')),
};

/** The lines of a desk. */
export function linesOf(desk: DeskName): Line[] {
  return listed[desk].value;
}

/** How many alerts of a desk fire, and how many of them are of the most urgent lane. */
export function firing(desk: DeskName): { all: number; critical: number } {
  const heads = listed[desk].value.flatMap((line) => (line.type === 'head' && line.lane !== undefined ? line.count : []));
  return { all: heads.reduce((sum, one) => sum + one, 0), critical: heads[0] ?? 0 };
}

/** An alert that is in the list; reactive. */
export function rowById(id: string): Row | undefined {
  return rows.value.get(id);
}

let send: (message: ToWorker) => void = () => undefined;
let rings: (rows: Row[]) => void = () => undefined;
let sessions: (message: SessionMessage) => void = () => undefined;

/** What the worker says of the session of this browser. */
export type SessionMessage = Extract<ToPage, { type: 'session' | 'rights' }>;

/** Says something to the worker. */
export function tell(message: ToWorker): void {
  send(message);
}

/** Who is called with alerts that are new or got worse. */
export function onFresh(ring: (rows: Row[]) => void): void {
  rings = ring;
}

/** Who is called with what the worker says of the session. */
export function onSession(told: (message: SessionMessage) => void): void {
  sessions = told;
}

/** Connects the page with its worker, once. */
export function connect(): void {
  if ('SharedWorker' in window) {
    const worker = new SharedWorker(new URL('../bus/worker.ts', import.meta.url), { type: 'module', name: 'xueliang' });
    worker.port.onmessage = (message: MessageEvent<ToPage>) => {
      take(message.data);
    };
    send = (message) => {
      worker.port.postMessage(message);
    };
  } else {
    const worker = new Worker(new URL('../bus/worker.ts', import.meta.url), { type: 'module' });
    worker.onmessage = (message: MessageEvent<ToPage>) => {
      take(message.data);
    };
    send = (message) => {
      worker.postMessage(message);
    };
  }
  setInterval(() => {
    send({ type: 'alive' });
  }, ALIVE_EVERY_MS);
  setInterval(() => {
    now.value = Date.now();
  }, 1000);
  window.addEventListener('pagehide', () => {
    send({ type: 'bye' });
  });
  // A page that comes back from the browser's cache was given up by the worker: it begins anew.
  window.addEventListener('pageshow', (event) => {
    if (event.persisted) location.reload();
  });
  document.addEventListener('visibilitychange', sayPainted);
}

function take(message: ToPage): void {
  switch (message.type) {
    case 'all':
      rows.value = new Map(message.rows.map((row) => [row.id, row]));
      status.value = message.status;
      sight.value = message.sight;
      toPaint(message.upTo);
      break;
    case 'changes': {
      const known = rows.value;
      for (const id of message.removed) known.delete(id);
      for (const row of message.rows) known.set(row.id, row);
      if (message.rows.length + message.removed.length > 0) triggerRef(rows);
      const fresh = message.fresh.flatMap((id) => known.get(id) ?? []);
      if (fresh.length > 0) rings(fresh);
      toPaint(message.upTo);
      break;
    }
    case 'status':
      status.value = message.status;
      break;
    case 'sight':
      sight.value = message.sight;
      break;
    case 'bell':
      bellIsOurs.value = message.yours;
      break;
    case 'session':
    case 'rights':
      sessions(message);
      break;
  }
}

/** Nobody acts in front of this page: what it shows is not acknowledged. */
let nobody = false;

export function unattended(is: boolean): void {
  nobody = is;
  if (!is) sayPainted();
}

let unpainted = 0;
let saying = false;

function toPaint(upTo: number): void {
  unpainted = upTo;
  sayPainted();
}

/** Says what has been painted, once it has: the browser calls back before it paints, and once more when it has. */
function sayPainted(): void {
  if (saying || nobody || document.hidden || unpainted === 0) return;
  saying = true;
  requestAnimationFrame(() => {
    const upTo = unpainted;
    requestAnimationFrame(() => {
      saying = false;
      // Hidden in between: nobody has seen it.
      if (nobody || document.hidden) return;
      send({ type: 'painted', upTo });
      if (unpainted === upTo) unpainted = 0;
      else sayPainted();
    });
  });
}

/** Alerts that were told and are not on disk yet. */
export const volatileCount = computed(() => [...rows.value.values()].filter((row) => row.volatile).length);

/** The desk that an alert belongs to; `undefined` for one that is not in the list. */
export function deskById(id: string): DeskName | undefined {
  const row = rows.value.get(id);
  return row && deskOf(row);
}
