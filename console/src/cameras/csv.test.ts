import { create } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import { CameraStatusSchema, ListCamerasResponseSchema } from '../gen/xueliang/v1/camera_pb';
import { all, cell, file } from './csv';
import { ALL } from './query';

test('nothing in a file is calculated, and what separates is quoted', () => {
  expect(['=1+1', '+86', '-x', '@a', 'a,b', 'say "no"', 'two\nlines', '水库'].map(cell)).toEqual([
    "'=1+1", "'+86", "'-x", "'@a", '"a,b"', '"say ""no"""', '"two\nlines"', '水库',
  ]);
  expect(cell(-3)).toBe('-3');
  expect(file([['a', 1], ['b', 2]])).toBe('\ufeffa,1\r\nb,2\r\n');
});

test('a spreadsheet keeps every digit of a number of a case', () => {
  expect(['33028220261130010200001', '330282000000', '33028200000', '330282000000a'].map(cell)).toEqual([
    "'33028220261130010200001", "'330282000000", '33028200000', '330282000000a',
  ]);
  expect(cell(1_796_000_000_000)).toBe('1796000000000');
});

test('all that match are in the file, each once, whatever a page holds', async () => {
  const pages = [['a', 'b'], ['b', 'c'], ['d']];
  const told: number[] = [];
  const made = await all(
    (request) => {
      const at = Number(request.pageToken || 0);
      return Promise.resolve(create(ListCamerasResponseSchema, {
        cameras: (pages[at] ?? []).map((cameraId) => create(CameraStatusSchema, { cameraId })),
        nextPageToken: at < 2 ? String(at + 1) : '',
        total: 4,
        divisions: [{ code: '33', name: '浙江' }],
      }));
    },
    ALL,
    new AbortController().signal,
    (listed) => told.push(listed),
  );
  expect(made.cameras.map((one) => one.cameraId)).toEqual(['a', 'b', 'c', 'd']);
  expect([made.complete, told, made.names.get('33')]).toEqual([true, [2, 3, 4], '浙江']);
});
