// All cases of any time: searched for, listed as far as somebody scrolls, opened, and put into a file. Statistics of them, and a wall screen.
import { mkdirSync, readFileSync } from 'node:fs';
import { createClient } from '@connectrpc/connect';
import { createGrpcWebTransport } from '@connectrpc/connect-web';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { DeliveryStage, Kind, Level } from '../src/gen/xueliang/v1/alert_pb';
import { CaseService, FalseAlarmReason } from '../src/gen/xueliang/v1/case_pb';
import { DeliveryService } from '../src/gen/xueliang/v1/delivery_pb';
import { LANGUAGES, take } from './pictures';
import { CONSOLE, QUAY, SCREENSHOTS, SECURED, alert, clientOf, launch, live, open, publish, publishTo, signIn, type Desk } from './town';

let browser: Browser;
/** Judged false, confirmed, and untouched; of kinds that nothing else here is of. */
const [wrong, right, fresh] = [
  alert(Kind.MATERIAL_PILED, Level.LEVEL_4), alert(Kind.BIN_OVERFLOW, Level.LEVEL_3), alert(Kind.MATERIAL_PILED, Level.LEVEL_4),
];
beforeAll(async () => {
  mkdirSync(SCREENSHOTS, { recursive: true });
  browser = await launch();
  await publishTo(SECURED, wrong, right, fresh);
  const cases = await clientOf('ana', CaseService);
  await cases.actOnCase({
    key: { by: { case: 'alertId', value: wrong.alertId } }, revision: 0n,
    action: { what: { case: 'falseAlarm', value: { reason: FalseAlarmReason.LIGHT } } },
  });
  await cases.actOnCase({
    key: { by: { case: 'alertId', value: right.alertId } }, revision: 0n, action: { what: { case: 'confirm', value: {} } },
  });
});
afterAll(() => browser.close());

/** A page of somebody who has signed in. */
async function as(name: string, path: string, size = { width: 1366, height: 768 }): Promise<Desk> {
  const desk = await open(browser, path, size, SECURED);
  await signIn(desk.page, name);
  await live(desk.page);
  return desk;
}
async function close({ context, faults }: Desk): Promise<void> {
  expect(faults).toEqual([]);
  await context.close();
}

const row = (page: Page, id: string) => page.locator(`[data-test=past-case][data-case="${id}"]`);

test('what is searched for stands in the address, is found again by it, and is opened and left by key', async () => {
  const ana = await as('ana', '/hazards');
  const { page } = ana;
  await page.keyboard.press('6');
  await row(page, wrong.alertId).waitFor();
  await page.locator('[data-test=history-kind]').selectOption(String(Kind.MATERIAL_PILED));
  await row(page, right.alertId).waitFor({ state: 'detached' });
  await row(page, fresh.alertId).waitFor();
  await page.locator('[data-test=history-reason]').selectOption('false-1');
  await row(page, fresh.alertId).waitFor({ state: 'detached' });
  await row(page, wrong.alertId).waitFor();
  expect(page.url()).toContain(`kind=${Kind.MATERIAL_PILED}&reason=false-1`);
  // An address that was kept brings the same, whoever opens it.
  await page.goto(page.url());
  await row(page, wrong.alertId).waitFor();
  expect(await page.locator('[data-test=past-case]').count()).toBe(1);
  expect(await page.locator('[data-test=history-total]').textContent()).toMatch(/共 1 件/);
  await page.keyboard.press('j');
  await page.keyboard.press('Enter');
  await page.locator('[data-test=case-state]', { hasText: '误报' }).waitFor();
  expect(page.url()).toContain(`/history/${wrong.alertId}?kind=`);
  await page.keyboard.press('Escape');
  await page.locator('[data-test=case-state]').waitFor({ state: 'detached' });
  expect(page.url()).toContain('/history?kind=');
  await close(ana);
});

test('by day, state and number; what the service would refuse is said and not asked', async () => {
  const ana = await as('ana', '/history');
  const { page } = ana;
  await row(page, right.alertId).waitFor();
  await page.locator('[data-test=history-to]').fill('2020-01-01');
  await page.getByText('没有符合条件的案件').waitFor();
  await page.locator('[data-test=history-from]').fill('2020-01-02');
  await page.getByText('起始日期晚于截止日期').waitFor();
  expect(await page.locator('[data-test=export]').isDisabled()).toBe(true);
  await page.locator('[data-test=history-clear]').click();
  await page.locator('[data-test=history-state]').selectOption('over');
  await row(page, wrong.alertId).waitFor();
  expect(await row(page, right.alertId).count()).toBe(0);
  await page.locator('[data-test=history-clear]').click();
  const number = await row(page, right.alertId).locator('[role=cell]').last().textContent();
  await page.locator('[data-test=history-number]').fill('33');
  await page.getByText('案件编号应为 20 至 29 位数字').waitFor();
  await page.locator('[data-test=history-number]').fill(number ?? '');
  await row(page, right.alertId).waitFor();
  await expect.poll(() => page.locator('[data-test=past-case]').count()).toBe(1);
  await close(ana);
});

test('all that is found goes into a file, with places and units and without accounts', async () => {
  const ana = await as('ana', `/history?kind=${Kind.MATERIAL_PILED}`);
  const { page } = ana;
  await row(page, wrong.alertId).waitFor();
  const download = page.waitForEvent('download');
  await page.locator('[data-test=export]').click();
  const text = readFileSync(await (await download).path(), 'utf8');
  expect(text.startsWith('\ufeff案件编号,告警编号')).toBe(true);
  expect(text.split('\r\n').length, 'a head, both cases, and the end').toBe(4);
  expect(text).toContain('"东码头热成像 Quay, thermal camera"');
  expect(text).not.toContain('ana');
  await page.getByText('已导出 2 件').waitFor();
  await close(ana);
});

