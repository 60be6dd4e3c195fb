import { expect, test } from 'vitest';
import { CatchingUp } from './catching-up';

test('a stream without anything to make up for is at now with its first bookmark', () => {
  expect(new CatchingUp().bookmark(50_000)).toBe(true);
});

test('what was committed long ago is made up for first, and what comes live is not waited for', () => {
  const stream = new CatchingUp();
  stream.delivery(10_000);
  expect(stream.bookmark(50_000)).toBe(false);
  stream.delivery(20_000);
  stream.delivery(50_500);
  expect(stream.bookmark(51_000)).toBe(true);
});

test('a lane that stays behind is not waited for without end', () => {
  const stream = new CatchingUp();
  const told = Array.from({ length: 10 }, (_, n) => {
    stream.delivery(10_000 + n);
    return stream.bookmark(50_000);
  });
  expect(told.indexOf(true)).toBe(9);
});
