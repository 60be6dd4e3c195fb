// How sure the model was, and the least that its rule asks for.
import { ThresholdKind, type Alert } from '../gen/xueliang/v1/alert_pb';

/** Shares of 1; `undefined` where the rule of an alert uses no scores. */
export function sureOf(alert: Alert): { found: number; least: number | undefined } | undefined {
  if (alert.confidence <= 0) return undefined;
  return { found: alert.confidence, least: alert.explanation?.thresholds.find((one) => one.kind === ThresholdKind.SCORE)?.value };
}
