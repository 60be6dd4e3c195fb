import { expect, test } from 'vitest';
import { instead, PLACES } from './places';
import type { Right } from './session/session';

const may = (...rights: Right[]) => (right: Right): boolean => rights.includes(right);

test('who may not be where they are is led to what is for them, and nobody is led away from what they may see', () => {
  expect(instead('ReadAlerts', may('ReadCameras'))?.path).toBe('/cameras');
  expect(instead('ReadCameras', may('ReadAlerts'))?.path).toBe('/hazards');
  expect(instead('ReadAlerts', may('ReadAlerts'))).toBeUndefined();
  expect(instead('ReadAlerts', may('ReadRegister'))?.path).toBe('/register');
  expect(instead('ReadAlerts', may('ReadAccounts'))?.path).toBe('/audit');
  expect(instead('ReadAlerts', may('GrantViewings'))?.path, 'one of several rights is enough').toBe('/disclosure');
  expect(instead('ReadAlerts', may('ReadCompliance'))?.path).toBe('/compliance');
  expect(instead(undefined, may())).toBeUndefined();
  expect(instead('ReadAlerts', may('Silence')), 'nothing is for them').toBeUndefined();
});

test('no two places have one key', () => {
  expect(new Set(PLACES.map((place) => place.key)).size).toBe(PLACES.length);
});
