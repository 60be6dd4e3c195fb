// Judging, and the loop from an alert to its closed case, by the people who each do one part of it.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Kind, Level } from '../src/gen/xueliang/v1/alert_pb';
import { DutyService } from '../src/gen/xueliang/v1/duty_pb';
import { CallReason, EvidenceService } from '../src/gen/xueliang/v1/evidence_pb';
import { createClient } from '@connectrpc/connect';
import { createGrpcWebTransport } from '@connectrpc/connect-web';
import { serious } from './axe';
import { LANGUAGES, take } from './pictures';
import {
  CONSOLE, SCREENSHOTS, SECURED, alert, clientOf, launch, live, open, publishTo, signIn, type Desk,
} from './town';

let browser: Browser;
beforeAll(async () => {
  mkdirSync(SCREENSHOTS, { recursive: true });
  browser = await launch();
  // Who leads what, and who is on duty, as the leader has it.
  const duty = await clientOf('lea', DutyService);
  const calls = [{ unit: '指挥中心', account: '' }, { unit: '消防大队', account: 'hugo' }];
  await duty.putDutyRule({ rule: { divisionCode: '330282', leadUnit: '消防大队', assistUnits: ['网格站'], callList: calls } });
  await duty.putShift({ shift: { divisionCode: '330282', unit: '消防大队', account: 'hugo' } });
});
afterAll(() => browser.close());

/** A page of somebody who has signed in. */
async function as(name: string, path = '/hazards', size = { width: 1366, height: 768 }): Promise<Desk> {
  const desk = await open(browser, path, size, SECURED);
  await signIn(desk.page, name);
  await live(desk.page);
  return desk;
}

/** Opens an alert on the desk, and waits for its case. */
async function opened(page: Page, id: string): Promise<void> {
  await page.goto(`${SECURED}/hazards/${id}`);
  await page.locator('[data-test=case-state]').waitFor();
}

const state = (page: Page): Promise<string | null> => page.locator('[data-test=case-state]').textContent();
const outcome = (page: Page, text: RegExp): Promise<void> =>
  page.locator('[data-test=outcome]', { hasText: text }).waitFor({ timeout: 30_000 });
const act = (page: Page, name: string): Promise<void> => page.locator(`[data-act=${name}]`).waitFor();

/** Closes pages; whether anything went wrong in them. */
async function close(...desks: Desk[]): Promise<void> {
  for (const { context, faults } of desks) {
    expect(faults).toEqual([]);
    await context.close();
  }
}

test('who judges is shown to the others, and whoever comes too late is told who did what', async () => {
  const [ana, jan] = [await as('ana'), await as('jan')];
  const one = alert(Kind.FIRE_LANE_BLOCKED, Level.LEVEL_3);
  await publishTo(SECURED, one);
  for (const { page } of [ana, jan]) await opened(page, one.alertId);
  await ana.page.keyboard.press('g');
  await ana.page.locator('[data-test=claim]', { hasText: '您正在研判' }).waitFor();
  await jan.page.locator('[data-test=claim]', { hasText: 'ana（指挥中心） 正在研判' }).waitFor();
  expect(await jan.page.locator('[data-act=CONFIRM]').count(), 'what cannot be done is not offered').toBe(0);
  await ana.page.keyboard.press('r');
  await ana.page.locator('[data-test=claim]').waitFor({ state: 'detached' });
  await act(jan.page, 'CONFIRM');

  // The other page does not hear of it in time, as it would at the same second.
  await jan.page.evaluate(() => {
    Object.defineProperty(document, 'hidden', { configurable: true, get: () => true });
  });
  await ana.page.keyboard.press('y');
  await outcome(ana.page, /已完成/);
  await jan.page.keyboard.press('f');
  await outcome(jan.page, /ana（指挥中心）.*确认立案/);
  expect(await state(jan.page), 'and how the case stands now').toBe('立案');
  expect(await jan.page.getByRole('dialog').count()).toBe(0);
  await close(ana, jan);
});

