// Which language is shown: Chinese, or English where somebody chose it in this browser.
import { createI18n } from 'vue-i18n';
import { en } from './en';
import { zh } from './zh';

/** The languages of the page. */
export type Language = 'zh' | 'en';

const STORED = 'xueliang.language';

function stored(): Language {
  // Where nothing is stored, as in a test, it is Chinese.
  return typeof localStorage !== 'undefined' && localStorage.getItem(STORED) === 'en' ? 'en' : 'zh';
}

export const i18n = createI18n({ legacy: false, locale: stored(), fallbackLocale: 'zh', messages: { zh, en } });

/** The language that is shown. */
export function language(): Language {
  return i18n.global.locale.value;
}

/** Shows another language from now on, also after the page is opened again. */
export function setLanguage(language: Language): void {
  i18n.global.locale.value = language;
  localStorage.setItem(STORED, language);
  markDocument();
}

/** Tells the browser which language the page is in. */
export function markDocument(): void {
  document.documentElement.lang = language() === 'zh' ? 'zh-CN' : 'en';
}
