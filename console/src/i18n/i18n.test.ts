import { expect, test } from 'vitest';
import { en } from './en';
import * as phone from './phone';
import { zh } from './zh';

/** Every text by its path. */
function texts(tree: object, path = ''): Map<string, string> {
  const found = new Map<string, string>();
  for (const [key, value] of Object.entries(tree) as [string, unknown][]) {
    if (typeof value === 'object' && value !== null) {
      for (const [inner, text] of texts(value, `${path}${key}.`)) found.set(inner, text);
    } else {
      found.set(path + key, String(value));
    }
  }
  return found;
}

/** What is filled in; of the forms for one and for many each once. */
const slots = (text: string): string[] =>
  [...new Set([...text.matchAll(/\{(\w+)\}/g)].map((match) => match[1] ?? ''))].sort();

test('both languages say the same things, with the same figures in them', () => {
  const [chinese, english] = [texts({ ...zh, phone: phone.zh }), texts({ ...en, phone: phone.en })];
  expect([...english.keys()]).toEqual([...chinese.keys()]);
  expect(chinese.size).toBeGreaterThan(100);
  for (const [key, text] of chinese) {
    expect(text, key).not.toBe('');
    expect(english.get(key), key).not.toBe('');
    expect(slots(english.get(key) ?? ''), key).toEqual(slots(text));
  }
});
