// The live feed, before a town of simulated cameras.
import { serious } from './axe';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Kind, Level } from '../src/gen/xueliang/v1/alert_pb';
import { alert, killBus, launch, live, open, publish, untilItWorks } from './town';

let browser: Browser;
beforeAll(async () => {
  browser = await launch();
});
afterAll(() => browser.close());

test('an alert of the town arrives without reload, is opened, and shows its redacted pictures and why it fired', async () => {
  const { page, context, faults } = await open(browser);
  await live(page);
  const row = page.locator('[data-test=alert][data-camera=pond]').first();
  await row.waitFor({ timeout: 90_000 });
  expect(await row.textContent()).toContain('危险水域闯入');
  expect(await row.textContent()).toContain('重大');
  await row.click();
  const panel = page.locator('[data-test=panel]');
  await panel.locator('[data-test=still] img').waitFor({ timeout: 60_000 });
  const painted = await panel.locator('[data-test=still] img').evaluate((image: HTMLImageElement) => image.naturalWidth);
  expect(painted).toBeGreaterThan(100);
  await panel.locator('[data-test=still] svg polygon').waitFor({ state: 'attached' });
  await page.keyboard.press('p');
  await panel.locator('[data-test=preview] img').waitFor({ timeout: 60_000 });
  expect(await panel.locator('[data-test=why]').textContent()).toMatch(/centernet/);
  await panel.getByText('免登录席位').first().waitFor();
  expect(faults).toEqual([]);
  await context.close();
});

test('a severe alert pops up, its end is shown, and a minor one only stands in the list', async () => {
  const { page, context, faults } = await open(browser);
  await live(page);
  const flame = alert(Kind.FIRE_FLAME, Level.LEVEL_2);
  const rubbish = alert(Kind.EXPOSED_GARBAGE, Level.LEVEL_4);
  await publish(flame, rubbish);
  const popup = page.locator('[data-test=popup]', { hasText: '明火' });
  await popup.waitFor();
  await page.locator(`[data-alert="${rubbish.alertId}"]`).waitFor();
  expect(await page.locator('[data-test=popup]', { hasText: '暴露垃圾' }).count()).toBe(0);
  await publish(alert(Kind.FIRE_FLAME, Level.LEVEL_2, { id: flame.alertId, revision: 2, ended: true }));
  const row = page.locator(`[data-alert="${flame.alertId}"]`, { hasText: '已解除' });
  await row.waitFor();
  // What is over calls nobody any more.
  await popup.waitFor({ state: 'detached' });
  expect(faults).toEqual([]);
  await context.close();
});

test('the keyboard alone: select, open, close, change desks, help', async () => {
  const { page, context } = await open(browser);
  await live(page);
  await publish(alert(Kind.LEFT_OBJECT, Level.LEVEL_3));
  await page.locator('[data-test=alert]').first().waitFor();
  await page.keyboard.press('j');
  await page.locator('[data-test=alert][aria-selected=true]').waitFor();
  // Who does not see it is told which one, by an element that is there.
  const active = await page.locator('[data-test=list]').getAttribute('aria-activedescendant');
  expect(await page.locator(`[id="${active}"][aria-selected=true]`).count()).toBe(1);
  await page.keyboard.press('Enter');
  await page.locator('[data-test=panel]').waitFor();
  const first = page.url();
  await page.keyboard.press('j');
  await expect.poll(() => page.url()).not.toBe(first);
  await page.keyboard.press('Escape');
  await page.locator('[data-test=panel]').waitFor({ state: 'detached' });
  await page.keyboard.press('2');
  await expect.poll(() => page.url()).toMatch(/\/ops$/);
  await page.keyboard.press('?');
  await page.getByRole('dialog', { name: '键盘操作' }).waitFor();
  await page.keyboard.press('Escape');
  await page.keyboard.press('1');
  await expect.poll(() => page.url()).toMatch(/\/hazards$/);
  await context.close();
});

