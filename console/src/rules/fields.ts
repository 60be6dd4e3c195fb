// The figures of a rule: in which unit people read and write each. Which of them a kind knows, its usual rule says.
import { ScalarType } from '@bufbuild/protobuf';
import { CameraRuleSchema, type CameraRule, type RuleKind } from '../gen/xueliang/v1/rule_pb';

/** Figures that a rule may have. */
export type Field =
  | 'blindMaxUs' | 'dwellUs' | 'seenShare' | 'maxGapUs' | 'clearUs' | 'cooldownUs' | 'minScore' | 'minInside' | 'toleranceDeg' | 'minTravel'
  | 'perM2' | 'minArea' | 'maxArea' | 'maxLuma' | 'lostDetail' | 'minMatch';

/** `plain`: as it is. */
export type Unit = 'seconds' | 'percent' | 'degrees' | 'perM2' | 'plain';

/** In the order in which they are shown, and by what step they go up and down in their unit. */
export const FIELDS: readonly { field: Field; unit: Unit; step: number }[] = [
  { field: 'blindMaxUs', unit: 'seconds', step: 0.1 },
  { field: 'dwellUs', unit: 'seconds', step: 0.5 },
  { field: 'seenShare', unit: 'percent', step: 5 },
  { field: 'maxGapUs', unit: 'seconds', step: 0.5 },
  { field: 'clearUs', unit: 'seconds', step: 1 },
  { field: 'cooldownUs', unit: 'seconds', step: 1 },
  { field: 'minScore', unit: 'percent', step: 1 },
  { field: 'minInside', unit: 'percent', step: 5 },
  { field: 'toleranceDeg', unit: 'degrees', step: 5 },
  { field: 'minTravel', unit: 'percent', step: 1 },
  { field: 'perM2', unit: 'perM2', step: 0.1 },
  { field: 'minArea', unit: 'percent', step: 0.01 },
  { field: 'maxArea', unit: 'percent', step: 0.5 },
  { field: 'maxLuma', unit: 'plain', step: 1 },
  { field: 'lostDetail', unit: 'percent', step: 5 },
  { field: 'minMatch', unit: 'plain', step: 0.05 },
];

const UNITS = new Map(FIELDS.map((one) => [one.field, one.unit]));
/** What the protocol keeps in 32 bits. */
const SINGLE = new Set<string>(
  CameraRuleSchema.fields.filter((one) => one.fieldKind === 'scalar' && one.scalar === ScalarType.FLOAT).map((one) => one.localName),
);

/** The unit of a figure. */
export function unitOf(field: Field): Unit {
  return UNITS.get(field) ?? 'plain';
}

/** A figure as people read it, in its unit. */
export function shown(field: Field, value: bigint | number): number {
  const unit = unitOf(field);
  const number = unit === 'seconds' ? Number(value) / 1e6 : unit === 'percent' ? Number(value) * 100 : Number(value);
  // What was kept in 32 bits reads as it was written.
  return Number(number.toFixed(4));
}

/** A figure of a rule as people read it; `undefined`: its kind knows none. */
export function figure(rule: CameraRule, field: Field): number | undefined {
  const value = rule[field];
  return value === undefined ? undefined : shown(field, value);
}

/** The rule with a figure that was written in its unit. */
export function withFigure(rule: CameraRule, field: Field, written: number): CameraRule {
  const unit = unitOf(field);
  const value = unit === 'seconds' ? BigInt(Math.max(0, Math.round(written * 1e6))) : unit === 'percent' ? written / 100 : written;
  return { ...rule, [field]: value };
}

/** Whether a rule says the same of something as another does, with what the protocol keeps of it. */
export function sameFigure(one: CameraRule, other: CameraRule, field: Field): boolean {
  const [a, b] = [one[field], other[field]];
  if (typeof a !== 'number' || typeof b !== 'number') return a === b;
  return SINGLE.has(field) ? Math.fround(a) === Math.fround(b) : a === b;
}

/** The figures that a kind knows. */
export function fieldsOf(kind: RuleKind | undefined): Field[] {
  const usual = kind?.usual;
  return usual ? FIELDS.map((one) => one.field).filter((field) => usual[field] !== undefined) : [];
}

const sorted = (all: readonly string[]): string => [...all].sort().join(' ');

/** Whether two watch for the same. */
export function sameObjects(one: CameraRule, other: CameraRule): boolean {
  return sorted(one.objects) === sorted(other.objects);
}

/** What of a rule is otherwise than usual for its kind: figures, and beside them its level and what it watches for. */
export function unusual(rule: CameraRule, kind: RuleKind | undefined): (Field | 'level' | 'objects')[] {
  const usual = kind?.usual;
  if (!kind || !usual) return [];
  const found: (Field | 'level' | 'objects')[] = fieldsOf(kind).filter((field) => !sameFigure(rule, usual, field));
  if (rule.level !== usual.level) found.push('level');
  if (kind.objects.length > 1 && !sameObjects(rule, usual)) found.push('objects');
  return found;
}