test('a false alarm takes its key and the digit of its reason; a note that tells who somebody is, is refused', async () => {
  const ana = await as('ana');
  const { page } = ana;
  const [quick, other] = [alert(Kind.LEFT_OBJECT, Level.LEVEL_4), alert(Kind.LEFT_OBJECT, Level.LEVEL_4)];
  await publishTo(SECURED, quick, other);
  await opened(page, quick.alertId);
  await act(page, 'FALSE_ALARM');
  await page.keyboard.press('f');
  await page.locator('[data-test=act-form]').waitFor();
  await expect.poll(() => page.evaluate(() => document.activeElement?.closest('[data-test=act-form]') !== null), { message: 'the form keeps the focus' }).toBe(true);
  await page.keyboard.press('1');
  await page.keyboard.press('Enter');
  await outcome(page, /已完成/);
  expect(await state(page)).toBe('误报');
  await page.locator('[data-test=case-reason]', { hasText: '灯光、反光、阴影' }).waitFor();
  await page.locator('[data-test=case-history]', { hasText: '灯光、反光、阴影' }).waitFor();

  await opened(page, other.alertId);
  await act(page, 'FALSE_ALARM');
  await page.keyboard.press('f');
  await page.locator('[data-test=act-form]').waitFor();
  await page.keyboard.press('7');
  await expect.poll(() => page.evaluate(() => document.activeElement?.id)).toBe('act-note');
  expect(await page.locator('[data-test=act-submit]').isDisabled()).toBe(true);
  await page.keyboard.type('已电话 138 0013 8000 核实');
  await page.keyboard.press('Enter');
  await outcome(page, /不能写入身份证件号、手机号、车牌号/);
  expect(await page.getByRole('dialog').count()).toBe(1);
  await page.locator('#act-note').fill('现场核实为临时摆放');
  await page.keyboard.press('Enter');
  await outcome(page, /已完成/);
  await page.locator('[data-test=case-history]', { hasText: '现场核实为临时摆放' }).waitFor();
  // The place remembers what became of the first.
  await page.locator('[data-test=same-place]', { hasText: '误报' }).waitFor();
  await close(ana);
});

test('one alert becomes part of an open case nearby', async () => {
  const ana = await as('ana');
  const { page } = ana;
  const [first, second] = [alert(Kind.ROAD_OBSTACLE, Level.LEVEL_3), alert(Kind.ROAD_FLOOD, Level.LEVEL_3)];
  await publishTo(SECURED, first, second);
  await opened(page, first.alertId);
  await act(page, 'CONFIRM');
  await page.keyboard.press('y');
  await outcome(page, /已完成/);
  const number = await page.locator('[data-test=case-number]').textContent();
  await opened(page, second.alertId);
  await act(page, 'MERGE');
  await page.keyboard.press('m');
  await page.locator(`[data-into="${number}"] input`).focus();
  await page.keyboard.press('Space');
  await page.keyboard.press('Enter');
  await outcome(page, /已完成/);
  expect(await state(page)).toBe('重复合并');
  await page.getByText(`已并入 ${number}`).waitFor();
  await close(ana);
});

/** Opens the first case of a group on the board by keys alone. */
async function fromBoard(page: Page, group: string, key: string): Promise<void> {
  await page.keyboard.press('3');
  const chosen = page.locator(`[data-group=${group}][aria-pressed=true]`);
  await page.locator('[data-group=judge]').waitFor();
  for (const turn of ['ArrowLeft', 'ArrowRight']) {
    for (let n = 0; n < 7 && (await chosen.count()) === 0; n++) await page.keyboard.press(turn);
  }
  await page.locator(`[data-case="${key}"]`).waitFor();
  for (let n = 0; n < 50; n++) {
    await page.keyboard.press('j');
    if ((await page.locator(`[data-case="${key}"][aria-selected=true]`).count()) > 0) break;
  }
  await page.keyboard.press('Enter');
  await page.locator('[data-test=case-state]').waitFor();
}

