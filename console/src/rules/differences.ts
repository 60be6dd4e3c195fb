// How two sets of zones and rules differ, piece by piece; and one person's changes put upon another's.
import { create } from '@bufbuild/protobuf';
import { CameraRulesSchema, type CameraRule, type CameraRules, type Zone } from '../gen/xueliang/v1/rule_pb';
import { FIELDS, sameFigure, sameObjects, type Field } from './fields';

/** What of a zone or a rule may differ. */
export type Aspect = 'outline' | 'areaM2' | 'directionDeg' | 'kind' | 'level' | 'zone' | 'objects' | Field;

/** One zone or one rule that is otherwise. */
export interface Difference {
  part: 'zone' | 'rule';
  id: string;
  what: 'added' | 'removed' | 'changed';
  /** What of it is otherwise; empty where it is new or gone. */
  aspects: Aspect[];
}

const same = (one: number, other: number): boolean => Math.fround(one) === Math.fround(other);

function zoneAspects(one: Zone, other: Zone): Aspect[] {
  const found: Aspect[] = [];
  const there = other.outline;
  if (one.outline.length !== there.length || one.outline.some((corner, at) => !same(corner.x, there[at]?.x ?? -1) || !same(corner.y, there[at]?.y ?? -1))) {
    found.push('outline');
  }
  if (one.areaM2 !== other.areaM2) found.push('areaM2');
  if (one.directionDeg !== other.directionDeg) found.push('directionDeg');
  return found;
}

function ruleAspects(one: CameraRule, other: CameraRule): Aspect[] {
  const found: Aspect[] = [];
  if (one.kind !== other.kind) found.push('kind');
  if (one.level !== other.level) found.push('level');
  if (one.zoneId !== other.zoneId) found.push('zone');
  if (!sameObjects(one, other)) found.push('objects');
  return [...found, ...FIELDS.map(({ field }) => field).filter((field) => !sameFigure(one, other, field))];
}

function compare<T>(part: 'zone' | 'rule', before: readonly T[], after: readonly T[], idOf: (one: T) => string, aspects: (a: T, b: T) => Aspect[]): Difference[] {
  const was = new Map(before.map((one) => [idOf(one), one]));
  const found: Difference[] = [];
  for (const one of after) {
    const id = idOf(one);
    const old = was.get(id);
    was.delete(id);
    if (old === undefined) found.push({ part, id, what: 'added', aspects: [] });
    else if (old !== one) {
      const all = aspects(old, one);
      if (all.length > 0) found.push({ part, id, what: 'changed', aspects: all });
    }
  }
  return [...found, ...[...was.keys()].map((id): Difference => ({ part, id, what: 'removed', aspects: [] }))];
}

const zoneId = (one: Zone): string => one.zoneId;
const ruleId = (one: CameraRule): string => one.ruleId;

/** What is otherwise after than before; their order says nothing. */
export function differences(before: CameraRules, after: CameraRules): Difference[] {
  return [
    ...compare('zone', before.zones, after.zones, zoneId, zoneAspects),
    ...compare('rule', before.rules, after.rules, ruleId, ruleAspects),
  ];
}

function merge<T>(base: readonly T[], mine: readonly T[], theirs: readonly T[], idOf: (one: T) => string, touched: ReadonlySet<string>): T[] {
  const ours = new Map(mine.map((one) => [idOf(one), one]));
  const kept = theirs.flatMap((one) => {
    if (!touched.has(idOf(one))) return [one];
    const own = ours.get(idOf(one));
    return own === undefined ? [] : [own];
  });
  const there = new Set(kept.map(idOf));
  const known = new Set(base.map(idOf));
  return [...kept, ...mine.filter((one) => !there.has(idOf(one)) && (touched.has(idOf(one)) || !known.has(idOf(one))))];
}

/** What I changed since `base`, put upon what others made of it meanwhile. A zone or rule that both changed is as I have it. */
export function upon(base: CameraRules, mine: CameraRules, theirs: CameraRules): CameraRules {
  const changed = differences(base, mine);
  const touched = (part: 'zone' | 'rule'): Set<string> => new Set(changed.filter((one) => one.part === part).map((one) => one.id));
  return create(CameraRulesSchema, {
    zones: merge(base.zones, mine.zones, theirs.zones, zoneId, touched('zone')),
    rules: merge(base.rules, mine.rules, theirs.rules, ruleId, touched('rule')),
  });
}

/** What both changed, and not to the same. */
export function clashes(base: CameraRules, mine: CameraRules, theirs: CameraRules): Difference[] {
  const [ours, others] = [differences(base, mine), differences(base, theirs)];
  const apart = differences(mine, theirs);
  const has = (all: readonly Difference[], one: Difference): boolean => all.some((other) => other.part === one.part && other.id === one.id);
  return ours.filter((one) => has(others, one) && has(apart, one));
}
