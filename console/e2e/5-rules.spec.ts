// Zones and rules of a camera: drawn on a picture, tuned, tried, put in force, and given back to the configuration file. What is put in
// force here is of the square, which nothing else here is about.
import { mkdirSync } from 'node:fs';
import { createClient } from '@connectrpc/connect';
import { createGrpcWebTransport } from '@connectrpc/connect-web';
import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { EvidenceKind, Kind } from '../src/gen/xueliang/v1/alert_pb';
import { CallReason, EvidenceService, type RegisterEntry } from '../src/gen/xueliang/v1/evidence_pb';
import { RuleService } from '../src/gen/xueliang/v1/rule_pb';
import { LANGUAGES, take } from './pictures';
import { ACCOUNT, CONSOLE, NEW_ACCOUNT, SCREENSHOTS, SECURED, PICTURE_PATIENCE_MS, launch, live, open, signIn, untilItWorks } from './town';

const transport = createGrpcWebTransport({ baseUrl: CONSOLE });
const rules = createClient(RuleService, transport);
const evidence = createClient(EvidenceService, transport);

let browser: Browser;
beforeAll(async () => {
  mkdirSync(SCREENSHOTS, { recursive: true });
  browser = await launch();
});
afterAll(() => browser.close());
/** Later specs find the square as the file has it. */
afterEach(async () => {
  const { setHere, configRevision } = await rules.getCameraRules({ cameraId: 'square' });
  if (setHere) await rules.putCameraRules({ cameraId: 'square', configRevision, reason: 'the test is over' });
});

/** What was looked at to draw on, the newest first. */
async function opened(cameraId: string): Promise<RegisterEntry[]> {
  const { entries } = await evidence.listRegister({ filter: { cameraId, kind: EvidenceKind.LIVE } });
  return entries.filter((one) => one.granted && one.callReason === CallReason.TUNE_RULES);
}

/** Opens the page as somebody does: from the camera's, by key. */
async function tune(page: Page): Promise<void> {
  await page.locator('[data-test=rules-link]').waitFor({ timeout: 60_000 });
  await page.keyboard.press('r');
  await page.locator('[data-test=rules-page] [data-test=draft]').waitFor({ timeout: 30_000 });
}

/** Waits for a picture; what was refused for want of room is asked for again by hand, as people do. */
async function picture(page: Page): Promise<void> {
  const shown = page.locator('[data-test=rules-picture]');
  const refused = page.locator('[data-test=no-picture]');
  const end = Date.now() + PICTURE_PATIENCE_MS;
  for (;;) {
    await shown.or(refused).first().waitFor({ timeout: 20_000 });
    if ((await shown.count()) > 0) return;
    expect(Date.now(), await refused.textContent() ?? '').toBeLessThan(end);
    await page.keyboard.press('.');
    await page.waitForTimeout(1500);
  }
}

/** Clicks and drags by shares of the picture. */
async function hand(page: Page): Promise<{ click: (x: number, y: number) => Promise<void>; drag: (from: [number, number], to: [number, number]) => Promise<void> }> {
  const box = await page.locator('[data-test=zone-canvas]').boundingBox();
  if (!box) throw new Error('there is something to draw on');
  const at = (x: number, y: number): [number, number] => [box.x + x * box.width, box.y + y * box.height];
  return {
    click: (x, y) => page.mouse.click(...at(x, y)),
    drag: async (from, to) => {
      await page.mouse.move(...at(...from));
      await page.mouse.down();
      await page.mouse.move(...at((from[0] + to[0]) / 2, (from[1] + to[1]) / 2));
      await page.mouse.move(...at(...to));
      await page.mouse.up();
    },
  };
}

/** A zone over most of the picture, where people walk. */
async function draw(page: Page): Promise<void> {
  // What pops up lies above the picture.
  while ((await page.locator('[data-test=popup]').count()) > 0) await page.keyboard.press('x');
  const { click } = await hand(page);
  await page.keyboard.press('n');
  for (const [x, y] of [[0.1, 0.15], [0.9, 0.15], [0.9, 0.9], [0.1, 0.9]] as const) await click(x, y);
  await page.keyboard.press('Enter');
  await page.locator('[data-zone=zone-1]').waitFor();
}

