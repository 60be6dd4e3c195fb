// A handler's link on a telephone, from the dispatch to the check by a third; and a drill that goes all that way.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createClient } from '@connectrpc/connect';
import { createGrpcWebTransport } from '@connectrpc/connect-web';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { AlertService, Kind, Level } from '../src/gen/xueliang/v1/alert_pb';
import { CameraService } from '../src/gen/xueliang/v1/camera_pb';
import { CaseService, CaseState, type Case } from '../src/gen/xueliang/v1/case_pb';
import { EvidenceService } from '../src/gen/xueliang/v1/evidence_pb';
import { LinkService } from '../src/gen/xueliang/v1/handler_pb';
import { serious } from './axe';
import { take as takeOnDesk } from './pictures';
import { CONSOLE, SCREENSHOTS, SECURED, alert, clientOf, launch, live, open, publishTo, signIn, type Desk } from './town';

const PHONE = { width: 390, height: 844 };
let browser: Browser;
beforeAll(async () => {
  mkdirSync(SCREENSHOTS, { recursive: true });
  browser = await launch();
});
afterAll(() => browser.close());

async function as(name: string, path = '/hazards', size = { width: 1366, height: 768 }): Promise<Desk> {
  const desk = await open(browser, path, size, SECURED);
  await signIn(desk.page, name);
  await live(desk.page);
  return desk;
}
async function close(...desks: Desk[]): Promise<void> {
  for (const { context, faults } of desks) {
    expect(faults).toEqual([]);
    await context.close();
  }
}
const take = async (page: Page, name: string): Promise<void> => {
  expect((await serious(page)).join('\n'), name).toBe('');
  await page.screenshot({ path: join(SCREENSHOTS, `${name}.png`) });
};
const onPhone = (page: Page, text: string): Promise<void> => page.locator('[data-test=state]', { hasText: text }).waitFor();

/** A JPEG as a telephone takes it: larger than is sent. */
async function photo(page: Page, name: string): Promise<string> {
  const data = await page.evaluate(() => {
    const canvas = document.createElement('canvas');
    canvas.width = 2400;
    canvas.height = 1800;
    const pen = canvas.getContext('2d');
    if (!pen) return '';
    pen.fillStyle = '#3a7';
    pen.fillRect(0, 0, 2400, 1800);
    pen.fillStyle = '#fff';
    pen.font = '300px sans-serif';
    pen.fillText('clear', 700, 1000);
    return canvas.toDataURL('image/jpeg', 0.9);
  });
  const path = join(SCREENSHOTS, name);
  writeFileSync(path, Buffer.from(data.slice(data.indexOf(',') + 1), 'base64'));
  return path;
}

/** A case that was judged and dispatched, as its alert's id. */
async function dispatched(kind = Kind.FIRE_LANE_BLOCKED): Promise<string> {
  const one = alert(kind, Level.LEVEL_3);
  await publishTo(SECURED, one);
  const key = { by: { case: 'alertId' as const, value: one.alertId } };
  const ana = await clientOf('ana', CaseService);
  const confirmed = await ana.actOnCase({ key, revision: 0n, action: { what: { case: 'confirm', value: {} } } });
  const dora = await clientOf('dora', CaseService);
  const action = { what: { case: 'dispatch' as const, value: { unit: '消防大队', assistingUnits: [] } } };
  await dora.actOnCase({ key, revision: confirmed.case?.revision ?? 0n, action, note: '请清理消防通道北口' });
  return one.alertId;
}
async function caseOf(alertId: string): Promise<Case | undefined> {
  const lea = await clientOf('lea', CaseService);
  return (await lea.getCase({ key: { by: { case: 'alertId', value: alertId } } })).case;
}
/** The link that a desk gives on its page. */
async function given(page: Page): Promise<string> {
  await page.locator('[data-test=give-link]').waitFor();
  await page.keyboard.press('g');
  const field = page.locator('[data-test=link-url]');
  await field.waitFor();
  return field.inputValue();
}

