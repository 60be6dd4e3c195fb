// Pictures of every page in both languages and at the sizes of control rooms, for people to look at.
import { mkdirSync } from 'node:fs';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Kind, Level } from '../src/gen/xueliang/v1/alert_pb';
import { LANGUAGES, take } from './pictures';
import { SCREENSHOTS, alert, launch, live, open, publish } from './town';

let browser: Browser;
beforeAll(async () => {
  mkdirSync(SCREENSHOTS, { recursive: true });
  browser = await launch();
  await publish(
    alert(Kind.PERSON_IN_WATER, Level.LEVEL_2),
    alert(Kind.ROAD_FLOOD, Level.LEVEL_3),
    alert(Kind.EXPOSED_GARBAGE, Level.LEVEL_4),
  );
});
afterAll(() => browser.close());

test.for(LANGUAGES)(
  'every page in %s',
  async (language) => {
    const { page, context, faults } = await open(browser, '/hazards');
    await live(page);
    if (language === 'en') await page.locator('[data-test=language]').click();
    await page.locator('[data-test=alert]').first().waitFor();
    await publish(alert(Kind.FIRE_FLAME, Level.LEVEL_2));
    await page.locator('[data-test=popup]').first().waitFor();
    await take(page, 'hazards', language);
    while ((await page.locator('[data-test=popup]').count()) > 0) await page.keyboard.press('x');
    await page.locator('[data-test=alert][data-camera=pond]').first().click();
    await page.locator('[data-test=still] img').waitFor();
    await page.locator('[data-test=suppression] p').first().waitFor();
    await take(page, 'alert', language);
    await page.keyboard.press('s');
    await page.locator('#silence-reason').waitFor();
    await take(page, 'silence', language);
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'hidden' });
    await page.keyboard.press('Escape');
    for (const [key, name] of [['?', 'help'], ['t', 'sound'], ['c', 'cameras']] as const) {
      await page.keyboard.press(key);
      await page.getByRole('dialog').waitFor();
      await take(page, name, language);
      await page.keyboard.press('Escape');
      await page.getByRole('dialog').waitFor({ state: 'hidden' });
    }
    await page.keyboard.press('2');
    await page.locator('[data-test=list]').waitFor();
    await take(page, 'ops', language);
    await page.locator('[data-test=theme]').click();
    await page.keyboard.press('1');
    await page.locator('[data-test=alert]').first().waitFor();
    await take(page, 'light', language);
    expect(faults).toEqual([]);
    await context.close();
  },
);