/** Adds a rule about entering the zone that is chosen. */
async function addIntrusion(page: Page): Promise<void> {
  await page.keyboard.press('a');
  await page.locator(`[data-kind="${Kind.ZONE_INTRUSION}"]`).click();
  await page.locator('[data-rule=zone_intrusion] [data-test=rule-form]').waitFor();
  await page.getByRole('dialog').waitFor({ state: 'hidden' });
}

/** Writes a figure of the rule that is open. */
async function figure(page: Page, field: string, value: string): Promise<void> {
  await page.locator(`[data-test=rule-form] [data-field=${field}]`).fill(value);
  await page.keyboard.press('Tab');
}

/** Nobody writes and nothing has the focus: keys are the page's. */
async function away(page: Page): Promise<void> {
  await page.evaluate(() => {
    if (document.activeElement instanceof HTMLElement) document.activeElement.blur();
  });
}

/** Puts the draft in force; what the page says of it. */
async function goLive(page: Page, reason: string): Promise<string> {
  await away(page);
  await page.keyboard.press('l');
  // Whoever writes at once writes there.
  await page.locator('#live-reason:focus').waitFor();
  await page.locator('#live-reason').fill(reason);
  await page.keyboard.press('Enter');
  const said = page.locator('[data-test=said]');
  await said.waitFor({ timeout: 30_000 });
  return (await said.textContent()) ?? '';
}

test('zones stand on a redacted picture that is registered as tuning, and a reload takes none by itself', async () => {
  const before = (await opened('pond')).length;
  const { page, context, faults } = await open(browser, '/cameras/pond');
  await tune(page);
  expect(page.url()).toMatch(/\/cameras\/pond\/rules$/);
  await picture(page);
  const width = await page.locator('[data-test=rules-picture]').evaluate((image: HTMLImageElement) => image.decode().then(() => image.naturalWidth));
  expect(width).toBe(640);
  expect(await page.locator('[data-test=picture-of]').textContent()).toMatch(/\d\d:\d\d:\d\d 的画面/);
  const entries = await opened('pond');
  expect(entries.length - before).toBe(1);
  expect(entries[0]).toMatchObject({ cameraId: 'pond', alertId: '' });
  // Each is registered.
  const first = await page.locator('[data-test=rules-picture]').getAttribute('src');
  await expect.poll(async () => {
    await page.keyboard.press('.');
    return page.locator('[data-test=rules-picture]').getAttribute('src');
  }, { timeout: PICTURE_PATIENCE_MS, interval: 1500 }).not.toBe(first);
  // One more may be under way.
  let taken = 0;
  await expect.poll(async () => {
    const before = taken;
    taken = (await opened('pond')).length;
    return taken === before;
  }, { interval: 1500 }).toBe(true);
  expect(taken - before).toBeGreaterThanOrEqual(2);
  // What is chosen in a list is chosen on the picture.
  await page.locator('[data-rule=water_zone_entry] button').first().click();
  expect(await page.locator('[data-zone=bank] [aria-pressed=true]').count()).toBe(1);
  expect(await page.locator('[data-test=source]').textContent()).toContain('配置文件');
  await page.reload();
  await page.locator('[data-zone=bank]').waitFor();
  await page.waitForTimeout(2000);
  expect((await opened('pond')).length).toBe(taken);
  expect(await page.locator('[data-test=rules-picture]').count()).toBe(0);
  expect(faults).toEqual([]);
  await context.close();
});

