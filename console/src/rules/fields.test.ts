import { create } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import { Level } from '../gen/xueliang/v1/alert_pb';
import { CameraRuleSchema, type CameraRule } from '../gen/xueliang/v1/rule_pb';
import { FIELDS, figure, fieldsOf, sameFigure, unusual, withFigure } from './fields';
import { CROWD, DARK, KINDS, WATER, WRONG_WAY } from './sample';

const rule = create(CameraRuleSchema);

test('each figure of the protocol has its place and its unit', () => {
  const figures = CameraRuleSchema.fields.map((one) => one.localName).filter((name) => !['ruleId', 'kind', 'level', 'zoneId', 'objects'].includes(name));
  expect(FIELDS.map((one) => one.field).sort()).toEqual([...figures].sort());
});

test('figures read as they were written, in the unit of people', () => {
  const cases = [['dwellUs', 1.5, 1_500_000n], ['seenShare', 62.5, 0.625], ['minArea', 0.1, 0.001], ['toleranceDeg', 95, 95], ['minMatch', -0.25, -0.25], ['maxLuma', 28, 28]] as const;
  for (const [field, written, kept] of cases) {
    const set = withFigure(rule, field, written);
    expect(set[field], field).toEqual(kept);
    expect(figure(set, field), field).toBe(written);
  }
  expect(figure({ ...rule, minScore: Math.fround(0.4) }, 'minScore'), 'what 32 bits keep of 40 %').toBe(40);
  expect(figure(rule, 'dwellUs')).toBeUndefined();
  expect(withFigure(rule, 'clearUs', -3).clearUs).toBe(0n);
});

test('a kind knows what its usual rule has', () => {
  expect(fieldsOf(CROWD)).toEqual(['blindMaxUs', 'perM2']);
  expect(fieldsOf(DARK)).toEqual(['blindMaxUs', 'maxLuma']);
  expect(fieldsOf(WRONG_WAY)).toContain('toleranceDeg');
  expect(fieldsOf(undefined)).toEqual([]);
});

test('what is otherwise than usual is told, and what only 32 bits tell apart is not', () => {
  const { usual } = WATER;
  if (!usual) throw new Error('a kind has a usual rule');
  const as = (of: Partial<CameraRule>): CameraRule => ({ ...usual, ...of });
  expect(unusual(as({}), WATER)).toEqual([]);
  expect(unusual(as({ minScore: 0.4 }), WATER)).toEqual([]);
  expect(unusual(as({ dwellUs: 2n, level: Level.LEVEL_3, objects: ['vehicle', 'person'] }), WATER)).toEqual(['dwellUs', 'level', 'objects']);
  expect(unusual(as({ objects: ['person'] }), WATER)).toEqual([]);
  expect(sameFigure(as({ minScore: 0.41 }), usual, 'minScore')).toBe(false);
  expect(KINDS.every((kind) => kind.usual && unusual(kind.usual, kind).length === 0)).toBe(true);
});
