import { create } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import { FilingStatus, ListPointsResponseSchema } from '../gen/xueliang/v1/filing_pb';
import { A_PAGE, gather, MOST } from './points';

test('all that match are read page by page, up to a bound, and the list says whether that is all', async () => {
  const of = (all: number) => async (token: string) => {
    const from = Number(token || 0);
    const points = Array.from({ length: Math.min(A_PAGE, all - from) }, (_, n) => ({
      facts: { cameraId: String(from + n).padStart(6, '0') }, status: FilingStatus.UNFILED, daysLeft: -(from + n),
    }));
    const next = from + points.length;
    return Promise.resolve(create(ListPointsResponseSchema, { points, nextPageToken: next < all ? String(next) : '', inForce: all, overdue: 7 }));
  };
  const some = await gather(of(1500));
  expect([some.points.length, some.complete, some.counts.inForce, some.counts.overdue]).toEqual([1500, true, 1500, 7]);
  expect(some.points[0]?.facts?.cameraId, 'the most pressing first').toBe('001499');
  const many = await gather(of(MOST + 1));
  expect([many.points.length, many.complete]).toEqual([MOST, false]);
  expect((await gather(of(MOST))).complete).toBe(true);
  expect((await gather(of(0))).points).toEqual([]);
});
