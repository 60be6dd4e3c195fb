import { create } from '@bufbuild/protobuf';
import { Code, ConnectError } from '@connectrpc/connect';
import { expect, test } from 'vitest';
import { HandledCaseSchema, HandlerAct, LinkState, OpenLinkResponseSchema, type OpenLinkResponse } from '../gen/xueliang/v1/handler_pb';
import { OpenLink, tokenOf, type Calls } from './open-link';
import { within } from './photo';

const told = (state: LinkState, revision = 3n): OpenLinkResponse =>
  create(OpenLinkResponseSchema, {
    state,
    nowUnixUs: 5_000_000n,
    ...([LinkState.LIVE, LinkState.CHECKED].includes(state) ? { case: create(HandledCaseSchema, { revision }) } : {}),
  });
const failing = (code: Code): Promise<never> => Promise.reject(new ConnectError('why', code));

function opened(calls: Partial<Calls>): OpenLink {
  return new OpenLink({
    open: () => Promise.resolve(told(LinkState.LIVE)),
    prove: () => Promise.resolve(undefined),
    act: () => Promise.resolve(told(LinkState.CHECKED)),
    ...calls,
  }, () => 1000);
}

test('what is seen is what the service says: the case, an end, or that it is no link', async () => {
  const live = opened({});
  await live.read();
  expect(live.seen.value).toMatchObject({ type: 'case', state: LinkState.LIVE });
  expect(live.aheadMs.value).toBe(4000);
  const over = opened({ open: () => Promise.resolve(told(LinkState.LEFT)) });
  await over.read();
  expect(over.seen.value).toEqual({ type: 'ended', state: LinkState.LEFT });
  const none = opened({ open: () => failing(Code.Unauthenticated) });
  await none.read();
  expect(none.seen.value).toEqual({ type: 'unknown' });
});

test('while nobody answers the last answer stays, and is marked; whoever answers again unmarks it', async () => {
  let away = false;
  const link = opened({ open: () => (away ? failing(Code.Unavailable) : Promise.resolve(told(LinkState.LIVE))) });
  await link.read();
  away = true;
  await link.read();
  expect([link.seen.value.type, link.awaySince.value]).toEqual(['case', 1000]);
  away = false;
  await link.read();
  expect(link.awaySince.value).toBe(0);
});

test('an act goes with the revision that was seen; somebody faster, a refusal and no answer are told apart', async () => {
  const revisions: bigint[] = [];
  const link = opened({
    act: (revision) => {
      revisions.push(revision);
      return Promise.resolve(told(LinkState.LIVE, 4n));
    },
  });
  await link.read();
  expect(await link.act(HandlerAct.ACCEPT)).toBe(true);
  expect(await link.act(HandlerAct.START)).toBe(true);
  expect(revisions).toEqual([3n, 4n]);
  for (const [code, type] of [[Code.FailedPrecondition, 'changed'], [Code.Unavailable, 'away'], [Code.InvalidArgument, 'refused']] as const) {
    const refused = opened({ act: () => failing(code) });
    await refused.read();
    expect(await refused.act(HandlerAct.ACCEPT)).toBe(false);
    expect(refused.outcome.value?.type).toBe(type);
  }
});

test('a token is what follows the hash, whole', () => {
  expect(tokenOf('#xlh_abc-DEF_123')).toBe('xlh_abc-DEF_123');
  for (const none of ['', '#', '#xls_abc', '#xlh_', '#xlh_ab c', '?xlh_abc']) expect(tokenOf(none), none).toBe('');
});

test('photos are made smaller and never larger', () => {
  expect(within(4000, 3000, 1600)).toEqual([1600, 1200]);
  expect(within(3000, 4000, 1600)).toEqual([1200, 1600]);
  expect(within(640, 480, 1600)).toEqual([640, 480]);
  expect(within(10_000, 1, 1600)).toEqual([1600, 1]);
});
