// The register, the log of accounts, and what leaves: before the town of simulated cameras, by accounts that were made for it.
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync } from 'node:fs';
import { createClient, type Client } from '@connectrpc/connect';
import { createGrpcWebTransport } from '@connectrpc/connect-web';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { AccountService, Role } from '../src/gen/xueliang/v1/account_pb';
import { AlertService, EvidenceKind } from '../src/gen/xueliang/v1/alert_pb';
import { DisclosureService } from '../src/gen/xueliang/v1/disclosure_pb';
import { CallReason, EvidenceService, Purpose } from '../src/gen/xueliang/v1/evidence_pb';
import { stampIn } from '../src/zone';
import { LANGUAGES, take } from './pictures';
import { CONSOLE, PASSWORD, SCREENSHOTS, launch, open, untilItWorks, type Desk } from './town';

/** Where nobody is asked who they are, whoever names nobody has all rights; accounts have their own here, too. */
const transport = createGrpcWebTransport({ baseUrl: CONSOLE });
const accounts: Client<typeof AccountService> = createClient(AccountService, transport);
const evidence = createClient(EvidenceService, transport);

const PEOPLE = { 'ledger-ada': Role.AUDIT_ADMIN, 'ledger-dora': Role.DISPATCHER, 'ledger-lea': Role.LEADER, 'ledger-jan': Role.JUDGE } as const;
type Name = keyof typeof PEOPLE;
const SIZE = { width: 1366, height: 768 };
const ZONE = 'Asia/Shanghai';

const tokens = new Map<Name, string>();
let browser: Browser;
/** An alert of the pond whose still and preview are there. */
let alertId = '';

