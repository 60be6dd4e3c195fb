// The worker that holds the stream: one for all pages of a browser where it can be shared, otherwise one a page.
import {
  AlertService,
  AlertState,
  CloseReason,
  ListAlertsRequestSchema,
  type ListAlertsResponse,
  type Record as AlertRecord,
  type SubscribeResponse,
} from '../gen/xueliang/v1/alert_pb';
import { CameraService } from '../gen/xueliang/v1/camera_pb';
import { create } from '@bufbuild/protobuf';
import { KeptPlaces, database } from './kept-places';
import { Hub, type Page } from './hub';
import type { Seated, ToPage, ToWorker } from './messages';
import { ms } from './row';
import { Seat } from './seat';
import { carry, client, onRefused } from './transport';
import { Watcher } from './watcher';

/** What cameras see is asked for this often. */
const SIGHT_EVERY_MS = 5000;
/** Ended alerts that a page begins with: about what a shift leafs back through. */
const ENDED = 200;
/** Alerts that fire are asked for so many at once, and no further than this: the list counts what it has no room for. */
const A_PAGE = 1000;
const PAGES = 20;

const alerts = client(AlertService);
const cameras = client(CameraService);
const hub = new Hub();
const shared = self as { onconnect?: ((event: MessageEvent) => void) | null };
/** Where the worker is not shared, each page has a place of its own, and none is kept. */
const places = 'onconnect' in shared && 'indexedDB' in self ? new KeptPlaces(database()) : undefined;
const seat = new Seat({
  carry,
  clear: () => {
    hub.clear();
  },
  watch: (seated, stop) => {
    if (seated.alerts) void watch(seated, stop);
    if (seated.cameras) void look(stop);
  },
  say: (message) => {
    hub.say(message);
  },
  forget: (account) => {
    places?.forget(account);
  },
});
onRefused((token) => {
  seat.left(token, 'ended');
});

/** Tells pages of a change of their rights, which ends a stream and is otherwise the watcher's affair. */
async function* noting(items: AsyncIterable<SubscribeResponse>): AsyncIterable<SubscribeResponse> {
  for await (const response of items) {
    const item = response.item;
    if (item.case === 'closed' && item.value.reason === CloseReason.RIGHTS_CHANGED) hub.say({ type: 'rights' });
    yield response;
  }
}

/** A page of alerts that is asked for beside the stream is given up after so long, and asked for again. */
const ASK_MS = 20_000;

async function watch({ account, scope }: Seated, stop: AbortSignal): Promise<void> {
  const cursor = (await places?.of(account, scope)) ?? new Uint8Array();
  if (stop.aborted) return;
  const watcher = new Watcher(
    {
      subscribe: (wanted, signal) => noting(alerts.subscribe(wanted, { signal })),
      acknowledge: (one, withinMs) => alerts.acknowledge(one, { timeoutMs: withinMs }),
    },
    // Without a name: each browser has a place of its own, where it goes on, or begins with what is active.
    { subscription: '', cursor },
    (event) => {
      if (!stop.aborted) hub.event(event);
    },
  );
  hub.attach({
    shown: (event) => {
      const before = watcher.cursor;
      watcher.shown(event);
      if (watcher.cursor !== before) places?.keep(account, scope, watcher.cursor);
    },
    resumed: cursor.length > 0,
    active: async () => {
      const found: AlertRecord[] = [];
      let pageToken = '';
      for (let page = 0; page === 0 || (page < PAGES && pageToken !== ''); page++) {
        const told = await alerts.listAlerts({ state: AlertState.FIRING, pageSize: A_PAGE, pageToken }, { signal: stop, timeoutMs: ASK_MS });
        found.push(...shownOf(told));
        pageToken = told.nextPageToken;
      }
      return found;
    },
    ended: async () => {
      return shownOf(await alerts.listAlerts({ state: AlertState.RESOLVED, pageSize: ENDED }, { signal: stop, timeoutMs: ASK_MS }));
    },
    fetch: async (alertIds) => {
      const pageSize = alertIds.length;
      return (await alerts.listAlerts(create(ListAlertsRequestSchema, { alertIds, pageSize }), { signal: stop, timeoutMs: ASK_MS })).records;
    },
  });
  void watcher.run(stop);
}

/** Those of an answer that are not held back. */
function shownOf(told: ListAlertsResponse): AlertRecord[] {
  const suppressed = new Set(told.suppressedAlertIds);
  return told.records.filter((one) => !suppressed.has(one.alert?.alertId ?? ''));
}

async function look(stop: AbortSignal): Promise<void> {
  try {
    const told = await cameras.summariseCameras({}, { timeoutMs: SIGHT_EVERY_MS, signal: stop });
    if (stop.aborted) return;
    hub.sees({
      cameras: told.cameras,
      blind: told.blind,
      criticalLost: told.criticalLost,
      notCovered: told.notCovered,
      troubles: told.troubles.map((one) => ({
        cameraId: one.cameraId,
        name: one.name,
        blind: one.blind,
        signal: one.signal,
        sinceMs: ms(one.sinceUnixUs),
        picture: one.picture,
        notLooked: one.notLooked,
        criticalLost: one.criticalLost,
        detail: one.detail,
      })),
      toldMs: Date.now(),
      reported: told.reportedUnixUs > 0n,
    });
  } catch {
    // The stream tells that the service is away; how old the figures are stands beside them.
  }
  const timer = setTimeout(() => void look(stop), SIGHT_EVERY_MS);
  stop.addEventListener('abort', () => {
    clearTimeout(timer);
  });
}

/** The end of a line to a page. */
interface Line {
  postMessage(message: ToPage): void;
  onmessage: ((message: MessageEvent<ToWorker>) => void) | null;
}

function connect(line: Line): void {
  const page: Page = {
    post: (message) => {
      line.postMessage(message);
    },
  };
  line.onmessage = (message) => {
    hub.heard(page, message.data);
    seat.heard(message.data);
  };
  hub.join(page);
  page.post(seat.greeting);
}

if ('onconnect' in shared) {
  shared.onconnect = (event) => {
    const port = event.ports[0];
    if (port) connect(port);
  };
} else {
  connect(self);
}
