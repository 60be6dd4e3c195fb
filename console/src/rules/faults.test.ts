import { create } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import { CameraRulesSchema, type CameraRules } from '../gen/xueliang/v1/rule_pb';
import { filled, outlined, withNewRule, withoutZone, withRule, withZone } from './draft';
import { checked, faultsAt, told } from './faults';
import { CROWD, KINDS, rules, WRONG_WAY, zone } from './sample';

const base = filled(rules(), KINDS);
const texts = (draft: CameraRules): string[] => checked(draft, KINDS).map((one) => `${one.part} ${one.id} ${one.field} ${one.text}`);

test('a zone whose edges cross is marked, with the edges as people count them', () => {
  const crossed = withZone(base, 'bank', (one) => outlined(one, [0, 2, 1, 3].map((at) => zone('x').outline[at] ?? { x: 0, y: 0 })));
  const [fault] = checked(crossed, KINDS);
  expect(fault).toMatchObject({ part: 'zone', id: 'bank', field: 'outline', text: 'crossing', values: { one: 1, other: 3 } });
});

test('rules whose zone is gone, or lacks what they need, are marked', () => {
  expect(texts(base)).toEqual([]);
  expect(texts(withoutZone(base, 'bank'))).toEqual(['rule water zone zoneGone']);
  expect(texts(withRule(base, 'water', (rule) => ({ ...rule, zoneId: '' })))).toEqual(['rule water zone zoneNeeded']);
  const both = withNewRule(withNewRule(base, WRONG_WAY, 'bank').draft, CROWD, 'bank').draft;
  expect(texts(both)).toEqual(['rule wrong_way zone directionNeeded', 'rule crowd_density zone areaNeeded']);
  expect(texts(withZone(both, 'bank', (one) => ({ ...one, areaM2: 40, directionDeg: 0 }))), 'nought degrees is a direction').toEqual([]);
});

test('more than may be is said once', () => {
  const many = create(CameraRulesSchema, { zones: Array.from({ length: 33 }, (_, n) => zone(`z${n}`)), rules: [] });
  expect(texts(many)).toEqual(['   zonesMany']);
});

test('what the service says stands at the zone or the rule that it names, and the rest with all of it', () => {
  const found = told(
    'zone[street].polygon: edges 0 and 2 cross: list the corners in order\nrule[lane]: max_gap (1s) is shorter than blind_max\n' +
      'camera[pond].rule[lane-2].per_m2: is 20, use 0.05 to 10\nrule[lane].blind_max_us: too short\n\nreason: holds the number of a telephone\n',
  );
  expect(found.map(({ part, id, field, values }) => [part, id, field, values['said']])).toEqual([
    ['zone', 'street', 'outline', 'edges 0 and 2 cross: list the corners in order'],
    ['rule', 'lane', '', 'max_gap (1s) is shorter than blind_max'],
    ['rule', 'lane-2', 'perM2', 'is 20, use 0.05 to 10'],
    ['rule', 'lane', 'blindMaxUs', 'too short'],
    ['', '', '', 'reason: holds the number of a telephone'],
  ]);
  expect(faultsAt(found, 'rule', 'lane').length).toBe(2);
});
