import { expect, test } from 'vitest';
import { filled } from './draft';
import { KINDS, rules } from './sample';
import { View } from './view';

const [water] = filled(rules(), KINDS).rules;

test('a rule is open with its zone, and stays so while a corner of that is taken', () => {
  const view = new View();
  view.chooseRule(water);
  expect([view.rule.value, view.zone.value, view.isOpen('bank')]).toEqual(['water', 'bank', false]);
  view.chooseZone('bank', 2);
  expect([view.rule.value, view.corner.value]).toEqual(['water', 2]);
  view.chooseZone('pier');
  expect([view.rule.value, view.zone.value, view.isOpen('pier')]).toEqual(['', 'pier', true]);
});

test('a zone that is opened in its list is in the place of the rule', () => {
  const view = new View();
  view.chooseRule(water);
  view.openZone('bank');
  expect([view.rule.value, view.isOpen('bank')]).toEqual(['', true]);
});

test('Escape leaves one thing after the other', () => {
  const view = new View();
  view.chooseRule(water);
  view.chooseZone('bank', 1);
  view.drawn({ corners: [], at: { x: 0, y: 0 } });
  const steps = [];
  for (let n = 0; n < 4; n++) steps.push([view.back(), view.drawing.value !== undefined, view.corner.value, view.zone.value]);
  expect(steps).toEqual([[true, false, 1, 'bank'], [true, false, -1, 'bank'], [true, false, -1, ''], [false, false, -1, '']]);
});
