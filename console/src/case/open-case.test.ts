import { create } from '@bufbuild/protobuf';
import { Code, ConnectError } from '@connectrpc/connect';
import { expect, test } from 'vitest';
import { CaseAct, CaseState, GetCaseResponseSchema, type GetCaseResponse } from '../gen/xueliang/v1/case_pb';
import { NOTHING_SAID, actionOf } from './acts';
import { IDLE_MS, OpenCase, type Calls } from './open-case';

const NOW = 1_790_000_000_000;
const us = (at: number): bigint => BigInt(at) * 1000n;

type Did = 'confirm' | 'claim' | 'falseAlarm' | 'release';

/** A service that keeps one case, and two who use it. */
class Service {
  revision = 0n;
  state = CaseState.NEW;
  claim: { account: string; untilMs: number } | undefined;
  history: { account: string; unit: string; act: Did }[] = [];
  now = NOW;
  claims = 0;
  fails: ConnectError | undefined;
  /** Why it is not told. */
  unread: ConnectError | undefined;
  /** Claims land when this says so. */
  slow: Promise<void> | undefined;

  answer(): GetCaseResponse {
    return create(GetCaseResponseSchema, {
      case: {
        revision: this.revision,
        state: this.state,
        claimedBy: this.claim && { account: this.claim.account, unit: 'desk' },
        claimedUntilUnixUs: us(this.claim?.untilMs ?? 0),
      },
      history: this.history.map((one, at) => ({
        revision: BigInt(at + 1),
        actor: { account: one.account, unit: one.unit },
        action: { what: { case: one.act, value: {} } },
      })),
    });
  }

  as(account: string): OpenCase {
    const did = (act: Did, revision: bigint): void => {
      if (this.fails) throw this.fails;
      if (revision !== this.revision) throw new ConnectError('was changed', Code.FailedPrecondition);
      if (this.claim && this.claim.account !== account) throw new ConnectError('is judged', Code.FailedPrecondition);
      this.history.push({ account, unit: 'desk', act });
      this.revision += 1n;
    };
    const calls: Calls = {
      get: () => (this.unread ? Promise.reject(this.unread) : Promise.resolve(this.answer())),
      claim: async (_, revision) => {
        await this.slow;
        did('claim', revision);
        this.claims += 1;
        this.claim = { account, untilMs: this.now + 120_000 };
      },
      act: async (_, revision, action) => {
        await Promise.resolve();
        const act = action.what?.case;
        did(act === 'confirm' || act === 'release' ? act : 'falseAlarm', revision);
        this.claim = undefined;
        if (act !== 'release') this.state = act === 'confirm' ? CaseState.CONFIRMED : CaseState.FALSE_ALARM;
      },
      me: () => account,
      now: () => this.now,
    };
    return new OpenCase({ by: { case: 'alertId', value: 'a' } }, calls);
  }
}

const confirm = (one: OpenCase): Promise<boolean> => one.act(CaseAct.CONFIRM, actionOf(CaseAct.CONFIRM, NOTHING_SAID), '');

test('of two who judge at once the loser is told who did what, and sees how the case stands', async () => {
  const service = new Service();
  const [ana, bo] = [service.as('ana'), service.as('bo')];
  await ana.read();
  await bo.read();
  expect(await confirm(ana)).toBe(true);
  expect(ana.outcome.value).toEqual({ type: 'done', act: CaseAct.CONFIRM });
  expect(await confirm(bo)).toBe(false);
  const outcome = bo.outcome.value;
  if (outcome?.type !== 'lost') throw new Error(`expected lost, was ${outcome?.type}`);
  expect(outcome.event?.actor?.account).toBe('ana');
  expect(outcome.event?.action?.what.case).toBe('confirm');
  expect(bo.told.value?.case?.state).toBe(CaseState.CONFIRMED);
});

test('what was done here is told until something else has happened', async () => {
  const service = new Service();
  const [ana, bo] = [service.as('ana'), service.as('bo')];
  await ana.read();
  await bo.read();
  await confirm(ana);
  await ana.read();
  expect(ana.outcome.value).toEqual({ type: 'done', act: CaseAct.CONFIRM });
  await bo.read();
  await bo.claim();
  await ana.read();
  expect(ana.outcome.value).toBeUndefined();
});

