import { create } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import { Kind, Level } from '../gen/xueliang/v1/alert_pb';
import { NotLooked } from '../gen/xueliang/v1/camera_pb';
import { TryCameraRulesResponseSchema } from '../gen/xueliang/v1/rule_pb';
import { filled, withNewRule, withRule } from './draft';
import { KINDS, rules, WRONG_WAY, DARK } from './sample';
import { hurried, lastedMs, raised, rowsOf, saidNothing, spansOf } from './trial';

const s = (at: number): bigint => BigInt(at * 1_000_000);
const answer = create(TryCameraRulesResponseSchema, {
  fromUnixUs: s(1000), toUnixUs: s(1100), looks: 50n,
  tried: [
    {
      ruleId: 'water', kind: Kind.WATER_ZONE_ENTRY, seen: 4n, notSeen: 40n, leftOut: 2n, silent: 30n, missed: [{ reason: NotLooked.BUSY, times: 3n }, { reason: NotLooked.TOO_OLD, times: 2n }],
      incidents: [
        { startedUnixUs: s(1010), raisedUnixUs: s(1012), resolvedUnixUs: s(1030), level: Level.LEVEL_2, score: 0.8 },
        { startedUnixUs: s(1080), raisedUnixUs: s(1082), resolvedUnixUs: 0n, level: Level.LEVEL_2 },
      ],
    },
    { ruleId: 'new', kind: Kind.IMG_DARK },
  ],
  inForce: [{ ruleId: 'old', kind: Kind.IMG_FREEZE }, { ruleId: 'water', kind: Kind.WATER_ZONE_ENTRY }],
});

test('a rule stands beside itself in force, a new one and one that is gone alone', () => {
  expect(rowsOf(answer).map((row) => [row.ruleId, row.tried !== undefined, row.inForce !== undefined])).toEqual([
    ['water', true, true], ['new', true, false], ['old', false, true],
  ]);
});

test('alerts are counted with those that were left out, and what was not said with all its reasons', () => {
  const [water] = answer.tried;
  if (!water) throw new Error('it was tried');
  expect([raised(water), raised(undefined), saidNothing(water)]).toEqual([4, 0, 35]);
});

test('an alert lies where it was in the stretch, and one that holds reaches its end', () => {
  const spans = spansOf(answer.tried[0], answer);
  expect(spans.map(({ left, width }) => [left, width])).toEqual([[10, 20], [80, 20]]);
  expect(answer.tried[0]?.incidents.map((one) => lastedMs(one, answer))).toEqual([20_000, 20_000]);
  expect(spansOf(answer.tried[0], create(TryCameraRulesResponseSchema)), 'without a journal').toEqual([]);
});

test('a rule that wants more looks than there were is told', () => {
  const now = filled(rules(), KINDS);
  const blind = (ruleId: string, us: bigint) => withRule(now, ruleId, (rule) => ({ ...rule, blindMaxUs: us }));
  expect(hurried(now, now).size).toBe(0);
  expect([...hurried(blind('img_dark', 4_000_000n), now)]).toEqual(['img_dark']);
  expect(hurried(blind('img_dark', 9_000_000n), now).size).toBe(0);
  expect([...hurried(withNewRule(withNewRule(now, WRONG_WAY, 'bank').draft, DARK, '').draft, now)], 'a new one beside the most hurried').toEqual(['wrong_way']);
});
