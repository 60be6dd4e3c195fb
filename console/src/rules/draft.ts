// Zones and rules as somebody draws and tunes them. Pure: what is changed is another draft, and what was not touched in it is the same
// object, by which it is known that it was not.
import { create } from '@bufbuild/protobuf';
import { Kind, PointSchema } from '../gen/xueliang/v1/alert_pb';
import { CameraRulesSchema, ZoneSchema, type CameraRule, type CameraRules, type RuleKind, type Zone } from '../gen/xueliang/v1/rule_pb';
import { fieldsOf } from './fields';
import { clamped, type Outline } from './outline';

export const MOST_ZONES = 32;
export const MOST_RULES = 64;

/** Whether the service takes it as a name of something new. */
export function isName(text: string): boolean {
  return /^[a-z0-9][a-z0-9_-]{0,63}$/.test(text);
}

/** A name that is not taken: this one, or with a number after it. */
export function freeName(name: string, taken: readonly string[]): string {
  let free = name;
  for (let n = 2; taken.includes(free); n++) free = `${name}-${n}`;
  return free;
}

const make = (zones: Zone[], rules: CameraRule[]): CameraRules => create(CameraRulesSchema, { zones, rules });

/** What is not set is as usual for the kind: here it is. */
export function filled(rules: CameraRules, kinds: readonly RuleKind[]): CameraRules {
  return make(
    rules.zones,
    rules.rules.map((rule) => {
      const kind = kinds.find((one) => one.usual?.kind === rule.kind);
      const usual = kind?.usual;
      if (!usual) return rule;
      const full: CameraRule = {
        ...usual,
        ruleId: rule.ruleId || nameOf(usual),
        zoneId: rule.zoneId,
        level: rule.level || usual.level,
        objects: rule.objects.length > 0 ? rule.objects : usual.objects,
      };
      for (const field of fieldsOf(kind)) if (rule[field] !== undefined) Object.assign(full, { [field]: rule[field] });
      return full;
    }),
  );
}

/** What a rule is called that nobody named. */
function nameOf(usual: CameraRule): string {
  return usual.ruleId || (Kind[usual.kind] as string | undefined)?.toLowerCase() || String(usual.kind);
}

/** A zone with another outline. */
export function outlined(zone: Zone, outline: Outline): Zone {
  return { ...zone, outline: outline.map((one) => create(PointSchema, clamped(one))) };
}

/** With a zone more, and what it is called. */
export function withNewZone(draft: CameraRules, outline: Outline): { draft: CameraRules; zoneId: string } {
  const taken = draft.zones.map((one) => one.zoneId);
  let n = 1;
  while (taken.includes(`zone-${n}`)) n++;
  const zoneId = `zone-${n}`;
  const zone = outlined(create(ZoneSchema, { zoneId }), outline);
  return { draft: make([...draft.zones, zone], draft.rules), zoneId };
}

/** With a zone changed. */
export function withZone(draft: CameraRules, zoneId: string, change: (zone: Zone) => Zone): CameraRules {
  return make(draft.zones.map((one) => (one.zoneId === zoneId ? change(one) : one)), draft.rules);
}

/** Without a zone; rules that watch it keep its name, and are at fault until they watch another. */
export function withoutZone(draft: CameraRules, zoneId: string): CameraRules {
  return make(draft.zones.filter((one) => one.zoneId !== zoneId), draft.rules);
}

/** With a zone called otherwise, by the rules that watch it, too. */
export function renamedZone(draft: CameraRules, from: string, to: string): CameraRules {
  return make(
    draft.zones.map((one) => (one.zoneId === from ? { ...one, zoneId: to } : one)),
    draft.rules.map((one) => (one.zoneId === from ? { ...one, zoneId: to } : one)),
  );
}

/** With a rule more, as usual for its kind, and what it is called. */
export function withNewRule(draft: CameraRules, kind: RuleKind, zoneId: string): { draft: CameraRules; ruleId: string } {
  const { usual } = kind;
  if (!usual) return { draft, ruleId: '' };
  const ruleId = freeName(nameOf(usual), draft.rules.map((one) => one.ruleId));
  return { draft: make(draft.zones, [...draft.rules, { ...usual, ruleId, zoneId }]), ruleId };
}

/** With a rule changed. */
export function withRule(draft: CameraRules, ruleId: string, change: (rule: CameraRule) => CameraRule): CameraRules {
  return make(draft.zones, draft.rules.map((one) => (one.ruleId === ruleId ? change(one) : one)));
}

/** Without a rule. */
export function withoutRule(draft: CameraRules, ruleId: string): CameraRules {
  return make(draft.zones, draft.rules.filter((one) => one.ruleId !== ruleId));
}
