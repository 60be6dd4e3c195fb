// What a list knows of the cases of its alerts, between one answer and the next.
import type { Case } from '../gen/xueliang/v1/case_pb';

/** What a list knows: of the alerts that were asked for, what came now; of those that are wanted since, what was known before. */
export function known(before: ReadonlyMap<string, Case>, asked: readonly string[], answer: readonly Case[], wanted: readonly string[]): Map<string, Case> {
  const now = new Map(answer.map((one) => [one.subject?.alertId ?? '', one]));
  const gone = new Set(asked);
  return new Map(wanted.flatMap((id): [string, Case][] => {
    const one = now.get(id) ?? (gone.has(id) ? undefined : before.get(id));
    return one ? [[id, one]] : [];
  }));
}
