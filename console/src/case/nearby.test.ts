import { create } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import { CaseSchema, CaseState, type Case } from '../gen/xueliang/v1/case_pb';
import { mergeable } from './nearby';

const at = (number: string, cameraId: string, state = CaseState.CONFIRMED): Case =>
  create(CaseSchema, { number, state, subject: { cameraId } });

test('a case is merged into another one that is open, whole and has a number; those of its own camera come first', () => {
  const own = at('1', 'gate');
  own.absorbed.push('6');
  const damaged = at('8', 'gate');
  damaged.damaged = true;
  const others = [
    at('1', 'gate'), at('2', 'quay'), at('3', 'gate'), at('', 'gate', CaseState.NEW), at('5', 'gate', CaseState.CLOSED),
    at('6', 'gate'), at('7', 'gate', CaseState.FALSE_ALARM), damaged,
  ];
  expect(mergeable(own, others).map((one) => one.number)).toEqual(['3', '2']);
});
