// Signing in and out, before a service that asks who one is.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { serious } from './axe';
import { Kind, Level } from '../src/gen/xueliang/v1/alert_pb';
import {
  ACCOUNT, NEW_ACCOUNT, ONE_TIME_TOKEN, PASSWORD, SCREENSHOTS, SECURED, alert, launch, live, open, publishTo, signIn,
  type Desk,
} from './town';

let browser: Browser;
beforeAll(async () => {
  mkdirSync(SCREENSHOTS, { recursive: true });
  browser = await launch();
});
afterAll(() => browser.close());

const door = (path = '/', size = { width: 1366, height: 768 }): Promise<Desk> => open(browser, path, size, SECURED);

test('a wrong password lets nobody in, the right one does, alerts come live, and with signing out they are gone', async () => {
  const { page, context, faults } = await door();
  await signIn(page, ACCOUNT, 'Not-the-password-1');
  expect(await page.locator('[data-test=failure]').textContent()).toContain('不正确');
  expect(await page.locator('[data-test=list]').count()).toBe(0);

  await signIn(page, ACCOUNT, PASSWORD);
  await live(page);
  const flame = alert(Kind.FIRE_FLAME, Level.LEVEL_2);
  await publishTo(SECURED, flame);
  await page.locator('[data-test=popup]', { hasText: '明火' }).waitFor();
  await page.locator(`[data-alert="${flame.alertId}"]`).click();
  await page.locator('[data-test=panel] dl').first().waitFor();
  // A judge makes no silences: it is not offered.
  expect(await page.locator('[data-test=panel] [data-test=silence]').count()).toBe(0);
  await page.keyboard.press('s');
  expect(await page.getByRole('dialog').count()).toBe(0);

  await page.locator('[data-test=account]').click();
  const menu = page.locator('[data-test=account-menu]');
  expect(await menu.textContent()).toContain('指挥中心');
  expect(await menu.textContent()).toContain('值班研判员');
  expect(await serious(page)).toEqual([]);
  await page.screenshot({ path: join(SCREENSHOTS, 'account-zh-1366.png') });
  await menu.locator('[data-test=sign-out]').click();
  expect(await page.locator('[data-test=notice]').textContent()).toContain('已退出');
  expect(await page.locator('[data-alert]').count()).toBe(0);
  expect(await page.title()).not.toContain('(');
  // Neither does a reload bring anything back.
  expect(await page.evaluate(() => sessionStorage.length + Object.keys(localStorage).filter((key) => key.includes('session')).length)).toBe(0);
  await page.reload();
  await page.locator('#account').waitFor();
  // While it fires it holds back smoke at its camera.
  await publishTo(SECURED, alert(Kind.FIRE_FLAME, Level.LEVEL_2, { id: flame.alertId, revision: 2, ended: true }));
  expect(faults).toEqual([]);
  await context.close();
});

test('a reload and a second tab need no password, and one sign-out ends both', async () => {
  const { page, context, faults } = await door();
  await signIn(page, ACCOUNT, PASSWORD);
  await live(page);
  await page.reload();
  await live(page);
  const second = await context.newPage();
  await second.goto(SECURED);
  await live(second);
  await second.locator('[data-test=account]').click();
  await second.locator('[data-test=sign-out]').click();
  for (const one of [page, second]) {
    await one.locator('[data-test=notice]').waitFor();
    expect(await one.locator('[data-test=alert]').count()).toBe(0);
  }
  // And one sign-in opens both.
  await signIn(page, ACCOUNT, PASSWORD);
  await live(second);
  expect(faults).toEqual([]);
  await context.close();
});