test('a zone is drawn and bent by mouse, a fault stands at it, and each step can be taken back', async () => {
  const { page, context, faults } = await open(browser, '/cameras/square');
  await tune(page);
  await picture(page);
  await draw(page);
  const row = page.locator('[data-zone-row=zone-1]');
  expect(await row.locator('tbody tr').count()).toBe(4);
  const { drag } = await hand(page);
  // From the middle of its upper edge.
  await drag([0.5, 0.15], [0.5, 0.05]);
  await expect.poll(() => row.locator('tbody tr').count()).toBe(5);
  expect(await row.locator('tbody tr').nth(1).locator('input').nth(1).inputValue()).toMatch(/^(4\.|5)/);
  await drag([0.1, 0.9], [0.95, 0.4]);
  await row.locator('[data-test=faults]').waitFor();
  expect(await row.locator('[data-test=faults]').textContent()).toMatch(/边 \d 与边 \d 相交/);
  expect(await page.locator('[data-test=try]').isDisabled()).toBe(true);
  await away(page);
  await page.keyboard.press('Control+z');
  await row.locator('[data-test=faults]').waitFor({ state: 'detached' });
  await page.keyboard.press('Control+z');
  await expect.poll(() => row.locator('tbody tr').count()).toBe(4);
  await page.keyboard.press('Control+Shift+z');
  await expect.poll(() => row.locator('tbody tr').count()).toBe(5);
  // A draft outlives a reload, without the picture.
  await page.reload();
  await page.locator('[data-zone=zone-1]').waitFor();
  expect(await page.locator('[data-test=draft]').textContent()).toContain('尚未生效');
  expect(await page.locator('[data-test=rules-picture]').count()).toBe(0);
  // Whoever leaves is asked.
  await page.keyboard.press('4');
  await page.locator('[data-test=leave-drop]').click();
  await page.locator('[data-test=camera]').first().waitFor();
  await page.goto(`${CONSOLE}/cameras/square/rules`);
  await page.locator('[data-test=draft].tone-good').waitFor();
  expect(faults).toEqual([]);
  await context.close();
});

test('by keys alone: a zone is drawn, a corner moved, a rule added, tuned and put in force', async () => {
  const { page, context, faults } = await open(browser, '/cameras/square');
  await tune(page);
  await page.keyboard.press('n');
  for (const key of ['ArrowLeft', 'ArrowUp']) for (let n = 0; n < 6; n++) await page.keyboard.press(`Shift+${key}`);
  await page.keyboard.press('Space');
  for (const key of ['ArrowRight', 'ArrowDown', 'ArrowLeft']) {
    for (let n = 0; n < 12; n++) await page.keyboard.press(`Shift+${key}`);
    await page.keyboard.press('Space');
  }
  await page.keyboard.press('Enter');
  const corner = page.locator('[data-corner="2"]');
  await corner.waitFor();
  await corner.focus();
  const before = await corner.getAttribute('aria-label');
  await page.keyboard.press('ArrowLeft');
  await expect.poll(() => corner.getAttribute('aria-label')).not.toBe(before);
  await page.keyboard.press('Delete');
  await expect.poll(() => page.locator('[data-corner]').count()).toBe(3);
  await page.keyboard.press('Control+z');
  await expect.poll(() => page.locator('[data-corner]').count()).toBe(4);
  await page.keyboard.press('a');
  await page.locator(`[data-kind="${Kind.ZONE_INTRUSION}"]`).focus();
  await page.keyboard.press('Enter');
  await page.locator('[data-rule=zone_intrusion] [data-test=rule-form]').waitFor();
  await page.getByRole('dialog').waitFor({ state: 'hidden' });
  await figure(page, 'cooldownUs', '45');
  expect(await page.locator('[data-rule=zone_intrusion]').textContent()).toContain('通常 30 秒');
  const { configRevision } = await rules.getCameraRules({ cameraId: 'square' });
  const said = await goLive(page, '键盘试设');
  expect(said).toMatch(/已生效：配置版本 \d+/);
  const now = await rules.getCameraRules({ cameraId: 'square' });
  expect(now.configRevision).toBeGreaterThan(configRevision);
  expect(said).toContain(String(now.configRevision));
  expect(now.setHere).toBe(true);
  expect(now.rules?.rules.find((one) => one.ruleId === 'zone_intrusion')).toMatchObject({ zoneId: 'zone-1', cooldownUs: 45_000_000n });
  expect(await page.locator('[data-test=source]').textContent()).toContain('键盘试设');
  expect(faults).toEqual([]);
  await context.close();
});

