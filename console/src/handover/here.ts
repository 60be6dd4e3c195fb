// The services behind a sheet.
import { client } from '../bus/transport';
import { OPEN_STATES } from '../case/timers';
import { AlertService } from '../gen/xueliang/v1/alert_pb';
import { CameraService } from '../gen/xueliang/v1/camera_pb';
import { CaseService } from '../gen/xueliang/v1/case_pb';
import { StatisticsService } from '../gen/xueliang/v1/statistics_pb';
import { SuppressionService } from '../gen/xueliang/v1/suppression_pb';
import { placesOf } from '../history/here';
import { session } from '../session/here';
import { cameraNames } from '../silence/here';
import type { Services } from './gather';

const WITHIN_MS = 20_000;

/** As whoever is signed in sees them. */
export function servicesHere(signal: AbortSignal): Services {
  const within = { signal, timeoutMs: WITHIN_MS };
  return {
    cases: (pageSize, pageToken) => client(CaseService).listCases({ states: [...OPEN_STATES], pageSize, pageToken }, within),
    statistics: (fromMs) => client(StatisticsService).getCaseStatistics({ fromUnixUs: BigInt(fromMs) * 1000n }, within),
    places: (alertIds) => placesOf(alertIds, signal),
    silences: (pageSize, pageToken) => client(SuppressionService).listSilences({ pageSize, pageToken }, within),
    cameraNames,
    cameras: session.may('ReadCameras') ? () => client(CameraService).summariseCameras({}, within) : undefined,
    alerts: ({ kinds, state, pageSize }) => client(AlertService).listAlerts({ filter: { kinds }, state, pageSize }, within),
  };
}