test('from the alert to the closed case: judged, dispatched, taken, done and checked by four people, with keys', async () => {
  const [ana, dora, hugo, vera] = [await as('ana'), await as('dora'), await as('hugo'), await as('vera')];
  const one = alert(Kind.FIRE_LANE_BLOCKED, Level.LEVEL_3);
  await publishTo(SECURED, one);
  await opened(ana.page, one.alertId);
  await act(ana.page, 'CONFIRM');
  expect(await ana.page.locator('[data-act=DISPATCH]').count()).toBe(0);
  await ana.page.keyboard.press('y');
  await outcome(ana.page, /已完成/);

  await fromBoard(dora.page, 'dispatch', one.alertId);
  await act(dora.page, 'DISPATCH');
  await dora.page.keyboard.press('d');
  await dora.page.locator('[data-test=by-rule]').waitFor();
  expect(await dora.page.locator('#act-unit').inputValue()).toBe('消防大队');
  // Others that duty rules name are offered.
  await dora.page.locator('#act-units option[value=消防大队]').waitFor({ state: 'attached' });
  expect(await dora.page.locator('#act-assist').inputValue()).toBe('网格站');
  expect(await dora.page.locator('[data-test=prefill]').textContent()).toMatch(/hugo（消防大队）/);
  expect((await serious(dora.page)).join('\n'), 'dispatch').toBe('');
  // One key accepts what the duty rule filled in.
  await dora.page.keyboard.press('Enter');
  await outcome(dora.page, /已完成/);
  expect(await state(dora.page)).toBe('已派单');

  await fromBoard(hugo.page, 'accept', one.alertId);
  await act(hugo.page, 'ACCEPT');
  expect(await hugo.page.locator('[data-act=DISPATCH], [data-act=CONFIRM]').count()).toBe(0);
  await hugo.page.keyboard.press('a');
  await act(hugo.page, 'START');
  await hugo.page.keyboard.press('w');
  await act(hugo.page, 'ASK_SUSPENSION');
  await hugo.page.keyboard.press('h');
  await hugo.page.locator('#act-note').fill('等待清障车到场');
  await hugo.page.keyboard.press('Enter');
  await outcome(hugo.page, /已完成/);
  await act(dora.page, 'SUSPEND');
  await dora.page.keyboard.press('l');
  await expect.poll(() => state(dora.page)).toBe('挂账');
  await act(hugo.page, 'RESUME');
  await hugo.page.keyboard.press('w');
  await act(hugo.page, 'FEEDBACK');

  // Urged and supervised meanwhile.
  await fromBoard(vera.page, 'handle', one.alertId);
  await act(vera.page, 'URGE');
  await vera.page.keyboard.press('u');
  await vera.page.locator('[data-test=act-form]').waitFor();
  await vera.page.locator('[data-test=act-submit]').click();
  await outcome(vera.page, /已完成/);
  await vera.page.keyboard.press('i');
  await vera.page.locator('#act-note').fill('重点路段,请尽快');
  await vera.page.keyboard.press('Enter');
  await outcome(vera.page, /已完成/);
  await hugo.page.locator('[data-test=case-bar]', { hasText: '催办 1 次' }).waitFor();

  const photo = join(SCREENSHOTS, 'proof.txt');
  writeFileSync(photo, 'the lane is free');
  await hugo.page.keyboard.press('b');
  await hugo.page.locator('#act-files').setInputFiles(photo);
  await hugo.page.locator('[data-test=sums]').waitFor();
  await hugo.page.locator('#act-note').fill('障碍物已清理,通道畅通');
  expect((await serious(hugo.page)).join('\n'), 'feedback').toBe('');
  await hugo.page.keyboard.press('Enter');
  await outcome(hugo.page, /已完成/);
  expect(await state(hugo.page)).toBe('已反馈');
  expect(await hugo.page.locator('[data-act=TAKE_UP]').count(), 'who handled it does not check it').toBe(0);
  // It says who does, to who has a right to check as well as to who has none.
  await hugo.page.locator('[data-barred=TAKE_UP]').waitFor();
  expect(await hugo.page.locator('[data-test=barred]').textContent()).toContain('开始核查');

  await act(vera.page, 'TAKE_UP');
  await vera.page.keyboard.press('w');
  await act(vera.page, 'REWORK');
  await vera.page.keyboard.press('r');
  await vera.page.locator('#act-note').fill('路口一侧仍有杂物');
  await vera.page.keyboard.press('Enter');
  await outcome(vera.page, /已完成/);
  await act(hugo.page, 'START');
  await hugo.page.keyboard.press('w');
  await act(hugo.page, 'FEEDBACK');
  await hugo.page.keyboard.press('b');
  await hugo.page.locator('#act-files').setInputFiles(photo);
  await hugo.page.locator('[data-test=sums]').waitFor();
  await hugo.page.locator('#act-note').fill('路口一侧已清理');
  await hugo.page.keyboard.press('Enter');
  await outcome(hugo.page, /已完成/);
  await act(vera.page, 'TAKE_UP');
  await vera.page.keyboard.press('w');
  await act(vera.page, 'PASS');
  await vera.page.keyboard.press('y');
  await outcome(vera.page, /已完成/);
  expect(await state(vera.page)).toBe('办结');
  const history = await vera.page.locator('[data-test=case-history]').textContent();
  for (const who of ['ana（指挥中心）', 'dora（指挥中心）', 'hugo（消防大队）', 'vera（督查科）']) expect(history).toContain(who);

  // Over is over, and it can be found and taken up again.
  await fromBoard(vera.page, 'over', one.alertId);
  await act(vera.page, 'REOPEN');
  await vera.page.keyboard.press('q');
  await vera.page.locator('#act-note').fill('又被占用,重新处理');
  await vera.page.keyboard.press('Enter');
  await outcome(vera.page, /已完成/);
  expect(await state(vera.page)).toBe('重开');
  await close(ana, dora, hugo, vera);
});

