import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { listenFor } from './form-keys';

class Node {
  readonly nodeType = 1;
}
class Input extends Node {
  constructor(readonly type: string) {
    super();
  }
}
class TextArea extends Node {}
class Button extends Node {}

let listeners: ((event: unknown) => void)[];
let open: boolean;
let did: string[];
let stop: () => void;

function press(key: string, target: Node = new Node()): boolean {
  let taken = false;
  for (const listener of listeners) listener({ key, target, preventDefault: () => (taken = true) });
  return taken;
}

beforeEach(() => {
  listeners = [];
  open = true;
  did = [];
  vi.stubGlobal('Node', Node);
  vi.stubGlobal('HTMLInputElement', Input);
  vi.stubGlobal('HTMLTextAreaElement', TextArea);
  vi.stubGlobal('HTMLButtonElement', Button);
  vi.stubGlobal('document', {
    addEventListener: (_: string, listener: (event: unknown) => void) => listeners.push(listener),
    removeEventListener: () => (listeners = []),
  });
  stop = listenFor({
    open: () => open,
    element: () => undefined,
    choose: (number) => number <= 3 && did.push(`chose ${number}`) > 0,
    submit: () => did.push('submitted'),
  });
});
afterEach(() => {
  stop();
  expect(listeners).toEqual([]);
  vi.unstubAllGlobals();
});

test('digits choose and Enter does it, but where somebody writes or a button has the focus', () => {
  expect([press('2'), press('4'), press('0'), press('Enter'), press('1', new Input('radio'))]).toEqual([true, false, false, true, true]);
  expect(did).toEqual(['chose 2', 'submitted', 'chose 1']);
  for (const target of [new Input('text'), new TextArea()]) expect([press('1', target), press('Enter', target)]).toEqual([false, false]);
  expect(press('Enter', new Button())).toBe(false);
  expect(did.length).toBe(3);
});

test('a form that fades chooses nothing and does nothing', () => {
  open = false;
  expect([press('2'), press('Enter')]).toEqual([false, false]);
  expect(did).toEqual([]);
});
