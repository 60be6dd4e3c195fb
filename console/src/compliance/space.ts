// How much room evidence has left.
import type { GetRetentionResponse } from '../gen/xueliang/v1/retention_pb';

/** The service raises an alert from the first on, and shrinks new evidence from the second on. */
const WARNS_AT = 0.8;
const SHRINKS_AT = 0.9;

export function toneOf(told: Pick<GetRetentionResponse, 'usedShare' | 'daysLeft'> | undefined): 'good' | 'warn' | 'bad' {
  const share = told?.usedShare ?? 0;
  if (share >= SHRINKS_AT) return 'bad';
  return share >= WARNS_AT || told?.daysLeft !== undefined ? 'warn' : 'good';
}
