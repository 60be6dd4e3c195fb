// Zones, rules and kinds that the tests here are about.
import { create } from '@bufbuild/protobuf';
import { Kind, Level } from '../gen/xueliang/v1/alert_pb';
import { CameraRulesSchema, RuleKindSchema, ZoneSchema, type CameraRules, type RuleKind, type Zone } from '../gen/xueliang/v1/rule_pb';

/** A square at a place. */
export function zone(zoneId: string, x = 0.2, y = 0.2): Zone {
  return create(ZoneSchema, { zoneId, outline: [{ x, y }, { x: x + 0.4, y }, { x: x + 0.4, y: y + 0.4 }, { x, y: y + 0.4 }] });
}

export const WATER: RuleKind = create(RuleKindSchema, {
  needsZone: true, objects: ['person', 'vehicle', 'two_wheeler'],
  usual: {
    ruleId: 'water_zone_entry', kind: Kind.WATER_ZONE_ENTRY, level: Level.LEVEL_2, objects: ['person'], blindMaxUs: 500_000n, dwellUs: 1_000_000n,
    maxGapUs: 3_000_000n, seenShare: Math.fround(0.5), clearUs: 8_000_000n, cooldownUs: 30_000_000n, minScore: Math.fround(0.4),
  },
});
export const WRONG_WAY: RuleKind = create(RuleKindSchema, {
  needsZone: true, needsDirection: true, objects: ['vehicle', 'two_wheeler'],
  usual: {
    kind: Kind.WRONG_WAY, level: Level.LEVEL_3, objects: ['vehicle', 'two_wheeler'], blindMaxUs: 300_000n, minScore: Math.fround(0.4),
    toleranceDeg: 100, minTravel: Math.fround(0.08),
  },
});
export const CROWD: RuleKind = create(RuleKindSchema, {
  needsZone: true, needsArea: true, objects: ['person'],
  usual: { kind: Kind.CROWD_DENSITY, level: Level.LEVEL_2, objects: ['person'], blindMaxUs: 5_000_000n, perM2: 3.5 },
});
export const DARK: RuleKind = create(RuleKindSchema, {
  health: true, usual: { kind: Kind.IMG_DARK, level: Level.LEVEL_4, blindMaxUs: 5_000_000n, maxLuma: 28 },
});
export const KINDS = [WATER, WRONG_WAY, CROWD, DARK];

/** A bank with a rule of it, and a rule about the camera itself; what is not said is as usual. */
export function rules(): CameraRules {
  return create(CameraRulesSchema, {
    zones: [zone('bank')],
    rules: [{ ruleId: 'water', kind: Kind.WATER_ZONE_ENTRY, zoneId: 'bank', dwellUs: 2_000_000n }, { kind: Kind.IMG_DARK }],
  });
}
