// What compliance asks for, and the sheet of a shift's end: by accounts that were made for it, and before the eyes of others.
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createClient, type Client } from '@connectrpc/connect';
import { createGrpcWebTransport } from '@connectrpc/connect-web';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { AccountService, Role } from '../src/gen/xueliang/v1/account_pb';
import { Kind, Level, type Alert } from '../src/gen/xueliang/v1/alert_pb';
import { FilingService } from '../src/gen/xueliang/v1/filing_pb';
import { RetentionService } from '../src/gen/xueliang/v1/retention_pb';
import { SilencePurpose, SuppressionService } from '../src/gen/xueliang/v1/suppression_pb';
import { LANGUAGES, take } from './pictures';
import { CONSOLE, PASSWORD, QUAY, SCREENSHOTS, alert, launch, open, publish, untilItWorks, type Desk } from './town';

/** Where nobody is asked who they are, whoever names nobody has all rights; accounts have their own here, too. */
const transport = createGrpcWebTransport({ baseUrl: CONSOLE });
const accounts: Client<typeof AccountService> = createClient(AccountService, transport);
const retention = createClient(RetentionService, transport);
const filings = createClient(FilingService, transport);

const PEOPLE = {
  'paper-ada': Role.AUDIT_ADMIN, 'paper-lea': Role.LEADER, 'paper-bo': Role.POINT_ADMIN, 'paper-ins': Role.INSPECTOR, 'paper-jan': Role.JUDGE,
} as const;
type Name = keyof typeof PEOPLE;
const SIZE = { width: 1366, height: 768 };

const tokens = new Map<Name, string>();
let browser: Browser;
let fire: Alert;

beforeAll(async () => {
  mkdirSync(SCREENSHOTS, { recursive: true });
  browser = await launch();
  for (const [name, role] of Object.entries(PEOPLE) as [Name, Role][]) {
    const account = { name, displayName: name, unit: '指挥中心', roles: [role], wholeTown: true };
    const { token } = await untilItWorks(() => accounts.createAccount({ account }));
    await accounts.setUp({ token, password: PASSWORD });
    tokens.set(name, (await accounts.signIn({ name, password: PASSWORD })).token);
  }
  fire = alert(Kind.FIRE_FLAME, Level.LEVEL_2);
  await untilItWorks(() => publish(fire));
});
afterAll(() => browser.close());

const as = (name: Name, path = '/', size = SIZE): Promise<Desk> => open(browser, path, size, CONSOLE, tokens.get(name));

async function close(...desks: Desk[]): Promise<void> {
  for (const { context, faults } of desks) {
    expect(faults).toEqual([]);
    await context.close();
  }
}
const rows = (page: Page) => page.locator('[data-test=row]');
const parts = (page: Page): Promise<string[]> => page.locator('[data-part]').evaluateAll((all) => all.map((one) => one.getAttribute('data-part') ?? ''));

test('each sees the parts that are theirs, and who has none is not led there', async () => {
  for (const [name, theirs] of [
    ['paper-ada', ['retention', 'holds']], ['paper-lea', ['holds', 'points', 'filings']], ['paper-bo', ['points', 'filings']],
    ['paper-ins', ['retention', 'holds', 'points', 'filings']],
  ] as const) {
    const desk = await as(name, '/compliance');
    await desk.page.locator('[data-part]').first().waitFor({ timeout: 30_000 });
    expect(await parts(desk.page), name).toEqual([...theirs]);
    await close(desk);
  }
  const jan = await as('paper-jan', '/hazards');
  await jan.page.locator('[data-desk]').first().waitFor({ timeout: 30_000 });
  expect(await jan.page.locator('[data-page=compliance]').count()).toBe(0);
  await jan.page.keyboard.press('-');
  expect(jan.page.url()).toMatch(/\/hazards/);
  await close(jan);
});