test('what was done is told also where it could not be read at once, and while a claim is renewed', async () => {
  const service = new Service();
  const ana = service.as('ana');
  await ana.read();
  await ana.claim();
  expect(ana.outcome.value).toEqual({ type: 'done', act: CaseAct.CLAIM });
  service.now += 60_000;
  await ana.renew(0);
  expect(service.claims).toBe(2);
  await ana.read();
  expect(ana.outcome.value).toEqual({ type: 'done', act: CaseAct.CLAIM });
  service.unread = new ConnectError('away', Code.Unavailable);
  await confirm(ana);
  service.unread = undefined;
  await ana.read();
  await ana.read();
  expect(ana.outcome.value).toEqual({ type: 'done', act: CaseAct.CONFIRM });
});

test('who meets somebody else’s claim is told that, too', async () => {
  const service = new Service();
  const [ana, bo] = [service.as('ana'), service.as('bo')];
  await ana.read();
  await ana.claim();
  await bo.read();
  expect(ana.isMine).toBe(true);
  expect(bo.isMine).toBe(false);
  expect(await confirm(bo)).toBe(false);
  expect(bo.outcome.value?.type).toBe('lost');
});

test('who is quick acts while the claim is still under way: after it, and not without it', async () => {
  const service = new Service();
  const [ana, bo] = [service.as('ana'), service.as('bo')];
  await ana.read();
  await bo.read();
  const claimed = ana.claim();
  expect(await confirm(ana)).toBe(true);
  expect(await claimed).toBe(true);
  expect(service.history.map((one) => one.act)).toEqual(['claim', 'confirm']);
  const late = bo.claim();
  expect(await confirm(bo)).toBe(false);
  expect(await late).toBe(false);
  expect(bo.outcome.value?.type).toBe('lost');
});

test('a claim is renewed while its owner is at the desk, in time and no sooner', async () => {
  const service = new Service();
  const ana = service.as('ana');
  await ana.read();
  await ana.claim();
  await ana.renew(0);
  expect(service.claims).toBe(1);
  service.now += 60_000;
  await ana.renew(IDLE_MS);
  expect(service.claims, 'nobody is at the desk').toBe(1);
  await ana.renew(1000);
  expect(service.claims).toBe(2);
  service.now += 130_000;
  await ana.renew(0);
  expect(service.claims, 'what has run out is not the caller’s any more').toBe(2);
});

test('a refusal says of what sort it is, so that it can be said in the language of the page', async () => {
  const service = new Service();
  const ana = service.as('ana');
  await ana.read();
  for (const [code, text, why] of [
    [Code.InvalidArgument, 'note: it holds what looks like the number of a telephone', 'note'],
    [Code.InvalidArgument, 'dispatch.unit: name one', 'other'],
    [Code.PermissionDenied, 'ana has handled the case', 'right'],
    [Code.Unavailable, '', 'away'],
    [Code.FailedPrecondition, 'there is no limit yet', 'other'],
  ] as const) {
    service.fails = new ConnectError(text, code);
    expect(await confirm(ana)).toBe(false);
    expect(ana.outcome.value).toEqual({ type: 'refused', act: CaseAct.CONFIRM, why, reason: text });
  }
});

test('a renewal under way is waited for: what is done meanwhile is not lost against it', async () => {
  const service = new Service();
  const ana = service.as('ana');
  await ana.read();
  await ana.claim();
  service.now += 60_000;
  const renewed = ana.renew(0);
  expect(await confirm(ana)).toBe(true);
  await renewed;
  expect(service.history.map((one) => one.act)).toEqual(['claim', 'claim', 'confirm']);
  expect(ana.outcome.value?.type).toBe('done');
});

test('a renewal that fails keeps nobody from acting', async () => {
  const service = new Service();
  const ana = service.as('ana');
  await ana.read();
  await ana.claim();
  service.now += 60_000;
  let fail: (error: Error) => void = () => undefined;
  service.slow = new Promise((_, reject) => (fail = reject));
  const renewed = ana.renew(0);
  const confirmed = confirm(ana);
  fail(new ConnectError('', Code.Unavailable));
  expect(await confirmed).toBe(true);
  await renewed;
});

test('who begins to claim while something else is under way claims after that', async () => {
  const service = new Service();
  const ana = service.as('ana');
  await ana.read();
  await ana.claim();
  const released = ana.act(CaseAct.RELEASE, actionOf(CaseAct.RELEASE, NOTHING_SAID), '');
  await Promise.resolve();
  const claimed = ana.claim();
  expect([await released, await claimed]).toEqual([true, true]);
  expect(service.history.map((one) => one.act)).toEqual(['claim', 'release', 'claim']);
});

