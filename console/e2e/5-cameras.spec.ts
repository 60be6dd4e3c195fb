// Cameras, what they did, and the map: before the town of simulated cameras, and where the site has a map of its own.
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Kind, Level } from '../src/gen/xueliang/v1/alert_pb';
import { LANGUAGES, take } from './pictures';
import {
  ACCOUNT, NEW_ACCOUNT, PASSWORD, SCREENSHOTS, SECURED, alert, launch, live, open, publish, publishTo,
} from './town';

let browser: Browser;
beforeAll(async () => {
  mkdirSync(SCREENSHOTS, { recursive: true });
  browser = await launch();
});
afterAll(() => browser.close());

const row = (page: Page, id: string) => page.locator(`[data-test=camera][data-camera="${id}"]`);

/** Waits until the pond's rule has told of an alert in the stretch that is shown; asks anew, as somebody would. */
async function explained(page: Page): Promise<void> {
  await expect.poll(async () => {
    await page.locator('[data-latest="15"]').click();
    await page.locator('[data-test=rule]').first().waitFor();
    return page.locator('[data-test=rule][data-verdict="1"]').count();
  }, { timeout: 90_000, interval: 2000 }).toBeGreaterThan(0);
}

test('cameras stand in the list with the troubled first, are found, and go into a file', async () => {
  const { page, context, faults } = await open(browser, '/cameras');
  await row(page, 'pond').waitFor({ timeout: 60_000 });
  // A camera that nobody can reach is blind, says since when, and stands above those that see and have lost nothing.
  await expect.poll(async () => {
    const ids = await page.locator('[data-test=camera]').evaluateAll((all) => all.map((one) => one.getAttribute('data-camera')));
    const [weir, park, square] = ['weir', 'park', 'square'].map((id) => ids.indexOf(id));
    return weir !== undefined && park !== undefined && square !== undefined && weir >= 0 && weir < park && weir < square;
  }).toBe(true);
  expect(await row(page, 'weir').textContent()).toMatch(/看不见.*起/);
  expect(await row(page, 'pond').textContent()).toMatch(/正常.*危险水域闯入/);
  await page.locator('[data-test=camera-text]').fill('POND');
  await expect.poll(() => page.locator('[data-test=camera]').count()).toBe(1);
  expect(page.url()).toContain('text=POND');
  const download = page.waitForEvent('download');
  await page.locator('[data-test=export]').click();
  const text = readFileSync(await (await download).path(), 'utf8');
  expect(text.split('\r\n').length, 'a head, the pond, and the end').toBe(3);
  expect(text).toContain('121.');
  await page.locator('[data-test=camera-clear]').click();
  await row(page, 'square').waitFor();
  await page.locator('[data-test=camera-troubled]').check();
  await row(page, 'square').waitFor({ state: 'detached' });
  await row(page, 'weir').waitFor();
  // What an address says is what is listed, also after a reload.
  await page.reload();
  await row(page, 'weir').waitFor();
  expect(await row(page, 'square').count()).toBe(0);
  expect(faults).toEqual([]);
  await context.close();
});

test('by keyboard: to the cameras, into one, its coverage, account and what it did, and back to the list as it was', async () => {
  const { page, context, faults } = await open(browser);
  await live(page);
  await page.keyboard.press('4');
  await row(page, 'pond').waitFor({ timeout: 60_000 });
  const ids = await page.locator('[data-test=camera]').evaluateAll((all) => all.map((one) => one.getAttribute('data-camera')));
  for (let n = 0; n <= ids.indexOf('pond'); n++) await page.keyboard.press('j');
  await page.keyboard.press('Enter');
  await page.locator('[data-test=camera-page]').waitFor();
  expect(page.url()).toMatch(/\/cameras\/pond/);
  expect(await page.locator('[data-test=coverage]').textContent()).toContain('危险水域闯入');
  const account = page.locator('[data-test=account-of-units]');
  // Each frame stands in one line.
  await expect.poll(() => account.locator('tr').last().textContent()).toMatch(/对不上账\s*0/);
  await explained(page);
  const rule = page.locator('[data-test=rule][data-verdict="1"]').first();
  expect(await rule.textContent()).toMatch(/告警.*区域 bank 内有人员/);
  expect(await page.locator('[data-test=did]').textContent()).toContain('信号');
  await rule.locator('details summary').click();
  await rule.locator('table td').first().waitFor();
  await page.keyboard.press('Escape');
  await row(page, 'pond').waitFor();
  await page.keyboard.press('5');
  await page.locator('[data-test=map]').waitFor();
  await page.keyboard.press('1');
  await page.locator('[data-test=list]').waitFor();
  expect(faults).toEqual([]);
  await context.close();
});

