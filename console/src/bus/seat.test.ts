import { beforeEach, expect, test } from 'vitest';
import type { Seated, ToPage } from './messages';
import { Seat } from './seat';

let seat: Seat;
let carried: string;
let cleared: number;
let watched: { seated: Seated; stop: AbortSignal }[];
let said: ToPage[];
let forgotten: string[];

beforeEach(() => {
  carried = 'none yet';
  cleared = 0;
  watched = [];
  said = [];
  forgotten = [];
  seat = new Seat({
    carry: (token) => (carried = token),
    clear: () => (cleared += 1),
    watch: (seated, stop) => watched.push({ seated, stop }),
    say: (message) => said.push(message),
    forget: (account) => forgotten.push(account),
  });
});

const ana: Seated = { token: 'a', account: 'ana', alerts: true, cameras: true, scope: '' };
const sit = (seated: Seated): void => {
  seat.heard({ type: 'signed-in', seated });
};

test('nothing is asked for before somebody is signed in, and pages are told who that is', () => {
  expect(seat.greeting).toEqual({ type: 'session', token: undefined, ended: undefined });
  expect(watched).toEqual([]);
  sit(ana);
  expect(carried).toBe('a');
  expect(watched.map((one) => one.seated)).toEqual([ana]);
  expect(said).toEqual([{ type: 'session', token: 'a', ended: undefined }]);
});

test('a second page of the same session disturbs nothing', () => {
  sit(ana);
  sit({ ...ana });
  expect([watched.length, cleared, said.length]).toEqual([1, 1, 1]);
  expect(watched[0]?.stop.aborted).toBe(false);
});

test('other rights or another part of the town begin anew, and what was told is let go', () => {
  sit(ana);
  for (const [n, change] of [{ cameras: false }, { alerts: false }, { scope: '330282' }].entries()) {
    const before = watched.at(-1);
    sit({ ...ana, ...change });
    expect(before?.stop.aborted).toBe(true);
    expect([watched.length, cleared]).toEqual([n + 2, n + 2]);
  }
  // The session is the same: no page has to be told of it.
  expect(said.length).toBe(1);
});

test('with the end of the session the stream stops and all alerts go, once', () => {
  sit(ana);
  seat.left('a', 'ended');
  seat.left('a', 'signed-out');
  expect(watched[0]?.stop.aborted).toBe(true);
  expect([carried, cleared, watched.length]).toEqual(['', 2, 1]);
  expect(said.slice(1)).toEqual([{ type: 'session', token: undefined, ended: 'ended' }]);
  expect(seat.greeting).toEqual({ type: 'session', token: undefined, ended: 'ended' });
});

test('a late refusal of an earlier session does not end the present one', () => {
  sit(ana);
  sit({ ...ana, token: 'b' });
  seat.heard({ type: 'signed-out', token: 'a', ended: 'ended' });
  expect(carried).toBe('b');
  expect(watched[1]?.stop.aborted).toBe(false);
  expect(seat.greeting).toMatchObject({ token: 'b' });
});

test('a service that lets everybody in has a session without a token', () => {
  sit({ ...ana, token: '' });
  expect(seat.greeting).toMatchObject({ token: '' });
  expect(watched.length).toBe(1);
  seat.left('', 'ended');
  expect(watched[0]?.stop.aborted).toBe(true);
});

test('what is kept beyond the pages goes with signing out, and not where a session has run out', () => {
  sit(ana);
  seat.left('a', 'ended');
  expect(forgotten).toEqual([]);
  sit(ana);
  seat.left('b', 'signed-out');
  expect(forgotten).toEqual([]);
  seat.left('a', 'signed-out');
  expect(forgotten).toEqual(['ana']);
});