test('English is one click away and stays', async () => {
  const { page, context } = await open(browser);
  await live(page);
  await publish(alert(Kind.FIRE_LANE_BLOCKED, Level.LEVEL_3));
  await page.locator('[data-test=language]').click();
  await page.locator('[data-test=alert]', { hasText: 'blocked fire lane' }).first().waitFor();
  await page.reload();
  await page.getByText('Hazards').first().waitFor();
  expect(await page.locator('html').getAttribute('lang')).toBe('en');
  await context.close();
});

test('sound counts as blocked until somebody has heard it', async () => {
  const { page, context } = await open(browser);
  await live(page);
  const state = page.locator('[data-test=sound]');
  expect(await state.textContent()).toContain('声音未开启');
  await page.keyboard.press('t');
  await page.locator('[data-test=play-2]').click();
  await page.locator('[data-test=heard]').click();
  await expect.poll(() => state.textContent()).toContain('声音正常');
  await context.close();
});

test('a bus that is killed under an open page is missed, comes back, and nothing is lost', async () => {
  const { page, context, faults } = await open(browser);
  await live(page);
  killBus();
  await page.locator('[data-test=stream].bad').waitFor({ timeout: 15_000 });
  const whileAway = alert(Kind.ROAD_FLOOD, Level.LEVEL_3);
  await untilItWorks(() => publish(whileAway));
  await page.locator(`[data-alert="${whileAway.alertId}"]`).waitFor({ timeout: 30_000 });
  await live(page);
  expect(await page.locator('[data-test=gap]').count(), 'it went on at its cursor').toBe(0);
  expect(faults).toEqual([]);
  await context.close();
});

test('a hidden page acknowledges nothing, misses nothing, and shows all when somebody looks again', async () => {
  const { page, context } = await open(browser);
  await live(page);
  const setHidden = (hidden: boolean): Promise<void> =>
    page.evaluate((hidden) => {
      Object.defineProperty(document, 'hidden', { configurable: true, get: () => hidden });
      document.dispatchEvent(new Event('visibilitychange'));
    }, hidden);
  await setHidden(true);
  // More than the credit of the critical lane: the bus ends the stream in between, and it goes on.
  const many = Array.from({ length: 100 }, () => alert(Kind.FIRE_SMOKE, Level.LEVEL_2));
  await publish(...many);
  const last = alert(Kind.MANHOLE_MISSING, Level.LEVEL_2);
  await publish(last);
  const count = page.locator('[data-desk=hazards] .count');
  const before = Number(await count.textContent());
  await expect.poll(async () => Number(await count.textContent()), { timeout: 60_000 }).toBeGreaterThanOrEqual(101);
  expect(before).toBeLessThan(200);
  await setHidden(false);
  await live(page);
  await page.locator(`[data-alert="${last.alertId}"]`).waitFor();
  const ended = many.map((one) => alert(Kind.FIRE_SMOKE, Level.LEVEL_2, { id: one.alertId, revision: 2, ended: true }));
  await publish(...ended, alert(Kind.MANHOLE_MISSING, Level.LEVEL_2, { id: last.alertId, revision: 2, ended: true }));
  await context.close();
});

test('no page has a serious fault of accessibility', async () => {
  const { page, context } = await open(browser);
  await live(page);
  await publish(alert(Kind.FIRE_FLAME, Level.LEVEL_2));
  await page.locator('[data-test=popup]').first().waitFor();
  const places: [string, () => Promise<unknown>][] = [
    ['hazards', () => Promise.resolve()],
    ['light', () => page.locator('[data-test=theme]').click()],
    ['an alert', async () => {
      await page.keyboard.press('j');
      await page.keyboard.press('Enter');
      await page.locator('[data-test=panel] [data-test=why], [data-test=panel] dl').first().waitFor();
    }],
    ['silence', async () => {
      await page.keyboard.press('s');
      await page.getByRole('dialog').waitFor();
    }],
    ['help', async () => {
      await page.keyboard.press('Escape');
      await page.getByRole('dialog').waitFor({ state: 'hidden' });
      await page.keyboard.press('?');
      await page.getByRole('dialog').waitFor();
    }],
  ];
  for (const [place, go] of places) {
    await go();
    expect(await serious(page), place).toEqual([]);
  }
  await context.close();
});

