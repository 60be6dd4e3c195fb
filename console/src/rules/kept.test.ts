import { expect, test } from 'vitest';
import { Level } from '../gen/xueliang/v1/alert_pb';
import { differences } from './differences';
import { filled, withRule } from './draft';
import { read, written } from './kept';
import { KINDS, rules } from './sample';

test('a draft comes back as it was, to whoever made it', () => {
  const base = filled(rules(), KINDS);
  const draft = withRule(base, 'water', (rule) => ({ ...rule, level: Level.LEVEL_3 }));
  const text = written({ base, draft, revision: 12n }, 'ana');
  const kept = read(text, 'ana');
  if (!kept) throw new Error('it is read');
  expect([differences(base, kept.base), differences(draft, kept.draft), kept.revision]).toEqual([[], [], 12n]);
  expect(read(text, 'bo')).toBeUndefined();
  expect(read(text, undefined)).toBeUndefined();
});

test('what cannot be read is no draft', () => {
  for (const text of [null, '', '{', '{"account":"ana"}', '{"account":"ana","base":{"zones":7},"draft":{},"revision":"1"}']) expect(read(text, 'ana'), String(text)).toBeUndefined();
});
