import { expect, test } from 'vitest';
import type { Row } from '../bus/messages';
import { Level } from '../gen/xueliang/v1/alert_pb';
import { alertMarks, type Deeds } from './marks';

const deeds = { alert: (row: Row, more: string) => `${row.level}${more} severe` } as Deeds;

test('an alert\u2019s mark is called by what stands on it, with how many others are there', () => {
  const row = (id: string): Row => ({ id, level: Level.LEVEL_2 }) as Row;
  const marks = alertMarks([{ place: [1, 2], rows: [row('a'), row('b'), row('c')] }, { place: [3, 4], rows: [row('d')] }], deeds);
  expect(marks.map((mark) => [mark.key, mark.label, mark.look])).toEqual([['alert a', '2+2 severe', '2+2'], ['alert d', '2 severe', '2']]);
});
