import { Code, ConnectError } from '@connectrpc/connect';
import { expect, test } from 'vitest';
import { failureOf } from './failure';
import { tokenOfLink } from './link';

test('waits are told apart from refusals, and both from a service that is away', () => {
  const told = (code: Code, headers?: Record<string, string>): [string, number] => {
    const failure = failureOf(new ConnectError('so', code, headers));
    expect(failure.reason).toBe('so');
    return [failure.text, failure.waitMs];
  };
  expect(told(Code.ResourceExhausted, { 'grpc-retry-pushback-ms': '15001' })).toEqual(['wait', 15001]);
  expect(told(Code.ResourceExhausted)).toEqual(['other', 0]);
  expect(told(Code.Unauthenticated)).toEqual(['refused', 0]);
  expect(told(Code.InvalidArgument)).toEqual(['other', 0]);
  expect(told(Code.Unavailable)).toEqual(['away', 0]);
  expect(failureOf(new TypeError('Failed to fetch')).text).toBe('away');
});

test('a one-time token is read out of a link and of nothing else', () => {
  expect(tokenOfLink('#/set-up?token=xlo_a-b_1')).toBe('xlo_a-b_1');
  for (const hash of ['', '#', '#/set-up', '#/set-up?', '#/other?token=a']) expect(tokenOfLink(hash), hash).toBe('');
});
