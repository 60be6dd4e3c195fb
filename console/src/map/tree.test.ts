import { create } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import { CameraStatusSchema, Signal } from '../gen/xueliang/v1/camera_pb';
import { linesOf, treeOf } from './tree';

test('a division counts what lies below it, too, and is named where its name is known', () => {
  const camera = (cameraId: string, divisionPath: string[], blind = false) =>
    create(CameraStatusSchema, { cameraId, divisionPath, blind, signal: Signal.STREAMING });
  const cameras = [
    camera('a', ['33', '3302', '330282']), camera('b', ['33', '3302', '330282'], true), camera('c', ['33', '3301']), camera('d', []),
  ];
  const roots = treeOf(cameras, new Map([['33', '浙江']]), new Map([['b', 2]]));
  expect(roots.map((one) => [one.name, one.cameras, one.troubled, one.firing])).toEqual([['浙江', 3, 1, 2]]);
  expect(roots[0]?.children.map((one) => one.name)).toEqual(['3301', '3302']);
  expect(roots[0]?.children[1]?.children[0]?.own.map((one) => one.cameraId)).toEqual(['a', 'b']);
  expect(linesOf(roots, new Set()).map((one) => one.branch.code)).toEqual(['33']);
  expect(linesOf(roots, new Set(['33', '3302'])).map((one) => [one.branch.code, one.depth])).toEqual([
    ['33', 0], ['3301', 1], ['3302', 1], ['330282', 2],
  ]);
});