test('a draft is tried, refused in words at its place, put in force, collides with another one, and the file is taken again', async () => {
  const { page, context, faults } = await open(browser, '/cameras/square');
  await tune(page);
  // Until it is there, what is drawn on may move.
  await picture(page);
  await draw(page);
  await addIntrusion(page);
  // What the page does not know the service says, at the rule that it is about.
  await figure(page, 'maxGapUs', '0.2');
  await away(page);
  await page.keyboard.press('y');
  const row = page.locator('[data-rule=zone_intrusion]');
  await row.locator('[data-test=faults]').waitFor({ timeout: 30_000 });
  expect(await row.locator('[data-test=faults]').textContent()).toContain('max_gap');
  await row.locator('[data-test=reset]').first().click();
  await row.locator('[data-test=faults]').waitFor({ state: 'detached' });
  await away(page);
  await page.keyboard.press('y');
  const covers = page.locator('[data-test=covers]');
  await covers.waitFor({ timeout: 60_000 });
  expect(await covers.textContent()).toMatch(/共 .+[1-9]\d* 次查看成了/);
  const tried = page.locator('[data-trial=zone_intrusion]');
  // It was not in force, and says so.
  await tried.locator('[data-side=inForce]', { hasText: '无此规则' }).waitFor();
  await page.keyboard.press('l');
  await page.locator('[data-test=was-tried]').waitFor();
  expect(await page.locator('[data-change="added zone zone-1"]').count()).toBe(1);
  expect(await page.locator('[data-change="added rule zone_intrusion"]').count()).toBe(1);
  // Numbers of telephones are not kept.
  await page.locator('#live-reason').fill('电话 13812345678');
  await page.keyboard.press('Enter');
  await page.locator('[data-test=live-faults]').waitFor();
  // Somebody else is faster.
  const { configRevision, rules: theirs } = await rules.getCameraRules({ cameraId: 'square' });
  const dark = theirs?.rules.map((one) => (one.kind === Kind.IMG_DARK ? { ...one, maxLuma: 31 } : one)) ?? [];
  await rules.putCameraRules({ cameraId: 'square', configRevision, reason: '夜间太亮', rules: { zones: theirs?.zones ?? [], rules: dark } });
  await page.locator('#live-reason').fill('广场西侧围栏');
  await page.keyboard.press('Enter');
  const clash = page.locator('[data-test=clash]');
  await clash.waitFor({ timeout: 30_000 });
  expect(await clash.textContent()).toContain('夜间太亮');
  await page.locator('[data-zone=zone-1]').waitFor();
  await page.getByRole('dialog').waitFor({ state: 'hidden' });
  await page.locator('[data-test=upon-theirs]').click();
  await clash.waitFor({ state: 'detached' });
  expect(await goLive(page, '广场西侧围栏')).toMatch(/已生效/);
  const now = await rules.getCameraRules({ cameraId: 'square' });
  expect(now.rules?.rules.find((one) => one.kind === Kind.IMG_DARK)?.maxLuma).toBe(31);
  expect(now.rules?.zones.map((one) => one.zoneId)).toEqual(['zone-1']);
  // With the rule in force its model is run, and a trial has what it saw.
  await expect.poll(async () => {
    await page.keyboard.press('y');
    await page.locator('[data-test=try]:not([disabled])').waitFor({ timeout: 60_000 });
    return tried.locator('[data-side=inForce]').textContent();
  }, { timeout: 90_000, interval: 3000 }).toMatch(/[1-9]\d* 次告警/);
  // As the file would have it, and back to what it has.
  await page.keyboard.press('f');
  expect(await page.locator('[data-test=toml]').inputValue()).toContain('zone-1');
  await page.keyboard.press('Escape');
  await page.getByRole('dialog').waitFor({ state: 'hidden' });
  await page.keyboard.press('h');
  await page.locator('[data-test=rule-change]', { hasText: '广场西侧围栏' }).first().waitFor();
  await page.locator('[data-test=back-to-file]').click();
  await page.locator('[data-test=back-form] #live-reason').fill('试设结束');
  await page.keyboard.press('Enter');
  await page.locator('[data-test=said]', { hasText: '已恢复配置文件的' }).waitFor({ timeout: 30_000 });
  expect(await page.locator('[data-zone]').count()).toBe(0);
  expect((await rules.getCameraRules({ cameraId: 'square' })).setHere).toBe(false);
  // What was set before is there to be had again.
  await page.keyboard.press('h');
  await page.locator('[data-test=rule-change]', { hasText: '广场西侧围栏' }).first().locator('[data-test=load-change]').click();
  await page.locator('[data-zone=zone-1]').waitFor();
  expect(faults).toEqual([]);
  await context.close();
});