test('a password that is changed elsewhere ends the session here, and says why', async () => {
  const [here, there] = [await door(), await door()];
  for (const { page } of [here, there]) {
    await signIn(page, ACCOUNT, PASSWORD);
    await live(page);
  }
  const changeTo = async (present: string, next: string): Promise<void> => {
    await there.page.locator('[data-test=account]').click();
    await there.page.locator('[data-test=change]').click();
    await there.page.locator('#present-password').fill(present);
    await there.page.locator('#new-password').fill(next);
    await there.page.locator('#repeat-password').fill(next);
    await there.page.locator('[data-test=change-button]').click();
  };
  const other = 'Seven-bridges-and-1-road';
  await changeTo('Not-the-password-1', other);
  await there.page.locator('[data-test=failure]').waitFor();
  await there.page.keyboard.press('Escape');
  await there.page.getByRole('dialog').waitFor({ state: 'hidden' });
  await changeTo(PASSWORD, other);
  await there.page.locator('[data-test=changed]').waitFor();
  await here.page.locator('[data-test=notice]', { hasText: '登录已失效' }).waitFor();
  expect(await here.page.locator('[data-test=alert]').count()).toBe(0);
  await there.page.keyboard.press('Escape');
  await there.page.getByRole('dialog').waitFor({ state: 'hidden' });
  await changeTo(other, PASSWORD);
  await there.page.locator('[data-test=changed]').waitFor();
  for (const { context, faults } of [here, there]) {
    expect(faults).toEqual([]);
    await context.close();
  }
});

test('a link with a one-time token leads to a password of one’s own; who has no alerts gets what is for them', async () => {
  const { page, context, faults } = await door(`/#/set-up?token=${ONE_TIME_TOKEN}`);
  await page.locator('#new-password').waitFor();
  expect(await page.locator('#set-up-token').inputValue()).toBe(ONE_TIME_TOKEN);
  await expect.poll(() => page.url()).not.toContain('token');
  await page.locator('#new-password').fill(PASSWORD);
  await page.locator('#repeat-password').fill('Another-1-than-that');
  expect(await page.locator('[data-test=set-up-button]').isDisabled()).toBe(true);
  await page.locator('#repeat-password').fill(PASSWORD);
  await page.locator('[data-test=set-up-button]').click();
  await page.locator('[data-test=notice]', { hasText: '密码已设置' }).waitFor();
  expect(await page.locator('#account').inputValue()).toBe(NEW_ACCOUNT);
  await signIn(page, NEW_ACCOUNT, PASSWORD);
  await page.locator('[data-test=cameras]').waitFor();
  expect(await page.locator('[data-test=no-alerts]').count()).toBe(0);
  expect(await page.locator('[data-test=list]').count()).toBe(0);
  await page.locator('[data-test=account]').click();
  await page.locator('[data-test=sign-out]').click();
  // It counts once.
  await page.locator('[data-test=to-set-up]').click();
  await page.locator('#set-up-token').fill(ONE_TIME_TOKEN);
  await page.locator('#new-password').fill(PASSWORD);
  await page.locator('#repeat-password').fill(PASSWORD);
  await page.locator('[data-test=set-up-button]').click();
  await page.locator('[data-test=failure]', { hasText: '一次性口令' }).waitFor();
  expect(faults).toEqual([]);
  await context.close();
});

const sizes = [{ width: 1366, height: 768 }, { width: 1920, height: 1080 }];

test.for(sizes.flatMap((size) => ['zh', 'en'].map((language) => ({ size, language }))))(
  'signing in and setting up in $language at $size.width',
  async ({ size, language }) => {
    const { page, context, faults } = await door('/', size);
    const take = async (name: string): Promise<void> => {
      expect(await serious(page), name).toEqual([]);
      await page.screenshot({ path: join(SCREENSHOTS, `${name}-${language}-${size.width}.png`) });
    };
    await page.locator('#account').waitFor();
    if (language === 'en') await page.locator('[data-test=language]').click();
    await take('sign-in');
    await page.locator('[data-test=to-set-up]').click();
    await page.locator('[data-test=first]').click();
    await take('set-up');
    await page.locator('[data-test=theme]').click();
    await take('set-up-light');
    expect(faults).toEqual([]);
    await context.close();
  },
);

// Last: from then on this address waits a little with that name.
test('after too many failures the page says how long to wait', async () => {
  const { page, context } = await door();
  for (let n = 0; n < 6; n++) {
    await page.locator('[data-test=sign-in-button]').waitFor();
    await signIn(page, 'nobody', 'Not-the-password-1');
    await page.locator('[data-test=failure]').waitFor();
    await expect.poll(() => page.locator('[data-test=sign-in-button]').isDisabled()).toBe(n === 5);
  }
  expect(await page.locator('[data-test=failure]').textContent()).toMatch(/请在 \d+ 秒后再试/);
  await page.screenshot({ path: join(SCREENSHOTS, 'wait-zh-1366.png') });
  await context.close();
});
