import { create } from '@bufbuild/protobuf';
import { Code, ConnectError } from '@connectrpc/connect';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { ToWorker } from '../bus/messages';
import { GetSelfResponseSchema, Role, type GetSelfResponse } from '../gen/xueliang/v1/account_pb';
import { AGAIN_MS, Session } from './session';

/** What the service says to a token. */
type Answers = Map<string, GetSelfResponse | Code>;

let answers: Answers;
let asked: string[];
let carried: string;
let kept: string;
let told: ToWorker[];
let signOut: Code | undefined;
let session: Session;

const self = (of: Partial<{ rights: string[]; divisions: string[]; mustChange: boolean }> = {}): GetSelfResponse =>
  create(GetSelfResponseSchema, {
    name: 'ana',
    account: { name: 'ana', displayName: 'Ana', unit: 'Centre', roles: [Role.JUDGE], divisions: of.divisions ?? [], wholeTown: !of.divisions },
    rights: of.rights ?? ['ReadAlerts', 'ReadCameras'],
    mustChangePassword: of.mustChange ?? false,
    session: { sessionId: 1n },
  });

beforeEach(() => {
  vi.useFakeTimers();
  answers = new Map();
  asked = [];
  told = [];
  carried = '';
  kept = '';
  signOut = undefined;
  session = new Session({
    self: (token) => {
      asked.push(token);
      const answer = answers.get(token) ?? Code.Unauthenticated;
      return typeof answer === 'number' ? Promise.reject(new ConnectError('no', answer)) : Promise.resolve(answer);
    },
    signOut: () => (signOut === undefined ? Promise.resolve() : Promise.reject(new ConnectError('no', signOut))),
    carry: (token) => (carried = token),
    tell: (message) => told.push(message),
    kept: { get: () => kept, set: (token) => (kept = token) },
  });
});
afterEach(() => {
  vi.useRealTimers();
});

const settled = (): Promise<unknown> => vi.advanceTimersByTimeAsync(0);

test('where everybody is let in the page goes straight on', async () => {
  answers.set('', create(GetSelfResponseSchema, { name: 'local', rights: ['ReadAlerts', 'Silence'] }));
  session.told(undefined, undefined);
  await settled();
  expect(session.state.value).toMatchObject({ type: 'in', who: { name: 'local', session: false } });
  expect([session.may('Silence'), session.may('ViewRedacted')]).toEqual([true, false]);
  expect(told).toEqual([{ type: 'signed-in', seated: { token: '', account: 'local', alerts: true, cameras: false, scope: '' } }]);
});

test('where nobody is let in one signs in, and what a reload needs is kept in the tab', async () => {
  session.told(undefined, undefined);
  await settled();
  expect(session.state.value).toEqual({ type: 'out', ended: undefined });
  answers.set('t', self({ divisions: ['330282101', '330282102'] }));
  session.begin('t');
  await settled();
  expect(session.state.value).toMatchObject({ type: 'in', who: { displayName: 'Ana', unit: 'Centre', roles: [Role.JUDGE] } });
  expect([carried, kept]).toEqual(['t', 't']);
  expect(told.at(-1)).toMatchObject({ seated: { token: 't', scope: '330282101 330282102' } });
});

test('a page that was reloaded goes on with what it kept; what no longer counts there is not kept', async () => {
  kept = 't';
  answers.set('t', self());
  session.told(undefined, undefined);
  await settled();
  expect(session.state.value.type).toBe('in');
  answers.clear();
  void session.ask();
  await settled();
  expect(session.state.value).toEqual({ type: 'out', ended: 'ended' });
  expect([kept, carried]).toEqual(['', '']);
});

test('a kept session that has lapsed is said to have, and one of another configuration stands in nobody’s way', async () => {
  kept = 'old';
  session.told(undefined, undefined);
  await settled();
  expect(session.state.value).toEqual({ type: 'out', ended: 'ended' });
  expect(asked).toEqual(['old', '']);
});

