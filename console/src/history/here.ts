// The services behind the search.
import { client } from '../bus/transport';
import type { Where } from '../case/places';
import { AlertService } from '../gen/xueliang/v1/alert_pb';
import { CaseService } from '../gen/xueliang/v1/case_pb';
import type { Places } from './csv';
import type { Ask } from './search';

/** A search past a million cases takes a moment. */
const WITHIN_MS = 30_000;

export const ask: Ask = (request, signal) => client(CaseService).listCases(request, { signal, timeoutMs: WITHIN_MS });

export const placesOf: Places = async (alertIds, signal) => {
  const told = await client(AlertService).listAlerts({ alertIds, pageSize: alertIds.length }, { signal, timeoutMs: WITHIN_MS });
  const places = new Map<string, Where>();
  for (const { alert } of told.records) {
    if (!alert?.place) continue;
    const { cameraName: camera, divisionName: division, address } = alert.place;
    places.set(alert.alertId, { camera, division, address });
  }
  return places;
};
