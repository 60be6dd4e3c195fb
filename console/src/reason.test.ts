import { Code, ConnectError } from '@connectrpc/connect';
import { beforeAll, expect, test, vi } from 'vitest';
import type { Language } from './i18n/i18n';
import type { reasonOf } from './reason';

// The page's language is what the browser remembers.
let reason: typeof reasonOf;
let speak: (language: Language) => void;
beforeAll(async () => {
  vi.stubGlobal('localStorage', { getItem: () => null });
  reason = (await import('./reason')).reasonOf;
  const { i18n } = await import('./i18n/i18n');
  speak = (language) => {
    i18n.global.locale.value = language;
  };
});

test('in Chinese a failure is told by its kind, and the words of the service are marked as such', () => {
  speak('zh');
  const told = (code: Code, words = 'there is no alert 7'): string => reason(new ConnectError(words, code));
  expect(told(Code.NotFound)).toBe('没有找到（服务原话：there is no alert 7）');
  expect(told(Code.InvalidArgument)).toMatch(/^填写有误/);
  expect(told(Code.PermissionDenied)).toMatch(/^无权/);
  expect(told(Code.Unavailable)).toMatch(/^服务暂不可用/);
  expect(told(Code.Unknown), 'a code without a sentence').toMatch(/^没有完成/);
  expect(told(Code.NotFound, '')).toBe('没有找到');
  expect(reason(new Error('未知')), 'what the page says itself').toBe('未知');
});

test('in English a failure is told in the words of the service', () => {
  speak('en');
  expect(reason(new ConnectError('there is no alert 7', Code.NotFound))).toBe('there is no alert 7');
});
