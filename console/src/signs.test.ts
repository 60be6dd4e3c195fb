import { afterEach, expect, test } from 'vitest';
import { i18n } from './i18n/i18n';
import { beside, labelled, listed } from './signs';

afterEach(() => {
  i18n.global.locale.value = 'zh';
});

test('what is put together has the signs of its language, and what is in it stays as it is', () => {
  const all = () => [labelled('单位', '{a} | @b'), listed(['3', 4]), listed([]), beside('ana', '指挥中心')];
  expect(all()).toEqual(['单位：{a} | @b', '3；4', '', 'ana（指挥中心）']);
  i18n.global.locale.value = 'en';
  expect(all()).toEqual(['单位: {a} | @b', '3; 4', '', 'ana (指挥中心)']);
});
