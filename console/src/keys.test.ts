import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { digitsWereTaken, listen } from './keys';

class Element {
  isContentEditable = false;
  constructor(readonly tagName: string, readonly map = false) {}
  closest(): Element | null {
    return this.map ? this : null;
  }
}
class Input extends Element {
  constructor(readonly type: string) {
    super('INPUT');
  }
}

type Listener = (event: KeyboardEvent) => void;
/** Who hears a key, in the order of a browser: whoever catches it on its way down, then the document's own. */
let heard: { down: Listener[]; up: Listener[] };
let dialog: 'none' | 'open' | 'fading';
let keys: [key: string, late: boolean][];
let stop: () => void;

/** Presses a key; whether it was taken. */
function press(key: string, target: unknown = new Element('BODY')): boolean {
  let taken = false;
  const event = { key, target, preventDefault: () => (taken = true) } as unknown as KeyboardEvent;
  for (const listener of [...heard.down, ...heard.up]) listener(event);
  return taken;
}

beforeEach(() => {
  heard = { down: [], up: [] };
  dialog = 'none';
  keys = [];
  const listeners = (of: Listener[]) => ({
    addEventListener: (_: string, listener: Listener) => of.push(listener),
    removeEventListener: (_: string, listener: Listener) => of.splice(of.indexOf(listener), 1),
  });
  vi.stubGlobal('HTMLElement', Element);
  vi.stubGlobal('HTMLInputElement', Input);
  vi.stubGlobal('window', listeners(heard.down));
  vi.stubGlobal('document', {
    ...listeners(heard.up),
    querySelector: () => (dialog === 'open' ? {} : null),
  });
  // The library's dialogs are closed by Escape, and the page is drawn anew before the next listener hears of the key.
  heard.up.push((event) => {
    if (event.key === 'Escape' && dialog === 'open') dialog = 'fading';
  });
  vi.useFakeTimers();
  stop = listen((key, late) => {
    keys.push([key, late]);
    return true;
  });
});
afterEach(() => {
  stop();
  expect([heard.down.length, heard.up.length]).toEqual([0, 1]);
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

test('the Escape that closes a dialog closes nothing behind it, the next one does', () => {
  dialog = 'open';
  expect(press('Escape')).toBe(false);
  expect([dialog, keys]).toEqual(['fading', []]);
  expect(press('Escape')).toBe(true);
  expect(keys).toEqual([['Escape', false]]);
});

test('for a moment after a dialog that took digits has closed a digit is late', () => {
  press('1');
  digitsWereTaken();
  press('1');
  vi.advanceTimersByTime(1000);
  press('1');
  expect(keys).toEqual([['1', false], ['1', true], ['1', false]]);
});

test('keys act beside a checkbox, and nowhere where somebody writes', () => {
  expect(press('j', new Input('checkbox'))).toBe(true);
  expect(press(' ', new Input('checkbox'))).toBe(false);
  for (const target of [new Input('text'), new Input('radio'), new Element('TEXTAREA'), new Element('SELECT')]) {
    expect(press('j', target), target.tagName).toBe(false);
  }
  expect(press('j', new Element('BUTTON'))).toBe(true);
  expect(press('Enter', new Element('BUTTON'))).toBe(false);
  expect(press('Enter', new Element('SUMMARY'))).toBe(false);
  expect(press(' ', new Element('SUMMARY'))).toBe(false);
  expect(press('j', new Element('SUMMARY'))).toBe(true);
  expect(press('Enter', new Element('DIV'))).toBe(true);
});

test('a map that has the focus keeps the keys that zoom it, and no others', () => {
  const map = new Element('DIV', true);
  expect([press('-', map), press('=', map), press('4', map)]).toEqual([false, false, true]);
  expect(press('-')).toBe(true);
});
