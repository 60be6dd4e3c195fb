import { create } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import { FiledPointSchema, FilingStatus, type FiledPoint } from '../gen/xueliang/v1/filing_pb';
import { byUrgency, dueOf, shownOf, statusesOf } from './due';

const point = (cameraId: string, status: FilingStatus, daysLeft?: number): FiledPoint =>
  create(FiledPointSchema, { facts: { cameraId }, status, ...(daysLeft === undefined ? {} : { daysLeft }) });

test('what is left until a deadline is told, also on its last day and after it', () => {
  const due = (days?: number): unknown => dueOf(point('a', FilingStatus.UNFILED, days));
  expect(due(30)).toEqual({ is: 'ahead', days: 30 });
  expect(due(7)).toEqual({ is: 'soon', days: 7 });
  expect(due(0)).toEqual({ is: 'soon', days: 0 });
  expect(due(-1)).toEqual({ is: 'over', days: 1 });
  expect(due()).toEqual({ is: 'unknown' });
  expect(dueOf(point('a', FilingStatus.FILED))).toEqual({ is: 'nothing' });
  expect(dueOf(point('a', FilingStatus.REMOVED))).toEqual({ is: 'promptly' });
});

test('the most pressing stand first', () => {
  const points = [
    point('filed', FilingStatus.FILED), point('changed', FilingStatus.CHANGED), point('b', FilingStatus.UNFILED, 3),
    point('late', FilingStatus.UNFILED, -40), point('a', FilingStatus.UNFILED, 3), point('undated', FilingStatus.UNFILED),
    point('latest', FilingStatus.UNFILED, -200),
  ];
  expect(byUrgency(points).map((one) => one.facts?.cameraId)).toEqual(['latest', 'late', 'a', 'b', 'undated', 'changed', 'filed']);
});

test('an address asks for one status, for all, or else for what is to be filed', () => {
  expect([shownOf('all'), shownOf('2'), shownOf('9'), shownOf(undefined)]).toEqual(['all', FilingStatus.FILED, 'due', 'due']);
  expect(statusesOf('all')).toEqual([]);
  expect(statusesOf('due')).not.toContain(FilingStatus.FILED);
  expect(statusesOf(FilingStatus.REMOVED)).toEqual([FilingStatus.REMOVED]);
});