test('"why was there no alert then" is asked from an alert, from the blind cameras, and by a time; what cannot be told is said', async () => {
  const { page, context, faults } = await open(browser);
  await live(page);
  await page.locator('[data-test=alert][data-camera=pond]').first().click();
  await page.locator('[data-test=explain-link]').click();
  await page.locator('[data-test=rule][data-verdict="1"]').first().waitFor({ timeout: 60_000 });
  expect(page.url()).toMatch(/from=\d+&to=\d+/);
  await page.locator('#explain-at').fill('noon');
  await page.locator('[data-test=explain-show]').click();
  await page.getByText('请写成 14:03').waitFor();
  // Before the service was started.
  await page.locator('#explain-at').fill('2020-01-01 00:00');
  await page.locator('[data-test=explain-show]').click();
  await page.locator('[data-test=explain-failure]').waitFor({ timeout: 30_000 });
  await page.locator('body').click({ position: { x: 5, y: 700 } });
  await page.keyboard.press('c');
  await page.getByRole('dialog').getByRole('link', { name: 'Camera weir' }).click();
  await page.locator('[data-test=camera-page]').waitFor();
  // Nothing could be looked at, and nothing is concluded from that.
  await page.locator('[data-test=rule][data-verdict="4"], [data-test=rule][data-verdict="0"]').first().waitFor({ timeout: 60_000 });
  expect(faults).toEqual([]);
  await context.close();
});

test('alerts come live onto the map, by shape and word, and are opened by key; what has no place is told beside it', async () => {
  const { page, context, faults } = await open(browser, '/map');
  await page.locator('[data-mark="camera pond"], [data-mark^="group "]').first().waitFor({ state: 'attached', timeout: 60_000 });
  expect(await page.locator('[data-test=map-source]').textContent()).toContain('示意图');
  expect(await page.locator('[data-test=nowhere]').textContent()).toContain('没有登记经纬度');
  const flame = alert(Kind.FIRE_FLAME, Level.LEVEL_2);
  await publish(flame);
  const flag = page.locator('[data-mark^="alert "] .shape', { hasText: '2' }).first();
  await flag.waitFor();
  await page.locator('.mark-label', { hasText: '明火' }).first().waitFor();
  expect(await page.locator(`[data-mark="alert ${flame.alertId}"]`).getAttribute('role')).toBe('button');
  await page.locator('[data-test=map-alert]', { hasText: '明火' }).first().waitFor();
  await page.locator('[data-test=tree] button[aria-expanded=true]').first().waitFor();
  const inTree = page.locator('[data-test=map-camera]', { hasText: 'Camera pond' });
  const offer = page.locator('.offer');
  await inTree.click();
  await offer.waitFor();
  // What was opened is closed, the map stays, and whoever came by key is where they were.
  await page.keyboard.press('Escape');
  await offer.waitFor({ state: 'detached' });
  const focused = (attribute: string): Promise<string | null | undefined> =>
    page.evaluate((name) => document.activeElement?.getAttribute(name), attribute);
  expect([new URL(page.url()).pathname, await focused('data-test')]).toEqual(['/map', 'map-camera']);
  await inTree.click();
  await offer.getByRole('button').first().click();
  await page.locator('[data-test=camera-page]').waitFor();
  await page.goBack();
  const mark = page.locator(`[data-mark="alert ${flame.alertId}"]`);
  for (const key of ['Enter', 'Space']) {
    await mark.focus();
    await page.keyboard.press(key);
    await page.locator('[data-test=panel], .offer').first().waitFor();
    if (await offer.isVisible()) await page.keyboard.press('Escape');
    else await page.goBack();
    await page.locator('[data-test=panel], .offer').first().waitFor({ state: 'detached' });
  }
  // One more at the same place is told on the mark, which keeps the focus while it is drawn anew.
  await mark.focus();
  const label = await mark.getAttribute('aria-label');
  const obstacle = alert(Kind.ROAD_OBSTACLE, Level.LEVEL_3);
  await publish(obstacle);
  await expect.poll(() => mark.getAttribute('aria-label')).not.toBe(label);
  expect(await mark.getAttribute('aria-label')).toMatch(/^2\+\d+ /);
  expect(await focused('data-mark')).toBe(`alert ${flame.alertId}`);
  await publish(alert(Kind.ROAD_OBSTACLE, Level.LEVEL_3, { id: obstacle.alertId, revision: 2, ended: true }));
  await publish(alert(Kind.FIRE_FLAME, Level.LEVEL_2, { id: flame.alertId, revision: 2, ended: true }));
  expect(faults).toEqual([]);
  await context.close();
});