test('a flood of a thousand alerts leaves the page usable and the severe ones on top', async () => {
  const { page, context, faults } = await open(browser);
  await live(page);
  const began = Date.now();
  const severe = alert(Kind.PERSON_IN_WATER, Level.LEVEL_2);
  for (let round = 0; round < 10; round++) {
    const some = Array.from({ length: 100 }, () => alert(Kind.BIN_OVERFLOW, Level.LEVEL_4));
    if (round === 5) some[50] = severe;
    await publish(...some);
    const rest = began + (round + 1) * 1000 - Date.now();
    if (rest > 0) await new Promise((resolve) => setTimeout(resolve, rest));
    // While it lasts, keys are answered.
    await page.keyboard.press('j');
    await page.locator('[data-test=alert][aria-selected=true]').waitFor();
  }
  // It calls whoever has leafed on; in the list it stands on top.
  await page.locator('[data-test=popup]', { hasText: '疑似人员落水' }).waitFor();
  const count = page.locator('[data-desk=hazards] .count');
  await expect.poll(async () => Number(await count.textContent()), { timeout: 60_000 }).toBeGreaterThanOrEqual(1000);
  await page.locator('[data-test=list]').evaluate((list) => {
    list.scrollTop = 0;
  });
  await page.locator(`[data-alert="${severe.alertId}"]`).waitFor();
  const first = page.locator('[data-test=alert]').first();
  expect(await first.locator('.badge').first().textContent()).toMatch(/^[12] /);
  // Of a thousand lines those in view exist.
  expect(await page.locator('[data-test=alert]').count()).toBeLessThan(80);
  expect(faults).toEqual([]);
  await context.close();
});

test('a silence made by one key holds back what is like it, and is ended again', async () => {
  const { page, context } = await open(browser);
  await live(page);
  const one = alert(Kind.MATERIAL_PILED, Level.LEVEL_4);
  await publish(one);
  await page.goto(`${page.url().replace(/\/hazards.*/, '')}/hazards/${one.alertId}`);
  await page.locator('[data-test=panel] [data-test=silence]').waitFor();
  await page.keyboard.press('s');
  await page.locator('#silence-reason').fill('施工');
  expect(await page.locator('[data-test=make-silence]').isDisabled(), 'the service takes no fewer than four characters').toBe(true);
  await page.locator('[data-test=silence-short]', { hasText: '至少 4 个字' }).waitFor();
  await page.locator('#silence-reason').fill('道路施工,已报备');
  await page.locator('[data-test=make-silence]').dblclick();
  await page.locator('[data-test=silenced]').waitFor();
  await page.locator('[data-test=silence-strip]', { hasText: '已静默 1 项' }).waitFor();
  const held = alert(Kind.MATERIAL_PILED, Level.LEVEL_4);
  const seen = alert(Kind.ROAD_OBSTACLE, Level.LEVEL_3);
  await publish(held, seen);
  await page.locator(`[data-alert="${seen.alertId}"]`).waitFor({ state: 'attached' });
  expect(await page.locator(`[data-alert="${held.alertId}"]`).count()).toBe(0);
  // Who opens it again reads what holds already, and ends it there.
  await page.keyboard.press('Escape');
  await page.keyboard.press('s');
  await page.locator('[data-test=standing]', { hasText: '道路施工,已报备' }).waitFor();
  await page.locator('[data-test=to-silences]').click();
  const row = page.locator('[data-silence]');
  await row.filter({ hasText: '道路施工,已报备' }).waitFor();
  expect(await row.count(), 'a double click makes one').toBe(1);
  await row.locator('[data-test=end-silence]').click();
  await page.locator('[data-test=no-silences]').waitFor();
  await page.locator('[data-test=silence-strip]').waitFor({ state: 'detached' });
  await expect
    .poll(async () => Number(await page.locator('[data-desk=hazards] .count').textContent()))
    .toBeGreaterThan(0);
  await context.close();
});
