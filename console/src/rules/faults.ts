// What is wrong with a draft: what the page sees by itself, and what the service said, each at the zone or the rule that it is about.
import type { CameraRule, CameraRules, RuleKind, Zone } from '../gen/xueliang/v1/rule_pb';
import { MOST_RULES, MOST_ZONES } from './draft';
import { FIELDS } from './fields';
import { faultOf } from './outline';

/** Where something is wrong; `''`: with all of it. */
export interface Place {
  part: 'zone' | 'rule' | '';
  id: string;
  /** The field, as the protocol names it; empty: not with one field. */
  field: string;
}

/** Something wrong, in the page's words or in the service's. */
export interface Fault extends Place {
  text:
    | 'zonesMany' | 'rulesMany' | 'few' | 'many' | 'small' | 'crossing' | 'zoneGone' | 'zoneNeeded' | 'areaNeeded' | 'directionNeeded' | 'kindUnknown'
    | 'said';
  values: Record<string, string | number>;
}

function zoneFault(zone: Zone): Fault[] {
  const fault = faultOf(zone.outline);
  if (!fault) return [];
  const values: Record<string, number> = fault.what === 'crossing' ? { one: fault.edges[0] + 1, other: fault.edges[1] + 1 } : {};
  return [{ part: 'zone', id: zone.zoneId, field: 'outline', text: fault.what, values }];
}

function ruleFault(rule: CameraRule, zones: readonly Zone[], kinds: readonly RuleKind[]): Fault[] {
  const at = (text: Fault['text'], field: string, values: Fault['values'] = {}): Fault[] => [{ part: 'rule', id: rule.ruleId, field, text, values }];
  const kind = kinds.find((one) => one.usual?.kind === rule.kind);
  if (!kind) return at('kindUnknown', 'kind');
  if (rule.zoneId === '') return kind.needsZone ? at('zoneNeeded', 'zone') : [];
  const zone = zones.find((one) => one.zoneId === rule.zoneId);
  if (!zone) return at('zoneGone', 'zone', { zone: rule.zoneId });
  if (kind.needsArea && zone.areaM2 === undefined) return at('areaNeeded', 'zone', { zone: rule.zoneId });
  if (kind.needsDirection && zone.directionDeg === undefined) return at('directionNeeded', 'zone', { zone: rule.zoneId });
  return [];
}

/** What the service would refuse, as far as the page knows; it decides. */
export function checked(draft: CameraRules, kinds: readonly RuleKind[]): Fault[] {
  const found: Fault[] = [];
  const all = (text: Fault['text'], most: number): Fault => ({ part: '', id: '', field: '', text, values: { most } });
  if (draft.zones.length > MOST_ZONES) found.push(all('zonesMany', MOST_ZONES));
  if (draft.rules.length > MOST_RULES) found.push(all('rulesMany', MOST_RULES));
  return [...found, ...draft.zones.flatMap(zoneFault), ...draft.rules.flatMap((rule) => ruleFault(rule, draft.zones, kinds))];
}

/** `zone[street].polygon: edges 0 and 2 cross`, with whatever stands before it. */
const LINE = /(?:^|[^a-z])(zone|rule)\[([^\]]*)\](?:\.([a-z0-9_]+))?:?\s*(.*)$/;

/** As a configuration file and the page name the same. */
const NAMES = new Map([
  ['polygon', 'outline'], ['area_m2', 'areaM2'], ['direction_deg', 'directionDeg'],
  // Lengths of time are written with their unit there.
  ...FIELDS.map(({ field }): [string, string] => [field.replace(/Us$/, '').replace(/[A-Z]/g, (one) => `_${one.toLowerCase()}`), field]),
]);

/** What the service said, a fault a line. */
export function told(message: string): Fault[] {
  return message.split('\n').map((line) => line.trim()).filter((line) => line !== '').map((line) => {
    const match = LINE.exec(line);
    const [, part, id, field, said] = match ?? [];
    const values = { said: match ? (said ?? '') : line };
    if ((part !== 'zone' && part !== 'rule') || id === undefined) return { part: '', id: '', field: '', text: 'said', values };
    return { part, id, field: NAMES.get((field ?? '').replace(/_us$/, '')) ?? field ?? '', text: 'said', values };
  });
}

/** Those at one zone or rule; all of it where no field is named. */
export function faultsAt(faults: readonly Fault[], part: 'zone' | 'rule', id: string): Fault[] {
  return faults.filter((one) => one.part === part && one.id === id);
}