test('the board narrows to what is looked for, and shows what others do without reload', async () => {
  const [dora, ana] = [await as('dora', '/cases'), await as('ana')];
  const { page } = dora;
  const one = alert(Kind.MANHOLE_MISSING, Level.LEVEL_3);
  await publishTo(SECURED, one);
  await page.locator('[data-group=judge]').click();
  const line = page.locator(`[data-case="${one.alertId}"]`);
  await line.waitFor();
  expect(await line.locator('[data-test=timer]').textContent()).toMatch(/研判 · 剩/);
  await page.getByLabel('编号、点位、单位').fill('没有这样的点位');
  await line.waitFor({ state: 'detached' });
  await page.getByLabel('编号、点位、单位').fill('东码头');
  await line.waitFor();
  await page.getByRole('button', { name: '1–2 级' }).click();
  await line.waitFor({ state: 'detached' });
  await page.getByRole('button', { name: '全部级别' }).click();
  await opened(ana.page, one.alertId);
  await act(ana.page, 'CONFIRM');
  await ana.page.keyboard.press('y');
  await line.waitFor({ state: 'detached' });
  await page.locator('[data-group=dispatch]').click();
  await line.waitFor();
  await close(dora, ana);
});

test('original footage is registered with its reason first, and then plays here', async () => {
  const { page, context, faults } = await open(browser);
  await live(page);
  const row = page.locator('[data-test=alert][data-camera=pond]').first();
  await row.waitFor({ timeout: 90_000 });
  const id = (await row.getAttribute('data-alert')) ?? '';
  const register = createClient(EvidenceService, createGrpcWebTransport({ baseUrl: CONSOLE }));
  const clips = async (): Promise<[CallReason, string][]> =>
    (await register.listRegister({ alertId: id })).entries.filter((one) => one.reason !== '').map((one) => [one.callReason, one.reason]);
  // Footage goes on for some seconds after the alert.
  await expect.poll(async () => {
    await page.goto(`${CONSOLE}/hazards/${id}`);
    await page.locator('[data-test=original]').waitFor();
    await page.keyboard.press('v');
    await page.getByRole('dialog').waitFor();
    return page.locator('[data-test=clip-alert]').count();
  }, { timeout: 60_000, interval: 2000 }).toBe(1);
  expect(await page.locator('[data-test=clip-alert]').textContent()).toBe(id);
  expect(await page.locator('[data-test=clip-show]').isDisabled(), 'without a reason there is nothing').toBe(true);
  expect(await clips()).toEqual([]);
  // A reason that says too little by itself needs words; of the others one key is enough.
  await page.keyboard.press('6');
  await page.locator('#clip-words').waitFor();
  expect(await page.locator('[data-test=clip-show]').isDisabled()).toBe(true);
  await page.locator('[data-choice="4"]').click();
  await page.locator('#clip-words').waitFor({ state: 'detached' });
  await page.keyboard.press('1');
  expect(await page.locator('[data-test=clip-show]').isDisabled()).toBe(false);
  expect((await serious(page)).join('\n'), 'footage').toBe('');
  await page.screenshot({ path: join(SCREENSHOTS, 'footage-zh-1366.png') });
  await page.keyboard.press('Enter');
  await page.locator('[data-test=clip], [data-test=unplayable]').first().waitFor({ timeout: 30_000 });
  const video = page.locator('[data-test=clip]');
  await expect.poll(() => video.evaluate((one: HTMLVideoElement) => one.videoWidth)).toBeGreaterThan(100);
  expect(await clips()).toEqual([[CallReason.CHECK_ALERT, `alert ${id}`]]);
  expect(faults).toEqual([]);
  await context.close();
});