test('a leader holds the evidence of an alert and lifts that; who reads registers sees both, and neither sees what is not theirs', async () => {
  const lea = await as('paper-lea', `/hazards/${fire.alertId}`);
  const { page } = lea;
  await page.locator('[data-test=hold-link]').click();
  const form = page.locator('[data-test=hold-form]');
  await form.locator('[data-test=hold-found]', { hasText: '明火' }).waitFor();
  expect(await form.locator('#hold-alert').inputValue()).toBe(fire.alertId);
  expect(await page.locator('[data-test=hold-form-button]').isDisabled(), 'it is said why').toBe(true);
  await form.locator('#hold-reason').fill('调查需要,联系 138 0013 8000');
  await page.keyboard.press('Enter');
  await form.locator('[data-test=failure]').waitFor();
  await form.locator('#hold-reason').fill('调查通知书〔2026〕7 号');
  await page.keyboard.press('Enter');
  await page.locator('[data-test=hold-made]').waitFor();
  const number = /\d+/.exec((await page.locator('[data-test=hold] h2').textContent()) ?? '')?.[0] ?? '';
  await page.locator('[data-test=hold-state]', { hasText: '保全中' }).waitFor();
  // Who sets holds does not read the register.
  await page.locator('[data-test=holds-blind]').waitFor();
  expect(await rows(page).count()).toBe(1);

  const ada = await as('paper-ada', '/compliance/holds');
  await ada.page.locator(`[data-row="${number}"]`).click({ timeout: 30_000 });
  expect(await ada.page.locator('[data-test=hold]').textContent()).toMatch(/paper-lea.*调查通知书/);
  expect(await ada.page.locator('[data-test=lift], [data-test=hold-open]').count(), 'who reads registers lifts nothing').toBe(0);

  // By its number, as after a reload.
  await page.goto(`${CONSOLE}/compliance/holds`);
  await page.locator('[data-test=lift-open]').click();
  await page.locator('#lift-number').fill(number);
  await page.locator('#lift-reason').fill('调查结束');
  await page.keyboard.press('Enter');
  await page.locator('[data-test=hold-state]', { hasText: '已解除' }).waitFor();
  await ada.page.locator('[data-test=holds-all]').check();
  await ada.page.locator(`[data-row="${number}"]`, { hasText: '已解除' }).click({ timeout: 30_000 });
  await ada.page.locator('[data-test=hold]', { hasText: '调查结束' }).waitFor();
  const { holds } = await retention.listLegalHolds({ alertId: fire.alertId, liftedToo: true });
  expect(holds.map((one) => [one.setBy, one.liftedBy])).toEqual([['paper-lea', 'paper-lea']]);
  await close(lea, ada);
});

test('points stand with what is left of their thirty days, and a filing is noted as it is', async () => {
  const bo = await as('paper-bo', '/compliance/points');
  const { page } = bo;
  const weir = page.locator('[data-row=weir]');
  await weir.waitFor({ timeout: 30_000 });
  expect(await rows(page).first().getAttribute('data-row'), 'the most pressing stands first').toBe('weir');
  await weir.locator('[data-test=due]', { hasText: '逾期' }).waitFor();
  expect(await page.locator('[data-test=points-counts]').textContent()).toMatch(/逾期 \d+ 个/);
  await weir.click();
  await page.locator('[data-test=point]', { hasText: '水务站' }).waitFor();
  await page.keyboard.press('Escape');
  await page.locator('[data-mark=weir]').check();
  await page.locator('[data-test=file-marked]').click();
  const form = page.locator('[data-test=file-form]');
  await form.locator('[data-test=file-count]', { hasText: 'Camera weir' }).waitFor();
  expect(await page.locator('[data-test=file-form-button]').isDisabled(), 'it has a number').toBe(true);
  await form.locator('#filing-number').fill('A-17');
  await page.keyboard.press('Enter');
  await page.locator('[data-test=filed]').waitFor();
  await weir.waitFor({ state: 'detached' });
  await page.locator('[data-test=points-show]').selectOption({ label: '已备案' });
  await weir.locator('text=A-17').waitFor();
  await page.locator('[data-part=filings]').click();
  await rows(page).first().click();
  expect(await page.locator('[data-test=filing]').textContent()).toMatch(/A-17.*paper-bo.*2025-05-01/);
  const told = await filings.listFilings({ cameraId: 'weir' });
  expect(told.filings.map((one) => [one.filingNo, one.notedBy])).toEqual([['A-17', 'paper-bo']]);
  // An inspector reads and notes nothing.
  const ins = await as('paper-ins', '/compliance/points?show=all');
  await rows(ins.page).first().waitFor({ timeout: 30_000 });
  expect(await ins.page.locator('[data-mark], [data-test=file-marked]').count()).toBe(0);
  await close(bo, ins);
});