test('statistics say what came of alerts by kind, place and time, as n of m, and lead to the cases behind a figure', async () => {
  const ana = await as('ana', '/history');
  const { page } = ana;
  const scripts = (): Promise<string[]> => page.evaluate(() => performance.getEntriesByType('resource').map((one) => one.name));
  expect((await scripts()).filter((name) => name.includes('StatisticsPage')), 'charts come when they are needed').toEqual([]);
  await page.keyboard.press('7');
  await page.locator('[data-part=time] table').waitFor();
  expect((await scripts()).some((name) => name.includes('StatisticsPage'))).toBe(true);
  for (const part of ['kind', 'division', 'hour', 'day']) {
    await page.locator(`[data-part=${part}] [data-test=chart] canvas`).first().waitFor();
    await page.locator(`[data-part=${part}] table`).waitFor();
  }
  const line = page.locator('[data-part=kind] tbody tr', { hasText: '物料' });
  expect(await line.locator('td').first().textContent()).toMatch(/^2\s*$/);
  // Judged: false or not. The untouched one is in neither number.
  // It is no camera of a node: its publisher alone knows what it is called, and tells it with alerts.
  const camera = page.locator('[data-false=camera] tbody tr', { hasText: QUAY });
  expect(await camera.locator('td').first().textContent()).toMatch(/\d+ \/ \d+/);
  await page.locator('[data-part=now]', { hasText: '全域覆盖' }).waitFor();
  expect(await page.locator('.statistics-page').textContent(), 'by nobody').not.toMatch(/\bana\b|\bhugo\b/);
  const download = page.waitForEvent('download');
  await page.locator('[data-part=kind] [data-test=export-table]').click();
  const text = readFileSync(await (await download).path(), 'utf8');
  expect(text).toMatch(/^\ufeff告警类型,案件,立案,/);
  await line.getByRole('link').click();
  await row(page, fresh.alertId).waitFor();
  expect(page.url()).toContain(`kind=${Kind.MATERIAL_PILED}`);
  expect(await row(page, right.alertId).count()).toBe(0);
  await page.goto(`${SECURED}/statistics?from=2025-01-01&to=2026-11-30`);
  await page.getByText('一次最多统计 366 天').waitFor();
  await close(ana);
});

test('a wall screen shows what is severe, says since when it is old, goes on by itself, and acknowledges nothing', async () => {
  const { page, context, faults } = await open(browser, '/wall');
  await page.locator('[data-test=wall-live]').waitFor({ timeout: 30_000 });
  expect(await page.locator('button, input, select, a').count(), 'without controls').toBe(0);
  const one = alert(Kind.PERSON_IN_WATER, Level.LEVEL_2);
  await publish(one);
  await page.locator('[data-test=wall-alert]', { hasText: '东码头' }).first().waitFor();
  const audit = createClient(DeliveryService, createGrpcWebTransport({ baseUrl: CONSOLE }));
  const reached = async (): Promise<DeliveryStage[]> =>
    (await audit.listDeliveries({ alertId: one.alertId })).reports.flatMap((report) => report.stages.map((stage) => stage.stage));
  await expect.poll(reached).toContain(DeliveryStage.SENT);
  expect(await reached(), 'nobody acts in front of it').not.toContain(DeliveryStage.DISPLAYED);
  await context.setOffline(true);
  await page.locator('[data-test=wall-stale]', { hasText: '起没有更新' }).waitFor({ timeout: 60_000 });
  await context.setOffline(false);
  await page.locator('[data-test=wall-live]').waitFor({ timeout: 60_000 });
  await publish(alert(Kind.PERSON_IN_WATER, Level.LEVEL_2, { id: one.alertId, revision: 2, ended: true }));
  await page.locator('[data-test=wall-alert].ended', { hasText: '东码头' }).first().waitFor();
  expect(faults).toEqual([]);
  await context.close();
});

test.for(LANGUAGES)(
  'past cases and statistics in %s, without serious faults of accessibility',
  async (language) => {
    const ana = await as('ana', '/history');
    const { page } = ana;
    if (language === 'en') await page.locator('[data-test=language]').click();
    await row(page, wrong.alertId).waitFor();
    while ((await page.locator('[data-test=popup]').count()) > 0) await page.keyboard.press('x');
    await take(page, 'history', language);
    await row(page, wrong.alertId).click();
    await page.locator('[data-test=case-history] li').first().waitFor();
    await take(page, 'history-case', language);
    await page.locator('[data-test=theme]').click();
    await take(page, 'history-light', language);
    await page.keyboard.press('7');
    await page.locator('[data-part=time] table').waitFor();
    await take(page, 'statistics-light', language);
    await page.locator('[data-test=theme]').click();
    await take(page, 'statistics', language);
    await page.locator('[data-part=false]').scrollIntoViewIfNeeded();
    await take(page, 'statistics-false', language);
    await page.locator('[data-test=to-wall]').click();
    await page.locator('[data-group=judge]').waitFor();
    await page.locator('[data-test=wall-live]').waitFor();
    await take(page, 'wall', language);
    await close(ana);
  },
);
