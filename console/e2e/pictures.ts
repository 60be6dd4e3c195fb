// Pictures of a page for people to look at, in both languages and at the sizes of control rooms, and what axe finds in it there.
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { expect } from 'vitest';
import { serious } from './axe';
import { SCREENSHOTS } from './town';

export const LANGUAGES = ['zh', 'en'] as const;
export type Language = (typeof LANGUAGES)[number];

const SIZES = [{ width: 1366, height: 768 }, { width: 1920, height: 1080 }];
/** The width at which axe looks: at another one for each language. */
const EXAMINED: Record<Language, number> = { zh: 1366, en: 1920 };

/** Takes pictures of a page as it stands, which has no serious fault, and leaves it as wide as it was. */
export async function take(page: Page, name: string, language: Language): Promise<void> {
  const before = page.viewportSize();
  for (const size of SIZES) {
    await page.setViewportSize(size);
    // What is laid out by measuring has measured.
    await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => setTimeout(done, 50))));
    if (size.width === EXAMINED[language]) expect((await serious(page)).join('\n'), name).toBe('');
    await page.screenshot({ path: join(SCREENSHOTS, `${name}-${language}-${size.width}.png`) });
  }
  if (before) await page.setViewportSize(before);
}
