// Silences as lists have them: which are in force, what they hold for and over whom.
import { ms } from '../bus/row';
import { Level, type Alert } from '../gen/xueliang/v1/alert_pb';
import type { Silence, Suppression } from '../gen/xueliang/v1/suppression_pb';

/** Whether it neither was ended nor is over: it holds or will hold. */
export function lasts(one: Silence, nowMs: number): boolean {
  return one.expiredUnixUs === 0n && ms(one.endUnixUs) > nowMs;
}

/** Whether it holds now. */
export function isInForce(one: Silence, nowMs: number): boolean {
  return lasts(one, nowMs) && ms(one.beginUnixUs) <= nowMs;
}

/** Whether it is over an alert at this moment, as the service has it: without levels 3 and 4 are meant. */
export function covers(one: Silence, alert: Pick<Alert, 'kind' | 'level' | 'place'>, nowMs: number): boolean {
  const { kinds = [], levels = [], cameraIds = [], divisions = [] } = one.scope ?? {};
  const path = alert.place?.divisionPath ?? [];
  return isInForce(one, nowMs)
    && (levels.length > 0 ? levels.includes(alert.level) : alert.level >= Level.LEVEL_3)
    && (kinds.length === 0 || kinds.includes(alert.kind))
    && (cameraIds.length === 0 || cameraIds.includes(alert.place?.cameraId ?? ''))
    && (divisions.length === 0 || divisions.some((code) => path.includes(code)));
}

/** Those that hold before those to come, whichever ends first on top. */
export function inOrder(silences: readonly Silence[], nowMs: number): Silence[] {
  return silences.filter((one) => lasts(one, nowMs)).sort(
    (a, b) => Number(isInForce(b, nowMs)) - Number(isInForce(a, nowMs)) || Number(a.endUnixUs - b.endUnixUs) || Number(a.silenceId - b.silenceId),
  );
}

/** How many alerts each silence holds back, of what is suppressed now. */
export function heldBy(suppressions: readonly Suppression[]): Map<bigint, number> {
  const alerts = new Map<bigint, Set<string>>();
  for (const { cause, alertId } of suppressions) {
    if (cause.case !== 'silence') continue;
    const known = alerts.get(cause.value.silenceId) ?? new Set();
    alerts.set(cause.value.silenceId, known.add(alertId));
  }
  return new Map([...alerts].map(([id, held]) => [id, held.size]));
}