test.for(LANGUAGES)(
  'judging and cases in %s',
  async (language) => {
    const [ana, dora] = [await as('ana', '/hazards'), await as('dora', '/cases')];
    const one = alert(Kind.FIRE_SMOKE, Level.LEVEL_2);
    await publishTo(SECURED, one, alert(Kind.ROAD_FLOOD, Level.LEVEL_3), alert(Kind.EXPOSED_GARBAGE, Level.LEVEL_4));
    for (const { page } of [ana, dora]) {
      if (language === 'en') await page.locator('[data-test=language]').click();
    }
    await opened(ana.page, one.alertId);
    await ana.page.locator('[data-test=same-place] li').first().waitFor();
    while ((await ana.page.locator('[data-test=popup]').count()) > 0) await ana.page.keyboard.press('x');
    await take(ana.page, 'judging', language);
    await ana.page.keyboard.press('f');
    await ana.page.locator('[data-test=act-form]').waitFor();
    await ana.page.keyboard.press('1');
    await take(ana.page, 'false-alarm', language);
    await ana.page.keyboard.press('Escape');
    await ana.page.getByRole('dialog').waitFor({ state: 'hidden' });
    await ana.page.keyboard.press('?');
    await ana.page.locator('[data-test=acts]').waitFor();
    await take(ana.page, 'keys', language);
    // What closes the dialog leaves the alert open behind it.
    await ana.page.keyboard.press('Escape');
    await ana.page.getByRole('dialog').waitFor({ state: 'hidden' });
    await ana.page.keyboard.press('y');
    await ana.page.locator('[data-test=outcome]').waitFor();

    const { page } = dora;
    await page.locator('[data-group=judge]').click();
    await page.locator('[data-test=case]').first().waitFor();
    while ((await page.locator('[data-test=popup]').count()) > 0) await page.keyboard.press('x');
    await take(page, 'cases', language);
    await page.locator('[data-group=dispatch]').click();
    await page.locator(`[data-case="${one.alertId}"]`).click();
    await act(page, 'DISPATCH');
    await page.locator('[data-test=case-history] li').first().waitFor();
    await take(page, 'case', language);
    await page.keyboard.press('d');
    await page.locator('[data-test=prefill]').waitFor();
    await take(page, 'dispatch', language);
    // Units are written with blanks between them.
    await page.locator('#act-assist').press('End');
    await page.keyboard.type(' 水务站');
    expect(await page.locator('#act-assist').inputValue()).toBe('网格站 水务站');
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'hidden' });
    await page.locator('[data-test=theme]').click();
    await take(page, 'cases-light', language);
    await close(ana, dora);
  },
);
