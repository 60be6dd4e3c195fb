// Which language the page of a link is in: Chinese, or English where somebody chose it in this browser. It has its few texts alone.
import { createI18n } from 'vue-i18n';
import { en, zh } from '../i18n/phone';

type Language = 'zh' | 'en';

const STORED = 'xueliang.language';

const stored = (): Language => (localStorage.getItem(STORED) === 'en' ? 'en' : 'zh');

export const i18n = createI18n({ legacy: false, locale: stored(), fallbackLocale: 'zh', messages: { zh, en } });

export function language(): Language {
  return i18n.global.locale.value;
}

/** Shows the other language. */
export function otherLanguage(): void {
  i18n.global.locale.value = language() === 'zh' ? 'en' : 'zh';
  localStorage.setItem(STORED, language());
  markDocument();
}

/** Tells the browser which language the page is in. */
export function markDocument(): void {
  document.documentElement.lang = language() === 'zh' ? 'zh-CN' : 'en';
  document.title = i18n.global.t('title');
}