test('who leaves gives up what they claimed, also a claim that lands only then, and what somebody touched meanwhile', async () => {
  const service = new Service();
  let land = (): void => undefined;
  service.slow = new Promise((resolve) => (land = resolve));
  const ana = service.as('ana');
  await ana.read();
  const claimed = ana.claim();
  // The call is on its way.
  await new Promise((resolve) => setTimeout(resolve));
  const left = ana.leave();
  land();
  await Promise.all([claimed, left]);
  expect(service.claim).toBeUndefined();
  expect(service.history.map((one) => one.act)).toEqual(['claim', 'release']);
  service.now += 1;
  expect(await ana.claim(), 'afterwards nothing is claimed').toBe(false);

  service.slow = undefined;
  const bo = service.as('bo');
  await bo.read();
  await bo.claim();
  // As the clock does, without bo hearing of it.
  service.revision += 1n;
  await bo.leave();
  expect(service.claim).toBeUndefined();
});

test('who has claimed nothing leaves without a word', async () => {
  const service = new Service();
  const [ana, bo] = [service.as('ana'), service.as('bo')];
  await ana.read();
  await ana.claim();
  await bo.read();
  await bo.leave();
  expect(service.claim?.account).toBe('ana');
});

test('there is no case where the service says so, and what fails later is told beside what was read', async () => {
  const service = new Service();
  for (const [code, missing, damaged] of [
    [Code.NotFound, true, false], [Code.FailedPrecondition, true, false], [Code.Unavailable, false, false], [Code.DataLoss, false, true],
  ] as const) {
    const ana = service.as('ana');
    service.unread = new ConnectError('no', code);
    await ana.read();
    expect([ana.missing.value, ana.damaged.value, ana.failure.value], Code[code]).toEqual([missing, damaged, 'no']);
    service.unread = undefined;
    await ana.read();
    expect([ana.missing.value, ana.damaged.value, ana.failure.value]).toEqual([false, false, '']);
    service.unread = new ConnectError('gone', Code.FailedPrecondition);
    await ana.read();
    expect([ana.missing.value, ana.failure.value]).toEqual([false, 'gone']);
    expect(ana.told.value).toBeDefined();
  }
});

test('what was claimed only to say something is given back when it is not said, and neither is told', async () => {
  const service = new Service();
  const [ana, bo] = [service.as('ana'), service.as('bo')];
  await ana.read();
  // Before the claim has landed, too.
  const claimed = ana.claimBeside();
  const back = ana.giveBack();
  expect(ana.isReturning).toBe(true);
  expect(await claimed).toBe(true);
  await back;
  expect(service.history.map((one) => one.act)).toEqual(['claim', 'release']);
  expect(ana.outcome.value).toBeUndefined();
  expect(ana.isMine).toBe(false);
  await bo.read();
  expect(await confirm(bo)).toBe(true);
});

test('what is done while a claim is given back comes after that; what was done with it leaves nothing to give back', async () => {
  const service = new Service();
  const ana = service.as('ana');
  await ana.read();
  await ana.claimBeside();
  const back = ana.giveBack();
  expect(await confirm(ana)).toBe(true);
  await back;
  await ana.giveBack();
  expect(service.history.map((one) => one.act)).toEqual(['claim', 'release', 'confirm']);
  expect(ana.outcome.value).toEqual({ type: 'done', act: CaseAct.CONFIRM });
});

test('who claims by hand what is about to be given back keeps it', async () => {
  const service = new Service();
  const ana = service.as('ana');
  await ana.read();
  const beside = ana.claimBeside();
  const back = ana.giveBack();
  const byHand = ana.claim();
  expect(await Promise.all([beside, byHand, back])).toEqual([true, true, undefined]);
  expect(service.history.map((one) => one.act)).toEqual(['claim']);
  expect(ana.isMine).toBe(true);
});

test('a claim that could not be given back is tried again once, and is not prolonged', async () => {
  const service = new Service();
  const ana = service.as('ana');
  await ana.read();
  await ana.claimBeside();
  // Something else was done meanwhile.
  service.revision += 1n;
  await ana.giveBack();
  expect(ana.isMine).toBe(false);
  await ana.claimBeside();
  service.fails = new ConnectError('gone', Code.Unavailable);
  await ana.giveBack();
  service.fails = undefined;
  service.now += 100_000;
  await ana.renew(0);
  expect([ana.isMine, service.claims]).toEqual([true, 2]);
});
