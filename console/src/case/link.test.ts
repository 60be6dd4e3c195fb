import { expect, test } from 'vitest';
import { isLocal, linkOf } from './link';

test('the token of a link is sent to nobody', () => {
  const url = new URL(linkOf('http://192.0.2.7:8752', 'xlh_abc-DEF_1'));
  expect(url.hash).toBe('#xlh_abc-DEF_1');
  expect(url.pathname + url.search).toBe('/h.html');
});

test('an address of this machine is told from one that a telephone reaches', () => {
  for (const local of ['http://127.0.0.1:8752', 'http://localhost:8752', 'http://[::1]:8752']) expect(isLocal(linkOf(local, 'x')), local).toBe(true);
  for (const other of ['http://192.0.2.7:8752', 'https://town.example']) expect(isLocal(linkOf(other, 'x')), other).toBe(false);
});
