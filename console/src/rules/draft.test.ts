import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import { Kind, Level } from '../gen/xueliang/v1/alert_pb';
import { CameraRulesSchema } from '../gen/xueliang/v1/rule_pb';
import { differences } from './differences';
import {
  filled, freeName, isName, outlined, renamedZone, withNewRule, withNewZone, withoutRule, withoutZone, withRule, withZone,
} from './draft';
import { CROWD, DARK, KINDS, rules, WATER, zone } from './sample';

const draft = filled(rules(), KINDS);

test('what is not said of a rule is as usual for its kind', () => {
  const [water, dark] = draft.rules;
  expect(water).toMatchObject({ ruleId: 'water', level: Level.LEVEL_2, objects: ['person'], dwellUs: 2_000_000n, clearUs: 8_000_000n });
  expect(water?.maxLuma).toBeUndefined();
  expect(dark).toMatchObject({ ruleId: 'img_dark', maxLuma: 28, level: Level.LEVEL_4 });
});

test('a draft goes over the wire and comes back as it was', () => {
  const there = fromBinary(CameraRulesSchema, toBinary(CameraRulesSchema, draft));
  expect(differences(draft, there)).toEqual([]);
});

test('a rule of a kind that no rule of this version raises stays as it is', () => {
  const strange = create(CameraRulesSchema, { rules: [{ ruleId: 'new', kind: Kind.EXTERNAL_ALARM, dwellUs: 5n }] });
  expect(filled(strange, KINDS)).toEqual(strange);
});

test('names are free, small, and no longer than the service takes', () => {
  expect(freeName('water', ['water', 'water-2'])).toBe('water-3');
  expect(['bank', 'zone-1', 'a_b', '9'].every(isName)).toBe(true);
  expect(['', 'Bank', '-a', 'a b', '区', 'a.b', 'a'.repeat(65)].some(isName)).toBe(false);
});

test('what was not touched is the same object, so that it is known that it was not', () => {
  const next = withZone(draft, 'bank', (one) => outlined(one, zone('x', 0.1, 0.1).outline));
  expect(next.zones[0]).not.toBe(draft.zones[0]);
  expect(next.rules[0]).toBe(draft.rules[0]);
  expect(withRule(next, 'water', (rule) => ({ ...rule, level: Level.LEVEL_3 })).rules[1]).toBe(draft.rules[1]);
});

test('a new zone has the first free number, and the rules go on with one that is called otherwise', () => {
  const one = withNewZone(draft, zone('x').outline);
  const two = withNewZone(one.draft, zone('x').outline);
  expect([one.zoneId, two.zoneId]).toEqual(['zone-1', 'zone-2']);
  expect(withNewZone(withoutZone(two.draft, 'zone-1'), zone('x').outline).zoneId).toBe('zone-1');
  const renamed = renamedZone(draft, 'bank', 'shore');
  expect([renamed.zones[0]?.zoneId, renamed.rules[0]?.zoneId, renamed.rules[1]?.zoneId]).toEqual(['shore', 'shore', '']);
});

test('a new rule is as usual, by a name that is free', () => {
  const one = withNewRule(draft, DARK, '');
  expect([one.ruleId, one.draft.rules.at(-1)?.maxLuma]).toEqual(['img_dark-2', 28]);
  const two = withNewRule(one.draft, WATER, 'bank');
  expect(two.draft.rules.at(-1)).toMatchObject({ ruleId: 'water_zone_entry', zoneId: 'bank', blindMaxUs: 500_000n });
  expect(withNewRule(draft, CROWD, 'bank').ruleId).toBe('crowd_density');
  expect(withoutRule(two.draft, 'water').rules.map((rule) => rule.ruleId)).toEqual(['img_dark', 'img_dark-2', 'water_zone_entry']);
});