beforeAll(async () => {
  mkdirSync(SCREENSHOTS, { recursive: true });
  browser = await launch();
  for (const [name, role] of Object.entries(PEOPLE) as [Name, Role][]) {
    const account = { name, displayName: name, unit: '指挥中心', roles: [role], wholeTown: true };
    const { token } = await untilItWorks(() => accounts.createAccount({ account }));
    await accounts.setUp({ token, password: PASSWORD });
    tokens.set(name, (await accounts.signIn({ name, password: PASSWORD })).token);
  }
  const alerts = createClient(AlertService, transport);
  alertId = await untilItWorks(async () => {
    const { records } = await alerts.listAlerts({ filter: { cameraIds: ['pond'] } });
    // The oldest: it began before the minute that is now.
    const whole = [...records].reverse().find(({ alert }) =>
      [EvidenceKind.STILL, EvidenceKind.PREVIEW].every((kind) => alert?.evidence.some((one) => one.kind === kind && one.sha256 !== '')));
    if (!whole?.alert) throw new Error('no alert of the pond has its still and its preview');
    return whole.alert.alertId;
  });
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
const state = (page: Page, of: 'release' | 'request', word: string): Promise<void> =>
  page.locator(`[data-test=${of}-state]`, { hasText: new RegExp(`^${word}$`) }).waitFor({ timeout: 30_000 });
/** The number of what is opened. */
const numberOf = async (page: Page, of: 'release' | 'request'): Promise<string> =>
  /\d+/.exec((await page.locator(`[data-test=${of}] h2`).textContent()) ?? '')?.[0] ?? '';

test('the register is searched, opened and taken out by who reads registers, and its file is what the service made', async () => {
  await evidence.getStill({ alertId, purpose: Purpose.JUDGE });
  const ada = await as('ledger-ada');
  const { page } = ada;
  // Who sees no alerts is led to what is theirs.
  await rows(page).first().waitFor({ timeout: 30_000 });
  expect(page.url()).toMatch(/\/register/);
  expect(await page.locator('[data-desk], [data-page=cameras]').count()).toBe(0);
  await page.locator('[data-test=register-camera]').fill('no-such-camera');
  await rows(page).first().waitFor({ state: 'detached' });
  await page.locator('[data-test=register-camera]').fill('pond');
  await rows(page).first().waitFor();
  await page.locator('[data-test=register-kind]').selectOption(String(EvidenceKind.STILL));
  await expect.poll(() => page.url()).toContain('camera=pond&kind=1');
  await page.locator('[data-test=register-from] input').fill('2020-01-01T00:00');
  await expect.poll(() => page.url()).toContain('from=1577808000000');
  // What the address says is what is listed, also after a reload.
  await page.reload();
  await rows(page).first().waitFor();
  expect(await page.locator('[data-test=register-from] input').inputValue()).toBe('2020-01-01T00:00');
  await page.keyboard.press('j');
  await page.keyboard.press('Enter');
  const entry = page.locator('[data-test=entry]');
  await entry.waitFor();
  expect(await entry.textContent()).toMatch(/pond.*告警核实.*研判.*已提供.*[0-9a-f]{64}/);
  expect(await entry.getByRole('link', { name: alertId }).count(), 'the alert is not theirs to open').toBe(0);

  await page.locator('[data-test=register-export]').click();
  expect(await page.locator('[data-test=export-start]').isDisabled(), 'it is said what it is for').toBe(true);
  await page.locator('#export-reason').fill('十一月检查');
  const download = page.waitForEvent('download');
  await page.keyboard.press('Enter');
  const bytes = readFileSync(await (await download).path());
  const shown = await page.locator('[data-test=export-sum]').textContent();
  expect(createHash('sha256').update(bytes).digest('hex')).toBe(shown);
  expect(bytes.subarray(0, 3).toString('hex'), 'a spreadsheet is told that it is UTF-8').toBe('efbbbf');
  const listed = /共 (\d+) 条/.exec((await page.locator('[data-test=ledger-state]').textContent()) ?? '')?.[1];
  expect(String(bytes.toString('utf8').trimEnd().split('\n').length - 1), 'a line for each that is listed, and the head').toBe(listed);
  await page.keyboard.press('Escape');
  await page.getByRole('dialog').waitFor({ state: 'hidden' });
  await page.keyboard.press('Escape');
  await entry.waitFor({ state: 'detached' });
  await close(ada);
});

test('the log of accounts tells who did what, and what was otherwise before; how the audit is verified stands there', async () => {
  const ada = await as('ledger-ada', '/register');
  const { page } = ada;
  await rows(page).first().waitFor({ timeout: 30_000 });
  await page.keyboard.press('9');
  await page.locator('[data-test=audit-account]').fill('ledger-jan');
  await expect.poll(() => page.url()).toContain('account=ledger-jan');
  await rows(page).filter({ hasText: 'ledger-dora' }).first().waitFor({ state: 'detached' });
  await rows(page).filter({ hasText: '新建账号' }).waitFor({ timeout: 30_000 });
  const { accounts: known } = await accounts.listAccounts({ pageSize: 1000 });
  const jan = known.find((one) => one.name === 'ledger-jan');
  if (!jan) throw new Error('it was made before');
  await accounts.updateAccount({ account: { ...jan, unit: '督查科' } });
  await page.locator('[data-test=ledger-refresh]').click();
  await rows(page).filter({ hasText: '修改账号' }).click();
  await page.locator('[data-test=change] [data-field=unit]', { hasText: '督查科 ◆ 原为 指挥中心' }).waitFor();
  expect(await page.locator('[data-test=change] .changed').count()).toBe(1);
  await page.locator('[data-test=audit-action]').selectOption('signed_in');
  await rows(page).filter({ hasText: '登录' }).waitFor();
  expect(await page.locator('[data-test=audit-matching]').textContent()).toMatch(/已读的 \d+ 条中有 1 条/);
  await page.locator('[data-test=verify] summary').click();
  await page.getByText('xueliang audit verify --config').waitFor();
  await close(ada);
});

test('a public release takes two accounts: prepared from its alert, looked at and approved by another, taken out with its sheet', async () => {
  const [dora, lea] = [await as('ledger-dora', `/hazards/${alertId}`), await as('ledger-lea', '/disclosure')];
  await dora.page.locator('[data-test=release-link]').click();
  const form = dora.page.locator('[data-test=prepare]');
  await form.locator('[data-test=prepare-alert]').waitFor();
  expect(await form.locator('#release-alert').inputValue()).toBe(alertId);
  await form.locator('#release-reason').fill('提醒公众注意水域安全,电话 138 0013 8000');
  await dora.page.locator('[data-test=prepare-button]').click();
  await form.locator('[data-test=failure]').waitFor();
  await form.locator('#release-reason').fill('提醒公众注意水域安全');
  await dora.page.locator('[data-test=prepare-button]').click();
  await state(dora.page, 'release', '待批准');
  expect(await dora.page.locator('[data-test=decide], [data-test=fetch]').count(), 'who prepared it does not decide').toBe(0);

  await lea.page.locator(`[data-row="${await numberOf(dora.page, 'release')}"]`).click();
  await lea.page.locator('[data-test=approve]').click();
  expect(await lea.page.locator('[data-test=decide-button]').isDisabled(), 'nothing is approved without the declaration').toBe(true);
  await lea.page.locator('[data-test=declare]').click();
  await lea.page.locator('[data-test=decide-button]').click();
  // Who has not looked approves nothing.
  await lea.page.locator('[data-test=decide] [data-test=failure]').waitFor();
  await lea.page.locator('[data-test=look]').click();
  await expect.poll(() => lea.page.locator('[data-test=piece] img').evaluate((one: HTMLImageElement) => one.naturalWidth)).toBeGreaterThan(100);
  await lea.page.locator('[data-test=decide-button]').click();
  await state(lea.page, 'release', '已批准');
  expect(await lea.page.locator('[data-test=release-until]').textContent()).toMatch(/剩 [67] 天/);

  // The other page hears of it by itself.
  await state(dora.page, 'release', '已批准');
  await dora.page.locator('[data-test=fetch]').click();
  const files = dora.page.locator('[data-test=release-files] li');
  await expect.poll(() => files.count()).toBe(2);
  const download = dora.page.waitForEvent('download');
  await files.first().locator('button').click();
  const picture = readFileSync(await (await download).path());
  expect(picture.subarray(0, 2).toString('hex')).toBe('ffd8');
  expect(await files.first().textContent()).toContain(createHash('sha256').update(picture).digest('hex'));
  const { entries } = await evidence.listRegister({ filter: { callReason: CallReason.PUBLIC_RELEASE, account: 'ledger-dora' } });
  expect(entries.map((one) => one.granted)).toEqual([true]);
  await close(dora, lea);
});

test('a request of somebody concerned goes through its steps by two accounts, and nothing is kept of who asks', async () => {
  const [dora, lea] = [await as('ledger-dora', '/disclosure/requests'), await as('ledger-lea', '/disclosure/requests')];
  const { page } = dora;
  const minute = (at: number): string => stampIn(at, ZONE).slice(0, 16).replace(' ', 'T');
  await page.locator('[data-test=receive-open]').click();
  const form = page.locator('[data-test=receive]');
  await form.locator('#request-camera').fill('pond');
  await form.locator('[data-test=request-from] input').fill(minute(Date.now() - 48 * 3_600_000));
  await form.locator('[data-test=request-to] input').fill(minute(Date.now()));
  await form.getByText('时段不能超过 24 小时').waitFor();
  await form.locator('[data-test=request-from] input').fill(minute(Date.now() - 12 * 3_600_000));
  await form.locator('[data-basis="1"]').click();
  expect(await page.locator('[data-test=receive-button]').isDisabled()).toBe(true);
  await form.locator('[data-party="1"]').click();
  expect(await form.locator('textarea, input[type=text]').count(), 'there is no field for words').toBeLessThanOrEqual(1);
  await page.locator('[data-test=receive-button]').click();
  await state(page, 'request', '已受理');
  await page.locator('[data-test=examine] [data-verdict="0"]').click();
  await page.locator('[data-test=examine-button]').click();
  await state(page, 'request', '已审查');
  expect(await page.locator('[data-test=decide]').count(), 'who examined it does not decide').toBe(0);

  await lea.page.locator(`[data-row="${await numberOf(page, 'request')}"]`).click();
  await lea.page.locator('[data-test=decide] [data-verdict="0"]').click();
  await lea.page.locator('[data-test=decide-button]').click();
  await state(lea.page, 'request', '已同意');

  await state(page, 'request', '已同意');
  await page.locator('#show-alert').selectOption(alertId);
  await page.locator('[data-test=show-button]').click();
  await expect.poll(() => page.locator('[data-test=piece] img').evaluate((one: HTMLImageElement) => one.naturalWidth)).toBeGreaterThan(100);
  await state(page, 'request', '已查阅');
  await page.locator('[data-outcome="1"]').click();
  await state(page, 'request', '已办结');
  const steps = await page.locator('[data-test=steps]').textContent();
  for (const word of ['已受理', '建议同意', '已同意', 'ledger-lea', '登记', '已办结']) expect(steps).toContain(word);
  const { entries } = await evidence.listRegister({ filter: { callReason: CallReason.PARTY_CONCERNED, account: 'ledger-dora' } });
  expect(entries.map((one) => one.granted)).toEqual([true]);
  await close(dora, lea);
});

test('who has no part in it is offered none of these pages, and by key comes to none', async () => {
  const jan = await as('ledger-jan');
  const { page } = jan;
  await page.locator('[data-page=cases]').waitFor({ timeout: 30_000 });
  expect(await page.locator('[data-page=register], [data-page=audit], [data-page=disclosure]').count()).toBe(0);
  for (const key of ['8', '9', '0']) await page.keyboard.press(key);
  expect(page.url()).toMatch(/\/hazards/);
  await page.goto(`${CONSOLE}/register`);
  await expect.poll(() => page.url()).toMatch(/\/hazards/);
  await close(jan);
});

test.for(LANGUAGES)(
  'the register, the log of accounts and what leaves in %s, without serious faults of accessibility',
  async (language) => {
    const disclosure = createClient(DisclosureService, transport);
    await disclosure.prepareRelease({ alertId, kind: EvidenceKind.PREVIEW, reason: '提醒公众注意水域安全' });
    // Of all rights: what there is on these pages is all there.
    const { page, context, faults } = await open(browser, '/register');
    await rows(page).first().waitFor({ timeout: 30_000 });
    if (language === 'en') await page.locator('[data-test=language]').click();
    await rows(page).first().click();
    await page.locator('[data-test=entry]').waitFor();
    await take(page, 'register', language);
    await page.locator('[data-test=register-export]').click();
    await page.locator('#export-reason').waitFor();
    await take(page, 'register-export', language);
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'hidden' });
    await page.keyboard.press('9');
    await page.locator('[data-test=audit-action]').selectOption('created');
    await rows(page).first().click();
    await page.locator('[data-test=account-after]').waitFor();
    await page.locator('[data-test=verify] summary').click();
    await take(page, 'audit', language);
    await page.keyboard.press('0');
    await rows(page).first().click();
    await page.locator('[data-test=own]').waitFor();
    await page.locator('[data-test=look]').click();
    await page.locator('[data-test=piece]').waitFor();
    await take(page, 'releases', language);
    await page.locator('[data-part=requests]').click();
    await rows(page).first().click();
    await page.locator('[data-test=steps] li').first().waitFor();
    await take(page, 'requests', language);
    await page.locator('[data-test=receive-open]').click();
    await page.locator('[data-test=receive]').waitFor();
    await take(page, 'receive', language);
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'hidden' });
    await page.locator('[data-test=theme]').click();
    await take(page, 'requests-light', language);
    expect(faults).toEqual([]);
    await context.close();
  },
);
