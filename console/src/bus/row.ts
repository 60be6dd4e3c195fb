// From a record of the protocol to a row of a list.
import { EvidenceKind, type Delivery, type Record as AlertRecord } from '../gen/xueliang/v1/alert_pb';
import type { Row } from './messages';

/** Microseconds of the protocol as milliseconds. */
export function ms(us: bigint): number {
  return Number(us / 1000n);
}

/** The row of a record; `undefined` for one that holds no alert. `delivery` is how it came, where it came by the stream. */
export function rowOf(record: AlertRecord | undefined, delivery?: Delivery): Row | undefined {
  const alert = record?.alert;
  if (!record || !alert) return undefined;
  const place = alert.place;
  return {
    id: alert.alertId,
    revision: Number(alert.revision),
    kind: alert.kind,
    kindClass: alert.kindClass,
    level: alert.level,
    lane: record.lane,
    state: alert.state,
    resolution: alert.resolution,
    cameraId: place?.cameraId ?? '',
    cameraName: place?.cameraName ?? '',
    divisionName: place?.divisionName ?? '',
    address: place?.address ?? '',
    ...(place?.position ? { position: [place.position.longitude, place.position.latitude] as [number, number] } : {}),
    zone: place?.zone ?? '',
    startedMs: ms(alert.startedUnixUs),
    lastSeenMs: ms(alert.lastSeenUnixUs),
    resolvedMs: ms(alert.resolvedUnixUs),
    count: Number(alert.count),
    // Within a snapshot it would be the age of the alert, and not how long its way took.
    ageMs: delivery && !delivery.inSnapshot ? ms(delivery.ageUs) : 0,
    late: (delivery?.late ?? false) && !delivery?.inSnapshot,
    volatile: delivery?.volatile ?? false,
    drill: alert.drill,
    publisher: alert.publisher,
    camerasBehind: alert.camerasBehind.length,
    hasStill: alert.evidence.some((one) => one.kind === EvidenceKind.STILL && one.missingReason === ''),
  };
}