test('the sheet of a shift’s end lists what is open as of a moment, and its file holds the same', async () => {
  const ending = await createClient(SuppressionService, transport).createSilence({
    scope: { cameraIds: [QUAY], kinds: [Kind.BIN_OVERFLOW] }, purpose: SilencePurpose.MAINTENANCE, reason: '清运作业',
    endUnixUs: BigInt(Date.now() + 3_600_000) * 1000n,
  });
  const jan = await as('paper-jan', '/cases');
  const { page } = jan;
  await page.locator('[data-test=to-handover]').click({ timeout: 30_000 });
  const sheet = page.locator('[data-test=sheet]');
  await sheet.locator('[data-test=as-of]', { hasText: /截至 \d{4}-\d\d-\d\d/ }).waitFor({ timeout: 30_000 });
  await sheet.locator('[data-part=unjudged] td', { hasText: '明火' }).first().waitFor();
  await sheet.locator('[data-part=silences] td', { hasText: '清运作业' }).waitFor();
  await sheet.locator('[data-part=cameras] td', { hasText: 'weir' }).first().waitFor();
  expect(await sheet.locator('input, textarea').count(), 'nobody writes into it').toBe(0);
  const download = page.waitForEvent('download');
  await page.locator('[data-test=handover-csv]').click();
  const text = readFileSync(await (await download).path(), 'utf8');
  const parts = await sheet.locator('h2 span').allTextContents();
  const listed = parts.reduce((sum, told) => sum + Number(/\((\d+)/.exec(told)?.[1]), 0);
  expect(await sheet.locator('table.lines tbody tr').count()).toBeLessThanOrEqual(listed);
  // Besides what came of the shift's cases, and how many wait for what.
  const sums = await sheet.locator('[data-test=figures] th, [data-test=sums] tbody tr').count();
  expect(text.trimEnd().split('\r\n').length, 'a line for each that there is, and the head').toBe(listed + sums + 1);
  const opened = sheet.locator('[data-test=figures] td').first();
  const [ofShift] = await opened.allTextContents();
  expect(Number(ofShift)).toBeGreaterThan(0);
  await page.locator('[data-test=handover-hours] label', { hasText: '24' }).click();
  await sheet.locator('[data-part=shift] h2', { hasText: /自 \d{4}-\d\d-\d\d \d\d:\d\d/ }).waitFor();
  await expect.poll(async () => Number(await opened.textContent())).toBeGreaterThanOrEqual(Number(ofShift));
  expect(text).not.toMatch(/paper-jan|安娜/);
  // The header says of every page what the sheet says.
  const overdue = Number(await sheet.locator('[data-test=sums] tfoot td').nth(2).textContent());
  expect(overdue).toBeGreaterThan(0);
  await expect.poll(async () => Number(/\d+/.exec((await page.locator('[data-test=overdue]').textContent()) ?? '')?.[0]), { timeout: 30_000 }).toBeGreaterThanOrEqual(overdue);
  // On paper there is the sheet and nothing else.
  await page.emulateMedia({ media: 'print' });
  expect(await page.locator('header >> text=雪亮').first().isVisible()).toBe(false);
  expect(await page.locator('[data-test=handover-print]').isVisible()).toBe(false);
  const paper = await page.pdf({ preferCSSPageSize: true, path: join(SCREENSHOTS, 'handover-zh.pdf') });
  expect(paper.subarray(0, 5).toString()).toBe('%PDF-');
  await page.emulateMedia({ media: 'screen' });
  await page.keyboard.press('Escape');
  await expect.poll(() => page.url()).toMatch(/\/cases$/);
  await createClient(SuppressionService, transport).expireSilence({ silenceId: ending.silence?.silenceId ?? 0n });
  await close(jan);
});

test('clearing what the register is narrowed by leaves nothing of what was just typed', async () => {
  const ada = await as('paper-ada', '/register?unit=x');
  const { page } = ada;
  await page.locator('[data-test=register-clear]').waitFor({ timeout: 30_000 });
  await page.locator('[data-test=register-camera]').pressSequentially('pond');
  await page.locator('[data-test=register-clear]').click();
  await expect.poll(() => page.url()).toMatch(/\/register$/);
  // Longer than whoever types is waited for.
  await page.waitForTimeout(1000);
  expect(page.url()).toMatch(/\/register$/);
  expect(await page.locator('[data-test=register-camera]').inputValue()).toBe('');
  await close(ada);
});

test.for(LANGUAGES)(
  'the pages of compliance and the sheet in %s',
  async (language) => {
    const { page, context, faults } = await open(browser, '/compliance');
    await page.locator('[data-test=retention] table').waitFor({ timeout: 30_000 });
    if (language === 'en') await page.locator('[data-test=language]').click();
    await take(page, 'retention', language);
    await page.locator('[data-part=holds]').click();
    await page.locator('[data-test=holds-all]').check();
    await rows(page).first().click();
    await take(page, 'holds', language);
    await page.locator('[data-test=hold-open]').click();
    await page.locator('#hold-reason').waitFor();
    await take(page, 'hold', language);
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'hidden' });
    await page.goto(`${CONSOLE}/compliance/points?show=all`);
    await rows(page).first().click();
    await page.locator('[data-test=point] h2').waitFor();
    await take(page, 'points', language);
    await page.locator('[data-part=filings]').click();
    await rows(page).first().click();
    await take(page, 'filings', language);
    await page.keyboard.press('=');
    await page.locator('[data-test=sheet]').waitFor({ timeout: 30_000 });
    await take(page, 'handover', language);
    expect(faults).toEqual([]);
    await context.close();
  },
);
