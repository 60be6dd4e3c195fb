// Pictures of the moment: of an alert's camera and of cameras near it, and what the register says of them.
import { mkdirSync } from 'node:fs';
import { createClient } from '@connectrpc/connect';
import { createGrpcWebTransport } from '@connectrpc/connect-web';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { AlertService, EvidenceKind, Kind, Level } from '../src/gen/xueliang/v1/alert_pb';
import { CallReason, EvidenceService, type RegisterEntry } from '../src/gen/xueliang/v1/evidence_pb';
import { take } from './pictures';
import { CONSOLE, SCREENSHOTS, alert, PICTURE_PATIENCE_MS, launch, live, open, publish, untilItWorks } from './town';

const transport = createGrpcWebTransport({ baseUrl: CONSOLE });
const evidence = createClient(EvidenceService, transport);

let browser: Browser;
beforeAll(async () => {
  mkdirSync(SCREENSHOTS, { recursive: true });
  browser = await launch();
});
afterAll(() => browser.close());

/** An alert of the pond that fires, or has just ended: cameras near it may be looked at. */
const recent = (): Promise<string> =>
  untilItWorks(async () => {
    const { records } = await createClient(AlertService, transport).listAlerts({ filter: { cameraIds: ['pond'] } });
    const latest = records.map((one) => one.alert).filter((one) => one !== undefined);
    latest.sort((a, b) => Number(b.resolvedUnixUs || b.lastSeenUnixUs) - Number(a.resolvedUnixUs || a.lastSeenUnixUs));
    const one = latest.find(({ resolvedUnixUs }) => resolvedUnixUs === 0n) ?? latest[0];
    if (!one || (one.resolvedUnixUs > 0n && Date.now() - Number(one.resolvedUnixUs) / 1000 > 30_000)) throw new Error('nothing happens at the pond');
    return one.alertId;
  });

/** What was opened of an alert and given, the newest first. */
async function opened(alertId: string): Promise<RegisterEntry[]> {
  const { entries } = await evidence.listRegister({ filter: { alertId, kind: EvidenceKind.LIVE } });
  return entries.filter((one) => one.granted);
}

/** Waits for a picture; what was refused for want of room is opened again by hand, as people do. */
async function picture(page: Page): Promise<void> {
  const shown = page.locator('[data-test=now] img');
  const again = page.locator('[data-test=look-again]');
  const end = Date.now() + PICTURE_PATIENCE_MS;
  for (;;) {
    await shown.or(again).first().waitFor({ timeout: 20_000 });
    if ((await shown.count()) > 0) return;
    expect(Date.now(), await page.locator('[data-test=now]').textContent() ?? '').toBeLessThan(end);
    await again.click();
  }
}

async function openAlert(page: Page, alertId: string): Promise<void> {
  await live(page);
  await page.goto(`${CONSOLE}/hazards/${alertId}`);
  await page.locator('[data-test=open-now]').waitFor({ timeout: 30_000 });
}

test('the picture now is opened by a key, tells its age, is registered once, and ends with the panel', async () => {
  const alertId = await recent();
  const { page, context, faults } = await open(browser);
  const asked: string[] = [];
  page.on('request', (request) => {
    if (request.url().endsWith('/GetPicture')) asked.push(request.url());
  });
  await openAlert(page, alertId);
  const before = (await opened(alertId)).length;
  await page.keyboard.press('.');
  await picture(page);
  const shown = page.locator('[data-test=now] img');
  const width = await shown.evaluate((image: HTMLImageElement) => image.decode().then(() => image.naturalWidth));
  expect(width).toBe(640);
  expect(await page.locator('[data-test=age]').textContent()).toMatch(/\d\d:\d\d:\d\d 的画面，\d+\.\d 秒前/);
  const first = await shown.getAttribute('src');
  await expect.poll(() => shown.getAttribute('src'), { timeout: PICTURE_PATIENCE_MS }).not.toBe(first);
  const entries = await opened(alertId);
  expect(entries.length - before, 'one entry for what was opened, not for each picture').toBe(1);
  expect(entries[0]).toMatchObject({ cameraId: 'pond', callReason: CallReason.CHECK_ALERT, reason: `alert ${alertId}` });

  // A camera near it, and one near it that shows nothing.
  await page.locator('[data-test=nearby] [data-camera=park]').waitFor();
  await page.keyboard.press(',');
  await picture(page);
  expect(await page.locator('[data-test=nearby] [aria-pressed=true]').getAttribute('data-camera')).toBe('park');
  expect((await opened(alertId))[0]?.cameraId).toBe('park');
  await page.keyboard.press(',');
  await page.locator('[data-test=now]', { hasText: '该点位当前没有画面' }).waitFor();
  expect((await opened(alertId))[0]?.cameraId, 'a refusal gives nothing').toBe('park');

  // Whoever does not see the page looks at nothing; it is opened again by hand.
  await page.locator('[data-test=nearby] button').first().click();
  await picture(page);
  await page.evaluate(() => {
    Object.defineProperty(document, 'hidden', { configurable: true, get: () => true });
    document.dispatchEvent(new Event('visibilitychange'));
  });
  await page.locator('[data-test=look-again]').waitFor();
  let calls = asked.length;
  await page.waitForTimeout(4000);
  expect(asked.length).toBe(calls);
  await page.evaluate(() => {
    Object.defineProperty(document, 'hidden', { configurable: true, get: () => false });
  });
  await page.keyboard.press('.');
  await picture(page);
  await page.keyboard.press('Escape');
  await page.locator('[data-test=panel]').waitFor({ state: 'detached' });
  calls = asked.length;
  await page.waitForTimeout(4000);
  expect(asked.length, 'it ends with the panel').toBe(calls);
  expect(faults).toEqual([]);
  await context.close();
});

test('a camera that no node of ours runs says so, and nothing is registered as given', async () => {
  const { page, context, faults } = await open(browser);
  const one = alert(Kind.ROAD_OBSTACLE, Level.LEVEL_3);
  await publish(one);
  await openAlert(page, one.alertId);
  await page.keyboard.press('.');
  await page.locator('[data-test=now]', { hasText: '该点位的分析节点不在线' }).waitFor();
  expect(await opened(one.alertId)).toEqual([]);
  const { entries } = await evidence.listRegister({ filter: { alertId: one.alertId, kind: EvidenceKind.LIVE } });
  expect(entries.map((entry) => entry.granted)).toEqual([false]);
  expect(faults).toEqual([]);
  await context.close();
});

test('it is legible in both languages, and without a serious fault', async () => {
  const alertId = await recent();
  const { page, context, faults } = await open(browser);
  await openAlert(page, alertId);
  await page.keyboard.press('.');
  await picture(page);
  await page.locator('[data-test=nearby] [data-camera=park]').waitFor();
  await take(page, 'now', 'zh');
  await page.locator('[data-test=language]').click();
  await page.locator('[data-test=age]', { hasText: 'old' }).waitFor();
  await take(page, 'now', 'en');
  expect(faults).toEqual([]);
  await context.close();
});