// First: until a minute has gone by no other begins, and there is enough to do meanwhile.
test('a drill goes all the way from the picture of a drill camera to the telephone, and says how far it came', async () => {
  const dora = await as('dora', '/drill');
  const { page } = dora;
  const step = (n: number, timeout = 30_000): Promise<void> => page.locator(`[data-step="${n}"][data-done=true]`).waitFor({ timeout });
  await page.locator('#drill-camera option').first().waitFor({ state: 'attached' });
  // The drill camera is the first choice, and the page says what the whole chain is.
  await expect.poll(() => page.locator('#drill-camera').inputValue()).toBe('play');
  await page.locator('[data-test=drill-proves]', { hasText: '分析模型' }).waitFor();
  await page.locator('[data-test=start-drill]').click();
  await page.locator('[data-test=drill-waiting]').waitFor();
  await step(12);
  await take(page, 'drill-waiting-zh-1366');
  // Connected, looked at, decided, raised; then recorded and shown.
  for (const n of [13, 14, 1, 2, 3]) await step(n, 110_000);
  const order = await page.locator('[data-step]').evaluateAll((rows) => rows.map((row) => Number(row.getAttribute('data-step'))));
  expect(order).toEqual([12, 13, 14, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
  const id = ((await page.locator('[data-test=drill-alert]').getAttribute('href')) ?? '').split('/').at(-1) ?? '';
  const told = (await (await clientOf('dora', AlertService)).getAlert({ alertId: id })).record?.alert;
  expect(told).toMatchObject({ drill: true, kind: Kind.ZONE_INTRUSION, place: { cameraId: 'play' } });
  expect(told?.explanation?.model?.name).not.toBe('');
  const key = { by: { case: 'alertId' as const, value: id } };
  const ana = await clientOf('ana', CaseService);
  const confirmed = await ana.actOnCase({ key, revision: 0n, action: { what: { case: 'confirm', value: {} } } });
  const cases = await clientOf('dora', CaseService);
  const action = { what: { case: 'dispatch' as const, value: { unit: '消防大队' } } };
  await cases.actOnCase({ key, revision: confirmed.case?.revision ?? 0n, action });
  const { token } = await (await clientOf('dora', LinkService)).giveLink({ key });
  for (const n of [4, 5, 6]) await step(n);
  const phone = await open(browser, `/h.html#${token}`, PHONE, SECURED);
  await phone.page.locator('[data-test=drill]', { hasText: '演练' }).waitFor();
  await take(phone.page, 'phone-drill-zh-390');
  await phone.page.locator('[data-test=accept]').click();
  await phone.page.locator('[data-test=start]').click();
  await phone.page.locator('[data-test=photo]').setInputFiles(await photo(phone.page, 'drill-photo.jpg'));
  await phone.page.locator('[data-test=sent]').waitFor();
  await phone.page.locator('#note').fill('演练:链路正常');
  await phone.page.locator('[data-test=feedback]').click();
  for (const n of [7, 8, 9, 10]) await step(n);
  const vera = await clientOf('vera', CaseService);
  const fedBack = await vera.getCase({ key });
  const taken = await vera.actOnCase({ key, revision: fedBack.case?.revision ?? 0n, action: { what: { case: 'takeUp', value: {} } } });
  await vera.actOnCase({ key, revision: taken.case?.revision ?? 0n, action: { what: { case: 'pass', value: {} } } });
  await page.locator('[data-test=drill-complete]').waitFor();
  // Marked, and no point that could be blind.
  const cameras = await clientOf('dora', CameraService);
  expect((await cameras.listCameras({ drills: true })).cameras).toMatchObject([{ cameraId: 'play', drill: true, blind: false }]);
  await page.locator('[data-test=popup]').first().waitFor({ timeout: 1000 }).catch(() => undefined);
  while ((await page.locator('[data-test=popup]').count()) > 0) await page.keyboard.press('x');
  await takeOnDesk(page, 'drill', 'zh');
  await page.locator('[data-test=language]').click();
  await takeOnDesk(page, 'drill', 'en');
  // The shift's beginning leads there.
  await page.keyboard.press('1');
  await page.keyboard.press('t');
  await page.locator('[data-test=to-drill]').click();
  await page.locator('[data-test=drill]').waitFor();
  await close(dora, phone);
}, 240_000);

test('the desk gives a link; on a telephone the case is taken, arrived at and handed back with a photo, and a third checks it', async () => {
  const id = await dispatched();
  const dora = await as('dora', `/hazards/${id}`);
  const url = await given(dora.page);
  expect(url).toMatch(/\/h\.html#xlh_[\w-]{43}$/);
  await dora.page.locator('[data-test=links]').scrollIntoViewIfNeeded();
  await take(dora.page, 'link-zh-1366');

  const phone = await open(browser, url.slice(SECURED.length), PHONE, SECURED);
  const { page } = phone;
  // No request line has the token: what follows the hash stays in the browser.
  const lines: string[] = [];
  page.on('request', (request) => lines.push(request.url()));
  await onPhone(page, '已派单');
  expect(await page.textContent('main')).toMatch(/东码头/);
  await page.getByText('请清理消防通道北口').waitFor();
  await take(page, 'phone-dispatched-zh-390');
  await page.locator('[data-test=accept]').click();
  await onPhone(page, '已签收');
  await page.locator('[data-test=start]').click();
  await onPhone(page, '处置中');
  // Nothing is handed back without proof and words; what is missing comes into view.
  await page.locator('[data-test=feedback]').click();
  await page.getByText('请写至少 4 个字').waitFor();
  const inView = () => page.evaluate(() => {
    const [missing, bar] = ['[data-missing]', 'footer'].map((one) => document.querySelector(one)?.getBoundingClientRect());
    return missing !== undefined && bar !== undefined && missing.bottom <= bar.top;
  });
  await expect.poll(inView).toBe(true);
  await page.locator('[data-test=photo]').setInputFiles(await photo(page, 'phone-photo.jpg'));
  await page.locator('[data-test=sent] img').waitFor();
  await page.locator('#note').fill('障碍物已清理,通道畅通');
  await take(page, 'phone-handling-zh-390');
  await page.reload();
  await page.locator('[data-test=sent]', { hasText: '已发送 1 张' }).waitFor();
  await page.locator('#note').fill('障碍物已清理,通道畅通');
  await page.locator('[data-test=feedback]').click();
  await onPhone(page, '已反馈');
  await page.locator('[data-test=waiting]', { hasText: '正在核查' }).waitFor();
  expect(lines.filter((line) => line.includes('xlh_') && !line.includes('#'))).toEqual([]);

  const vera = await as('vera', `/hazards/${id}`);
  await vera.page.locator('[data-act=TAKE_UP]').waitFor();
  await vera.page.locator('[data-test=show-proof]').first().click();
  await vera.page.locator('[data-test=proof] img').waitFor();
  await vera.page.locator('[data-test=links]').scrollIntoViewIfNeeded();
  await take(vera.page, 'proof-zh-1366');
  await vera.page.keyboard.press('w');
  await vera.page.locator('[data-act=PASS]').waitFor();
  await vera.page.keyboard.press('y');
  await expect.poll(() => vera.page.locator('[data-test=case-state]').textContent()).toBe('办结');
  const history = await vera.page.locator('[data-test=case-history]').textContent();
  for (const who of ['dora（指挥中心）', '链接 ', '消防大队', 'vera（督查科）']) expect(history).toContain(who);
  await page.locator('[data-test=ended]', { hasText: '案件已不在本单位手中' }).waitFor({ timeout: 20_000 });
  await take(page, 'phone-ended-zh-390');
  const told = await caseOf(id);
  expect(told?.capacities?.handled?.accounts).toEqual([expect.stringMatching(/^link:\d+$/)]);
  await close(dora, phone, vera);
});

test('somebody faster, a lost connection, and an end are told on the telephone', async () => {
  const id = await dispatched(Kind.ROAD_OBSTACLE);
  const key = { by: { case: 'alertId' as const, value: id } };
  const links = await clientOf('dora', LinkService);
  const { token, link } = await links.giveLink({ key });
  const phone = await open(browser, `/h.html#${token}`, PHONE, SECURED);
  const { page, context } = phone;
  await onPhone(page, '已派单');

  // The unit takes it at a desk, while the telephone has not heard of it.
  await page.evaluate(() => {
    Object.defineProperty(document, 'hidden', { configurable: true, get: () => true });
  });
  const hugo = await clientOf('hugo', CaseService);
  const seen = await hugo.getCase({ key });
  await hugo.actOnCase({ key, revision: seen.case?.revision ?? 0n, action: { what: { case: 'accept', value: {} } } });
  await page.locator('[data-test=accept]').click();
  await page.locator('[data-test=outcome]', { hasText: '案件已有变化' }).waitFor();
  await onPhone(page, '已签收');
  await page.evaluate(() => {
    Object.defineProperty(document, 'hidden', { configurable: true, get: () => false });
    document.dispatchEvent(new Event('visibilitychange'));
  });

  await context.setOffline(true);
  await page.locator('[data-test=away]').waitFor({ timeout: 20_000 });
  await take(page, 'phone-away-zh-390');
  await onPhone(page, '已签收');
  await context.setOffline(false);
  await page.locator('[data-test=away]').waitFor({ state: 'detached', timeout: 20_000 });

  await page.locator('[data-test=language]').click();
  await page.getByText('Arrived, start work').waitFor();
  await take(page, 'phone-accepted-en-390');
  await page.locator('[data-test=language]').click();
  await links.endLink({ linkId: link?.linkId ?? 0n });
  await page.locator('[data-test=ended]', { hasText: '链接已被撤销' }).waitFor({ timeout: 20_000 });
  expect(await page.locator('[data-test=start]').count()).toBe(0);

  const wrong = await open(browser, `/h.html#xlh_${'A'.repeat(43)}`, PHONE, SECURED);
  await wrong.page.locator('[data-test=unknown]').waitFor();
  await take(wrong.page, 'phone-unknown-zh-390');
  await close(phone, wrong);
});

test('the still that a telephone shows stands in the register as asked for by the link', async () => {
  // At the service of the town, where the cameras have pictures and whoever calls is the operator.
  const desk = await open(browser);
  await live(desk.page);
  const row = desk.page.locator('[data-test=alert][data-camera=pond]').first();
  await row.waitFor({ timeout: 90_000 });
  const id = (await row.getAttribute('data-alert')) ?? '';
  const transport = createGrpcWebTransport({ baseUrl: CONSOLE });
  const cases = createClient(CaseService, transport);
  const key = { by: { case: 'alertId' as const, value: id } };
  const now = async (): Promise<bigint> => (await cases.getCase({ key })).case?.revision ?? 0n;
  const state = (await cases.getCase({ key })).case?.state;
  if (state === CaseState.NEW) await cases.actOnCase({ key, revision: await now(), action: { what: { case: 'confirm', value: {} } } });
  await cases.actOnCase({ key, revision: await now(), action: { what: { case: 'dispatch', value: { unit: '消防大队' } } } });
  const { token, link } = await createClient(LinkService, transport).giveLink({ key });
  const phone = await open(browser, `/h.html#${token}`, PHONE);
  await phone.page.locator('[data-test=still] img').waitFor();
  await take(phone.page, 'phone-still-zh-390');
  const { entries } = await createClient(EvidenceService, transport).listRegister({ alertId: id });
  expect(entries[0]).toMatchObject({ principal: `link:${link?.linkId ?? 0n}`, unit: '消防大队', granted: true });
  await close(desk, phone);
});

test('at any other camera a drill begins at the record, and says that no camera has a part in it', async () => {
  const dora = await as('dora', '/drill');
  const { page } = dora;
  await page.locator('#drill-camera option[value=weir]').waitFor({ state: 'attached' });
  await page.locator('#drill-camera').selectOption('weir');
  await page.locator('[data-test=drill-proves]', { hasText: '不能证明：摄像机' }).waitFor();
  const start = page.locator('[data-test=start-drill]');
  // One begins in a minute.
  await expect.poll(async () => {
    await start.click();
    await page.locator('[data-test=start-drill]:not([disabled])').waitFor();
    return page.locator('[data-test=drill-failure]').count();
  }, { timeout: 90_000, interval: 5000 }).toBe(0);
  await page.locator('[data-step="12"]').waitFor({ state: 'detached' });
  for (const n of [1, 2, 3]) await page.locator(`[data-step="${n}"][data-done=true]`).waitFor();
  expect(await page.locator('[data-step]').count()).toBe(11);
  await close(dora);
}, 180_000);
