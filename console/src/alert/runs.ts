// The history of an alert, without what only says once more that it lasts.
import type { Record as AlertRecord } from '../gen/xueliang/v1/alert_pb';

/** States of an alert one after another that say the same but for when it was last seen and by what measure. */
export interface Run {
  first: AlertRecord;
  /** All of them, the first among them. */
  all: AlertRecord[];
}

/** What the page tells of a state. */
function said(one: AlertRecord): string {
  const evidence = (one.alert?.evidence ?? []).map((piece) => `${piece.kind}${piece.missingReason}`);
  return JSON.stringify([one.alert?.state, one.alert?.level, one.alert?.resolution, ...evidence]);
}

/** A history, cut where something changes that is told. */
export function runs(history: readonly AlertRecord[]): Run[] {
  const all: Run[] = [];
  for (const one of history) {
    const last = all.at(-1);
    if (last && said(last.first) === said(one)) last.all.push(one);
    else all.push({ first: one, all: [one] });
  }
  return all;
}
