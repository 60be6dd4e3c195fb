import { expect, test } from 'vitest';
import { completions, unitsOf, written } from './units';

test('units that duty rules name are offered, each once', () => {
  const rules = [
    { leadUnit: '消防大队', assistUnits: ['网格站', '水务站'] },
    { leadUnit: '网格站', assistUnits: [] },
    { leadUnit: '', assistUnits: ['消防大队'] },
  ];
  expect(unitsOf(rules)).toEqual(['水务站', '网格站', '消防大队']);
});

test('what helps is completed by one that is not yet named', () => {
  const units = ['水务站', '网格站', '消防大队'];
  expect(completions('', units)).toEqual(units);
  expect(completions('网', units)).toEqual(units);
  expect(completions('网格站 ', units)).toEqual(['网格站 水务站', '网格站 消防大队']);
  expect(completions('网格站、水', units)).toEqual(['网格站、水务站', '网格站、消防大队']);
  expect(written(' 网格站、 水务站，')).toEqual(['网格站', '水务站']);
});