test('another tab’s session is this one’s, too, and so is its end', async () => {
  answers.set('t', self());
  session.told('t', undefined);
  await settled();
  expect(session.state.value.type).toBe('in');
  session.told('t', undefined);
  await settled();
  expect(asked).toEqual(['t']);
  session.told(undefined, 'signed-out');
  expect(session.state.value).toEqual({ type: 'out', ended: 'signed-out' });
  answers.set('u', self());
  session.told('u', undefined);
  await settled();
  expect(carried).toBe('u');
});

test('a service that is away is asked again, and turns nobody out who is in', async () => {
  answers.set('', Code.Unavailable);
  session.told(undefined, undefined);
  await settled();
  expect(session.state.value).toEqual({ type: 'asking', reason: 'no' });
  answers.set('', self());
  await vi.advanceTimersByTimeAsync(AGAIN_MS);
  expect(session.state.value.type).toBe('in');
  answers.set('', Code.Unavailable);
  void session.ask();
  await settled();
  expect(session.state.value.type).toBe('in');
});

test('a refused call ends the session of that token, and no other', async () => {
  answers.set('t', self());
  session.told('t', undefined);
  await settled();
  session.refused('earlier');
  expect(session.state.value.type).toBe('in');
  session.refused('t');
  expect(session.state.value).toEqual({ type: 'out', ended: 'ended' });
  expect(told.at(-1)).toEqual({ type: 'signed-out', token: 't', ended: 'ended' });
  expect(session.may('ReadAlerts')).toBe(false);
});

test('who signs out is out at once, and is told where the service has not heard of it', async () => {
  answers.set('t', self());
  for (const [fails, ended] of [[undefined, 'signed-out'], [Code.Unauthenticated, 'signed-out'], [Code.Unavailable, 'unconfirmed']] as const) {
    signOut = fails;
    session.begin('t');
    await settled();
    const leaving = session.leave();
    expect(session.state.value).toEqual({ type: 'out', ended: 'signed-out' });
    expect(told.at(-1)).toEqual({ type: 'signed-out', token: 't', ended: 'signed-out' });
    await leaving;
    expect(session.state.value).toEqual({ type: 'out', ended });
    expect([carried, kept]).toEqual(['', '']);
  }
});

test('an answer to an earlier question does not sign anybody in again', async () => {
  answers.set('t', self());
  session.begin('t');
  await session.leave();
  await settled();
  expect(session.state.value.type).toBe('out');
});

test('without the rights nothing is asked for, and a password that is too old says so', async () => {
  answers.set('t', self({ rights: [], mustChange: true }));
  session.begin('t');
  await settled();
  expect(session.state.value).toMatchObject({ type: 'in', who: { mustChange: true } });
  expect(told).toMatchObject([{ seated: { alerts: false, cameras: false } }]);
});

test('what one session was told goes with it, with its rights and with its part of the town, and not before', async () => {
  const seats: number[] = [];
  const sit = async (answer: GetSelfResponse): Promise<void> => {
    answers.set('t', answer);
    session.begin('t');
    await settled();
    seats.push(session.seat.value);
  };
  await sit(self());
  await sit(self({ rights: ['ReadCameras', 'ReadAlerts'] }));
  await sit(self({ rights: ['ReadAlerts'] }));
  await sit(self({ rights: ['ReadAlerts'], divisions: ['330282'] }));
  await session.leave();
  seats.push(session.seat.value);
  await sit(self({ rights: ['ReadAlerts'], divisions: ['330282'] }));
  expect(seats).toEqual([1, 1, 2, 3, 4, 5]);
});

test('a call that is refused after the end, or a change of rights, leaves standing why the session ended', async () => {
  answers.set('t', self());
  session.begin('t');
  await settled();
  await session.leave();
  asked = [];
  told = [];
  // As of a part of the page that gives something up when it is left.
  session.refused('');
  session.changed();
  await settled();
  expect([session.state.value, asked, told]).toEqual([{ type: 'out', ended: 'signed-out' }, [], []]);
});