test('who may not tune is offered nothing of it, who may draws without a picture, too, and the end of a session takes the draft', async () => {
  const { page, context, faults } = await open(browser, '/', { width: 1366, height: 768 }, SECURED);
  await signIn(page, ACCOUNT);
  await live(page);
  await page.goto(`${SECURED}/cameras/weir`);
  await page.locator('[data-test=camera-page] h2').waitFor();
  expect(await page.locator('[data-test=rules-link]').count()).toBe(0);
  await page.goto(`${SECURED}/cameras/weir/rules`);
  await expect.poll(() => new URL(page.url()).pathname).not.toContain('/rules');
  const signOut = async (): Promise<void> => {
    await page.locator('[data-test=account]').click();
    await page.locator('[data-test=sign-out]').click();
    await page.locator('#account').waitFor();
  };
  await signOut();
  // Who keeps points may, of a camera that shows nothing, too: on an empty ground.
  await signIn(page, NEW_ACCOUNT);
  await page.locator('[data-test=camera][data-camera=weir]').getByRole('link').click({ timeout: 60_000 });
  await tune(page);
  await page.locator('[data-test=no-picture]').waitFor({ timeout: 30_000 });
  await draw(page);
  const kept = (): Promise<string | null> => page.evaluate(() => sessionStorage.getItem('xueliang.rules.weir'));
  expect(await kept()).toContain('zone-1');
  await signOut();
  expect(await kept()).toBeNull();
  expect(faults).toEqual([]);
  await context.close();
});

test.for(LANGUAGES)(
  'zones and rules in %s, without serious faults of accessibility',
  async (language) => {
    const { page, context, faults } = await open(browser, '/cameras/square');
    if (language === 'en') {
      await page.locator('[data-test=language]').click();
      await page.getByRole('link', { name: 'Zones and rules' }).waitFor({ timeout: 60_000 });
      await away(page);
    }
    await tune(page);
    await picture(page);
    await draw(page);
    await take(page, 'rules-zone', language);
    await addIntrusion(page);
    await take(page, 'rules-rule', language);
    await away(page);
    await page.keyboard.press('y');
    await page.locator('[data-test=covers]').waitFor({ timeout: 60_000 });
    await take(page, 'rules-trial', language);
    await page.keyboard.press('l');
    await page.locator('#live-reason').waitFor();
    await take(page, 'rules-live', language);
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'hidden' });
    await page.keyboard.press('n');
    await page.locator('[data-test=drawing]').waitFor({ state: 'attached' });
    await page.keyboard.press('Space');
    await take(page, 'rules-drawing', language);
    await page.keyboard.press('Escape');
    await page.locator('[data-test=theme]').click();
    await take(page, 'rules-light', language);
    await untilItWorks(() => page.locator('[data-test=drop-draft]').click());
    expect(faults).toEqual([]);
    await context.close();
  },
);
