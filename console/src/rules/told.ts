// How zones, rules, their figures and what is wrong with them are said.
import { i18n } from '../i18n/i18n';
import { lasting } from '../times';
import { kindWord, word } from '../words';
import type { CameraRule, CameraRules, Zone } from '../gen/xueliang/v1/rule_pb';
import type { Aspect, Difference } from './differences';
import type { Fault } from './faults';
import { FIELDS, figure, unitOf, type Field } from './fields';

const t = i18n.global.t;

/** A figure with its unit. */
export function withUnit(value: number, field: Field): string {
  const unit = unitOf(field);
  return unit === 'plain' ? String(value) : `${value} ${t(`rules.unit.${unit}`)}`;
}

/** A figure of a rule with its unit. */
export function figureWord(rule: CameraRule, field: Field): string {
  const value = figure(rule, field);
  return value === undefined ? t('rules.change.none') : withUnit(value, field);
}

/** What an object is called; the service's word for one of a later version. */
export function objectWord(object: string): string {
  return i18n.global.te(`rules.object.${object}`) ? t(`rules.object.${object}`) : object;
}

export function objectsWord(objects: readonly string[]): string {
  return objects.map(objectWord).join(' · ');
}

/** A level as number and word. */
export function levelWord(level: number): string {
  return `${level} ${word('Level', level)}`;
}

/** Seconds in larger units, where those are easier to read. */
export function larger(field: Field, value: number): string {
  return unitOf(field) === 'seconds' && value >= 60 ? t('rules.rule.about', { time: lasting(value * 1000) }) : '';
}

/** What is wrong, without where. */
export function faultWord(fault: Fault): string {
  return fault.text === 'said' ? String(fault.values['said']) : t(`rules.fault.${fault.text}`, fault.values);
}

/** Where it is wrong; empty: with all of it. */
export function faultPlace(fault: Fault): string {
  return fault.part === '' ? '' : t(`rules.fault.${fault.part}`, { id: fault.id });
}

const isField = (aspect: Aspect): aspect is Field => FIELDS.some((one) => one.field === aspect);

function aspectWord(aspect: Aspect): string {
  if (isField(aspect)) return t(`rules.field.${aspect}`);
  return aspect === 'zone' ? t('rules.change.zoneOf') : t(`rules.change.${aspect}`);
}

function valueOf(aspect: Aspect, zone: Zone | undefined, rule: CameraRule | undefined): string {
  if (zone && aspect === 'areaM2') return zone.areaM2 === undefined ? t('rules.change.none') : `${zone.areaM2} ${t('rules.zone.areaUnit')}`;
  if (zone && aspect === 'directionDeg') return zone.directionDeg === undefined ? t('rules.change.none') : `${zone.directionDeg} ${t('rules.zone.directionUnit')}`;
  if (!rule) return '';
  if (isField(aspect)) return figureWord(rule, aspect);
  if (aspect === 'kind') return kindWord(rule.kind);
  if (aspect === 'level') return levelWord(rule.level);
  if (aspect === 'zone') return rule.zoneId || t('rules.rule.whole');
  return objectsWord(rule.objects);
}

/** What is otherwise, a line each: from what to what. */
export function changeLines(one: Difference, before: CameraRules, after: CameraRules): string[] {
  const zone = (all: CameraRules): Zone | undefined => (one.part === 'zone' ? all.zones.find((other) => other.zoneId === one.id) : undefined);
  const rule = (all: CameraRules): CameraRule | undefined => (one.part === 'rule' ? all.rules.find((other) => other.ruleId === one.id) : undefined);
  return one.aspects.map((aspect) => {
    const what = aspectWord(aspect);
    if (aspect === 'outline') return what;
    return t('rules.change.fromTo', { what, from: valueOf(aspect, zone(before), rule(before)), to: valueOf(aspect, zone(after), rule(after)) });
  });
}
