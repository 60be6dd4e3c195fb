// The operators' page in Debian's Chromium, for `make bench-console`: the bench asks by a line of JSON, and each gets a line of JSON.
// It ends, and the browser with it, when nobody can ask any more.
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { chromium } from 'playwright-core';
import { probe } from './probe.mjs';

/** Whatever takes longer does not come. */
const PATIENCE_MS = 30_000;
/** A browser that does not close by itself is left to the end of its pipe. */
const CLOSING_MS = 10_000;

const browser = await chromium.launch({
  executablePath: '/usr/bin/chromium',
  args: [
    '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync',
  ],
});
const devtools = await browser.newBrowserCDPSession();
let context;
let page;

/** What the page's probe answers, within reason. */
function ask(name, argument) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`${name} ${argument ?? ''}: not within ${PATIENCE_MS} ms`));
    }, PATIENCE_MS);
  });
  const answer = page.evaluate(([name, argument]) => window.bench[name](argument), [name, argument]);
  return Promise.race([answer, late]).finally(() => {
    clearTimeout(timer);
  });
}

/** A page of a browser that was never here, in place of the one before. */
async function open(url, token, { width, height }) {
  await context?.close();
  context = await browser.newContext({ viewport: { width, height }, reducedMotion: 'reduce' });
  if (token !== undefined) {
    await context.addInitScript((kept) => {
      sessionStorage.setItem('xueliang.session', kept);
    }, token);
  }
  await context.addInitScript(probe);
  page = await context.newPage();
  await page.goto(url);
}

async function press(key, until) {
  await ask('arm', until);
  await page.keyboard.press(key);
  return ask('result', until);
}

/** A session of one target of the browser, for as long as `then` takes. */
async function within(targetId, then) {
  const { sessionId } = await devtools.send('Target.attachToTarget', { targetId, flatten: false });
  let number = 0;
  const send = (method, params = {}) =>
    new Promise((resolve, reject) => {
      number += 1;
      const id = number;
      const heard = (event) => {
        if (event.sessionId !== sessionId) return;
        const answer = JSON.parse(event.message);
        if (answer.id !== id) return;
        devtools.off('Target.receivedMessageFromTarget', heard);
        if (answer.error) reject(new Error(`${method}: ${answer.error.message}`));
        else resolve(answer.result);
      };
      devtools.on('Target.receivedMessageFromTarget', heard);
      devtools.send('Target.sendMessageToTarget', { sessionId, message: JSON.stringify({ id, method, params }) }).catch(reject);
    });
  try {
    return await then(send);
  } finally {
    await devtools.send('Target.detachFromTarget', { sessionId });
  }
}

/** What is in use once all that nobody needs any more is gone. */
async function used(send) {
  // What only a finaliser lets go of goes with the second collection.
  await send('HeapProfiler.collectGarbage');
  await send('HeapProfiler.collectGarbage');
  return (await send('Runtime.getHeapUsage')).usedSize;
}

async function heap() {
  const { targetInfos } = await devtools.send('Target.getTargets');
  const of = (type) => {
    const found = targetInfos.filter((one) => one.type === type);
    if (found.length !== 1) throw new Error(`${found.length} targets are a ${type}`);
    return found[0].targetId;
  };
  const worker_bytes = await within(of('shared_worker'), used);
  return within(of('page'), async (send) => {
    const page_bytes = await used(send);
    const { nodes, jsEventListeners } = await send('Memory.getDOMCounters');
    return { page_bytes, worker_bytes, nodes, listeners: jsEventListeners, ...(await renderers()) };
  });
}

/** Resident memory and time of the processor of the browser's processes that run pages and workers. */
async function renderers() {
  const { processInfo } = await devtools.send('SystemInfo.getProcessInfo');
  const ours = processInfo.filter((one) => one.type === 'renderer');
  const resident = ours.map(({ id }) => {
    try {
      return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${id}/status`, 'utf8'))?.[1] ?? 0) * 1024;
    } catch {
      // It has just ended.
      return 0;
    }
  });
  const sum = (values) => values.reduce((all, one) => all + one, 0);
  return { resident_bytes: sum(resident), processor_s: sum(ours.map((one) => one.cpuTime)) };
}

const does = {
  browser: async () => browser.version(),
  /** Opens the page with a session that has begun; how long from the begin of its loading until it is live. */
  open: async ({ url, token, ...viewport }) => {
    await open(url, token, viewport);
    return ask('result', 'live');
  },
  /** Signs in; how long until the form is there, and from Enter until it is live. */
  signIn: async ({ url, account, password, ...viewport }) => {
    await open(url, undefined, viewport);
    const form_ms = await ask('result', 'form');
    await page.locator('#account').fill(account);
    await page.locator('#password').fill(password);
    return { form_ms, live_ms: await press('Enter', 'live') };
  },
  /** Presses a key; how long until what it is to do is painted. */
  press: ({ key, until }) => press(key, until),
  painted: () => ask('painted'),
  top: () => ask('top'),
  heap,
};

for await (const line of createInterface({ input: process.stdin })) {
  let answer;
  try {
    const { act, ...what } = JSON.parse(line);
    answer = { told: (await does[act](what)) ?? null };
  } catch (error) {
    answer = { failed: String(error) };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
setTimeout(() => process.exit(1), CLOSING_MS).unref();
await browser.close();
