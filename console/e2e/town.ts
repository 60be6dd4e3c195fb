// The service and the browser that the specs use. tests/tests/browser.rs starts the service, with a town of simulated cameras
// and an external publisher, and says where all that is.
import { createHmac, randomBytes } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { create, type DescService } from '@bufbuild/protobuf';
import { createClient, type Client, type Interceptor } from '@connectrpc/connect';
import { createGrpcWebTransport } from '@connectrpc/connect-web';
import { chromium, type Browser, type BrowserContext, type Page } from 'playwright-core';
import { AccountService } from '../src/gen/xueliang/v1/account_pb';
import {
  AlertSchema,
  AlertService,
  AlertState,
  PublishOutcome,
  Resolution,
  type Alert,
  type Kind,
  type Level,
} from '../src/gen/xueliang/v1/alert_pb';

function told(name: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: these specs are run by tests/tests/browser.rs (make test)`);
  return value;
}

export const CONSOLE = told('XUELIANG_CONSOLE');
/** A service that asks who one is, and what it knows of: an account of a judge, and one whose owner has a one-time token. */
export const SECURED = told('XUELIANG_SECURED');
export const ACCOUNT = told('XUELIANG_ACCOUNT');
export const PASSWORD = told('XUELIANG_PASSWORD');
export const NEW_ACCOUNT = told('XUELIANG_NEW_ACCOUNT');
export const ONE_TIME_TOKEN = told('XUELIANG_ONE_TIME_TOKEN');
const TOKEN = told('XUELIANG_TOKEN');
const SUPERVISOR = Number(told('XUELIANG_SUPERVISOR'));
export const SCREENSHOTS = told('XUELIANG_SCREENSHOTS');

/** Stills and footage go first: on a busy machine a picture of the moment is refused now and then. */
export const PICTURE_PATIENCE_MS = 60_000;

/** A camera of the external publisher. */
export const QUAY = 'quay-thermal';

/** Chromium as Debian has it, which asks nobody outside for anything. */
export function launch(): Promise<Browser> {
  return chromium.launch({
    executablePath: '/usr/bin/chromium',
    args: [
      '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
      '--disable-component-update', '--disable-sync',
    ],
  });
}

/** A page on a desk, and what went wrong in it: errors, and what its policy refused. */
export interface Desk {
  page: Page;
  context: BrowserContext;
  faults: string[];
}

/**
 * Opens a page as one operator does, with a browser profile of its own; at the service of the town, or at another. `token`: of a
 * session that has begun already, as a tab keeps it over a reload.
 */
export async function open(
  browser: Browser, path = '/', viewport = { width: 1366, height: 768 }, service = CONSOLE, token = '',
): Promise<Desk> {
  const context = await browser.newContext({ viewport, reducedMotion: 'reduce' });
  if (token !== '') {
    await context.addInitScript((kept) => {
      sessionStorage.setItem('xueliang.session', kept);
    }, token);
  }
  const page = await context.newPage();
  const faults: string[] = [];
  page.on('pageerror', (error) => faults.push(String(error)));
  page.on('console', (message) => {
    // While the bus is away, the browser says of each try that it failed.
    if (message.type() === 'error' && !/Failed to load resource|ERR_CONNECTION/.test(message.text())) faults.push(message.text());
  });
  await page.goto(service + path);
  return { page, context, faults };
}

/** Waits until the list is complete and live. */
export async function live(page: Page): Promise<void> {
  await page.locator('[data-test=stream].good').waitFor({ timeout: 30_000 });
}

const publisher = (service: string): Client<typeof AlertService> =>
  createClient(
    AlertService,
    createGrpcWebTransport({
      baseUrl: service,
      interceptors: [
        (next) => (request) => {
          request.header.set('authorization', `Bearer ${TOKEN}`);
          return next(request);
        },
      ],
    }),
  );

/** A UUID of version 7, as publishers mint them. */
function mint(): string {
  const bytes = randomBytes(16);
  bytes.writeUIntBE(Date.now(), 0, 6);
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x70;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = bytes.toString('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}

/** A state of an alert at the quay. */
export function alert(kind: Kind, level: Level, of: { id?: string; revision?: number; ended?: boolean; camera?: string } = {}): Alert {
  const now = BigInt(Date.now()) * 1000n;
  return create(AlertSchema, {
    alertId: of.id ?? mint(),
    revision: BigInt(of.revision ?? 1),
    kind,
    level,
    state: of.ended ? AlertState.RESOLVED : AlertState.FIRING,
    resolution: of.ended ? Resolution.OBSERVED_ABSENCE : Resolution.UNSPECIFIED,
    resolvedUnixUs: of.ended ? now : 0n,
    place: { cameraId: of.camera ?? QUAY },
    startedUnixUs: now - 2_000_000n,
    lastSeenUnixUs: now,
    decidedUnixUs: now,
    count: 3n,
  });
}

/** Publishes states, 256 at most, and waits until they are on disk. */
export function publish(...alerts: Alert[]): Promise<void> {
  return publishTo(CONSOLE, ...alerts);
}

/** The same at another service than that of the town. */
export async function publishTo(service: string, ...alerts: Alert[]): Promise<void> {
  const answer = await publisher(service).publish({ publications: alerts.map((alert) => ({ alert })) });
  const refused = answer.results.find((one) => one.outcome !== PublishOutcome.COMMITTED);
  if (refused) throw new Error(`not committed: ${PublishOutcome[refused.outcome]} ${refused.message}`);
}

/** Signs in at the service that asks who one is, as no page does, and gives a client of another service there. */
export async function clientOf<S extends DescService>(name: string, service: S): Promise<Client<S>> {
  const { token } = await createClient(AccountService, createGrpcWebTransport({ baseUrl: SECURED })).signIn({ name, password: PASSWORD });
  const bearing: Interceptor = (next) => (request) => {
    request.header.set('authorization', `Bearer ${token}`);
    return next(request);
  };
  return createClient(service, createGrpcWebTransport({ baseUrl: SECURED, interceptors: [bearing] }));
}

/** Signs in on a page. */
export async function signIn(page: Page, name: string, password = PASSWORD): Promise<void> {
  await page.locator('#account').fill(name);
  await page.locator('#password').fill(password);
  await page.keyboard.press('Enter');
}

/** Kills the bus, as the kernel would for want of memory; its supervisor starts another. */
export function killBus(): void {
  const killed = readdirSync('/proc').filter((pid) => {
    try {
      const parent = Number(readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ')[1]);
      return parent === SUPERVISOR && readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').includes('bus');
    } catch {
      // Not a process, or one that has just ended.
      return false;
    }
  });
  if (killed.length !== 1) throw new Error(`expected one bus below ${SUPERVISOR}, found ${killed.join(' ')}`);
  process.kill(Number(killed[0]), 'SIGKILL');
}

/** Calls until it does not fail any more. */
export async function untilItWorks<T>(what: () => Promise<T>): Promise<T> {
  const end = Date.now() + 30_000;
  for (;;) {
    try {
      return await what();
    } catch (error) {
      if (Date.now() > end) throw error;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }
}

/** A code of a second factor (RFC 6238: SHA-1, six digits, 30 s), so many steps from now: each counts once. */
export function totp(secret: string, steps = 0): string {
  const bits = Array.from(secret.replace(/[\s=]/g, ''), (one) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(one).toString(2).padStart(5, '0')).join('');
  const key = Buffer.from(bits.match(/.{8}/g)?.map((byte) => Number.parseInt(byte, 2)) ?? []);
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000) + steps));
  const sum = createHmac('sha1', key).update(counter).digest();
  const at = (sum.at(-1) ?? 0) & 15;
  return String((sum.readUInt32BE(at) & 0x7fffffff) % 1_000_000).padStart(6, '0');
}
