// Punctuation of what is put together out of words: each language has its own.
import { i18n } from './i18n/i18n';

/** What something is, and what there is to say of it. */
export function labelled(label: string, text: string | number): string {
  return i18n.global.t('signs.labelled', { label, text });
}

/** One after the other. */
export function listed(items: readonly (string | number)[]): string {
  return items.join(i18n.global.t('signs.between'));
}

/** With something said beside it. */
export function beside(text: string, remark: string | number): string {
  return i18n.global.t('signs.beside', { text, remark });
}
