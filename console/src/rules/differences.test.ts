import { create } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import { Level } from '../gen/xueliang/v1/alert_pb';
import { CameraRulesSchema } from '../gen/xueliang/v1/rule_pb';
import { clashes, differences, upon } from './differences';
import { filled, outlined, withNewRule, withNewZone, withoutRule, withoutZone, withRule, withZone } from './draft';
import { DARK, KINDS, rules, zone } from './sample';

const base = filled(rules(), KINDS);
const told = (one: { what: string; part: string; id: string; aspects: string[] }): string => `${one.what} ${one.part} ${one.id} ${one.aspects.join(',')}`.trim();

test('what is new, gone or otherwise is told piece by piece', () => {
  const next = withRule(withNewZone(withoutRule(base, 'img_dark'), zone('x').outline).draft, 'water', (rule) => ({ ...rule, zoneId: 'zone-1', dwellUs: 3n }));
  expect(differences(base, next).map(told)).toEqual(['added zone zone-1', 'changed rule water zone,dwellUs', 'removed rule img_dark']);
  expect(differences(base, withZone(base, 'bank', (one) => ({ ...one, areaM2: 30 }))).map(told)).toEqual(['changed zone bank areaM2']);
});

test('neither their order nor what 32 bits make of a figure is a difference', () => {
  const turned = create(CameraRulesSchema, { zones: base.zones, rules: [...base.rules].reverse() });
  expect(differences(base, turned)).toEqual([]);
  const narrow = withZone(base, 'bank', (one) => ({ ...one, outline: one.outline.map((at) => ({ ...at, x: Math.fround(at.x), y: Math.fround(at.y) })) }));
  expect(differences(base, narrow)).toEqual([]);
});

test('my changes upon theirs keep what they did elsewhere', () => {
  const theirs = withNewZone(withRule(base, 'img_dark', (rule) => ({ ...rule, maxLuma: 40 })), zone('x').outline).draft;
  const mine = withNewRule(withRule(base, 'water', (rule) => ({ ...rule, level: Level.LEVEL_3 })), DARK, '').draft;
  const both = upon(base, mine, theirs);
  expect(both.zones.map((one) => one.zoneId)).toEqual(['bank', 'zone-1']);
  expect(both.rules.map((one) => [one.ruleId, one.level, one.maxLuma])).toEqual([['water', 3, undefined], ['img_dark', 4, 40], ['img_dark-2', 4, 28]]);
  expect(clashes(base, mine, theirs)).toEqual([]);
});

test('what both changed is as I have it, and what I deleted stays deleted', () => {
  const move = (x: number) => withZone(base, 'bank', (one) => outlined(one, zone('x', x).outline));
  const both = upon(base, move(0.1), move(0.3));
  expect(both.zones[0]?.outline[0]?.x).toBe(0.1);
  expect(clashes(base, move(0.1), move(0.3)).map(told)).toEqual(['changed zone bank outline']);
  expect(clashes(base, move(0.1), move(0.1)), 'to the same').toEqual([]);
  expect(upon(base, withoutZone(base, 'bank'), move(0.3)).zones).toEqual([]);
  expect(upon(base, move(0.1), withoutZone(base, 'bank')).zones.map((one) => one.zoneId), 'what they deleted and I changed').toEqual(['bank']);
  expect(upon(base, base, withoutZone(base, 'bank')).zones, 'what they deleted and I did not touch').toEqual([]);
});