test('where the site has a map, its tiles lie below with its approval, and nothing else is loaded from there', async () => {
  const { page, context, faults } = await open(browser, '/', { width: 1366, height: 768 }, SECURED);
  await page.locator('#account').fill(ACCOUNT);
  await page.locator('#password').fill(PASSWORD);
  await page.keyboard.press('Enter');
  await live(page);
  await page.locator('[data-page=map]').click();
  await page.locator('.leaflet-tile-loaded').first().waitFor({ timeout: 30_000 });
  expect(await page.locator('[data-test=map-source]').textContent()).toContain('审图号');
  await publishTo(SECURED, alert(Kind.ROAD_FLOOD, Level.LEVEL_3));
  await page.locator('[data-mark^="alert "] .shape').first().waitFor();
  await page.screenshot({ path: join(SCREENSHOTS, 'map-tiles-zh-1366.png') });
  expect(faults, 'the policy of the page refused nothing').toEqual([]);
  await context.close();
});

test('who keeps cameras and reads no alerts is led to the cameras, and is offered no desk', async () => {
  const { page, context, faults } = await open(browser, '/', { width: 1366, height: 768 }, SECURED);
  await page.locator('#account').fill(NEW_ACCOUNT);
  await page.locator('#password').fill(PASSWORD);
  await page.keyboard.press('Enter');
  await row(page, 'weir').waitFor({ timeout: 60_000 });
  expect(page.url()).toMatch(/\/cameras/);
  expect(await page.locator('[data-desk]').count()).toBe(0);
  await page.locator('[data-page=map]').click();
  await page.locator('[data-test=map]').waitFor();
  expect(await page.locator('[data-test=map-alert]').count()).toBe(0);
  expect(await page.locator('[data-mark^="alert "]').count()).toBe(0);
  await page.keyboard.press('1');
  expect(page.url()).toMatch(/\/map/);
  expect(faults).toEqual([]);
  await context.close();
});

test.for(LANGUAGES)(
  'cameras, one of them and the map in %s, without serious faults of accessibility',
  async (language) => {
    const { page, context, faults } = await open(browser, '/cameras');
    await row(page, 'pond').waitFor({ timeout: 60_000 });
    if (language === 'en') {
      await page.locator('[data-test=language]').click();
      await page.getByRole('columnheader', { name: 'Coverage' }).waitFor();
    }
    await take(page, 'cameras-page', language);
    await row(page, 'pond').getByRole('link').click();
    await explained(page);
    await take(page, 'camera', language);
    await page.locator('[data-test=did] details summary').first().click();
    await page.locator('[data-test=did]').scrollIntoViewIfNeeded();
    await take(page, 'camera-did', language);
    await page.keyboard.press('5');
    await page.locator('[data-mark="camera pond"], [data-mark^="group "]').first().waitFor({ state: 'attached' });
    await publish(alert(Kind.PERSON_IN_WATER, Level.LEVEL_2), alert(Kind.EXPOSED_GARBAGE, Level.LEVEL_4));
    await page.locator('[data-mark^="alert "] .shape').first().waitFor();
    while ((await page.locator('[data-test=popup]').count()) > 0) await page.keyboard.press('x');
    await take(page, 'map', language);
    await page.locator('[data-test=theme]').click();
    await take(page, 'map-light', language);
    await page.keyboard.press('4');
    await row(page, 'pond').waitFor();
    await take(page, 'cameras-light', language);
    await row(page, 'weir').getByRole('link').click();
    await page.locator('[data-test=rule]').first().waitFor({ timeout: 60_000 });
    await take(page, 'camera-light', language);
    expect(faults).toEqual([]);
    await context.close();
  },
);
