// The units that a dispatch may choose from: those that the duty rules in force name.
import { client } from '../bus/transport';
import { DutyService, type DutyRule } from '../gen/xueliang/v1/duty_pb';

const WITHIN = { timeoutMs: 10_000 };
/** Rules that are read for it: a town has some dozens. */
const MOST = 1000;

/** Each once, in the order of their names. */
export function unitsOf(rules: readonly Pick<DutyRule, 'leadUnit' | 'assistUnits'>[]): string[] {
  const all = rules.flatMap((rule) => [rule.leadUnit, ...rule.assistUnits]).filter((unit) => unit !== '');
  return [...new Set(all)].sort((a, b) => a.localeCompare(b, 'zh'));
}

/** The same of the rules that may be seen; none where they cannot be read: a unit can be written all the same. */
export async function knownUnits(): Promise<string[]> {
  try {
    return unitsOf((await client(DutyService).listDutyRules({ pageSize: MOST }, WITHIN)).rules);
  } catch {
    return [];
  }
}

/** What units are written with between them. */
const BETWEEN = /[\s,，、]+/;

/** The units of a text. */
export function written(text: string): string[] {
  return text.split(BETWEEN).filter((one) => one !== '');
}

/** What a text of units may become with one more, none of which it has. */
export function completions(text: string, units: readonly string[]): string[] {
  const begun = BETWEEN.test(text.slice(-1)) ? '' : (written(text).at(-1) ?? '');
  const head = text.slice(0, text.length - begun.length);
  const named = new Set(written(head));
  return units.filter((unit) => !named.has(unit)).map((unit) => head + unit);
}
