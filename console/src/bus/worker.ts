// The worker that holds the stream: one for all pages of a browser where it can be shared, otherwise one a page.
import { AlertService, AlertState, ListAlertsRequestSchema } from '../gen/xueliang/v1/alert_pb';
import { CameraService } from '../gen/xueliang/v1/camera_pb';
import { create } from '@bufbuild/protobuf';
import { Hub, type Page } from './hub';
import type { ToPage, ToWorker } from './messages';
import { ms } from './row';
import { client } from './transport';
import { Watcher } from './watcher';

/** What cameras see is asked for this often. */
const SIGHT_EVERY_MS = 5000;
/** Ended alerts that a page begins with: about what a shift leafs back through. */
const ENDED = 200;

const alerts = client(AlertService);
const cameras = client(CameraService);
const hub = new Hub();

const watcher = new Watcher(
  {
    subscribe: (wanted, signal) => alerts.subscribe(wanted, { signal }),
    acknowledge: (one, withinMs) => alerts.acknowledge(one, { timeoutMs: withinMs }),
  },
  // Without a name: each browser has a place of its own, and begins with what is active.
  { subscription: '', cursor: new Uint8Array() },
  (event) => {
    hub.event(event);
  },
);
hub.attach({
  shown: (event) => {
    watcher.shown(event);
  },
  ended: async () => {
    const told = await alerts.listAlerts({ state: AlertState.RESOLVED, pageSize: ENDED });
    const suppressed = new Set(told.suppressedAlertIds);
    return told.records.filter((one) => !suppressed.has(one.alert?.alertId ?? ''));
  },
  fetch: async (alertIds) => {
    const pageSize = alertIds.length;
    return (await alerts.listAlerts(create(ListAlertsRequestSchema, { alertIds, pageSize }))).records;
  },
});

async function look(): Promise<void> {
  try {
    const told = await cameras.summariseCameras({}, { timeoutMs: SIGHT_EVERY_MS });
    hub.sees({
      cameras: told.cameras,
      blind: told.blind,
      criticalLost: told.criticalLost,
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
  setTimeout(() => void look(), SIGHT_EVERY_MS);
}

void watcher.run(new AbortController().signal);
void look();

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
  };
  hub.join(page);
}

const scope = self as { onconnect?: ((event: MessageEvent) => void) | null };
if ('onconnect' in scope) {
  scope.onconnect = (event) => {
    const port = event.ports[0];
    if (port) connect(port);
  };
} else {
  connect(self);
}
