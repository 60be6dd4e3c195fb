// What the service calls its kinds, levels and other enumerations. Asked for once; until it has answered, numbers stand there.
import { shallowRef } from 'vue';
import type { GetVocabularyResponse, KindLabel, Label, MapTiles } from './gen/xueliang/v1/vocabulary_pb';
import { VocabularyService } from './gen/xueliang/v1/vocabulary_pb';
import { client } from './bus/transport';
import { language } from './i18n/i18n';

const AGAIN_MS = 2000;

const vocabulary = shallowRef<GetVocabularyResponse>();
let kinds = new Map<number, KindLabel>();
let labels = new Map<string, Label>();

/** Asks for the words, until they are there. */
export async function learn(): Promise<void> {
  for (;;) {
    try {
      const told = await client(VocabularyService).getVocabulary({}, { timeoutMs: 5000 });
      kinds = new Map(told.kinds.map((one) => [one.kind, one]));
      labels = new Map(
        told.enumerations.flatMap((one) => one.labels.map((label) => [`${one.name} ${label.number}`, label])),
      );
      vocabulary.value = told;
      return;
    } catch {
      // The stream tells the operator that the service is away.
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
    }
  }
}

/** What the site is called; empty until it is known. */
export function site(): string {
  return vocabulary.value?.site ?? '';
}

/** In which zone people name times here. */
export function timezone(): string {
  return vocabulary.value?.timezone ?? 'Asia/Shanghai';
}

/** What a kind is called; its number for one of a later version. */
export function kindWord(kind: number): string {
  // Named so that what is shown changes when the words come or the language does.
  const known = vocabulary.value && kinds.get(kind);
  return known ? alone(known[language()]) : String(kind);
}

function label(enumeration: string, number: number): Label | undefined {
  return vocabulary.value && labels.get(`${enumeration} ${number}`);
}

/** What a value of an enumeration is called; empty for the unspecified one, its number for one of a later version. */
export function word(enumeration: string, number: number): string {
  if (number === 0) return '';
  return alone(label(enumeration, number)?.[language()] ?? String(number));
}

/** What a reason of an account of units is called; the reason itself for one of a later version. */
export function unitReason(reason: string): string {
  const known = vocabulary.value?.unitReasons.find((one) => one.reason === reason);
  return known ? alone(known[language()]) : reason;
}

/** The values of an enumeration with their words, for a choice. */
export function choices(enumeration: string): { number: number; word: string }[] {
  const known = vocabulary.value?.enumerations.find((one) => one.name === enumeration);
  return (known?.labels ?? []).map((one) => ({ number: one.number, word: alone(one[language()]) }));
}

/** All kinds with their words, by number. */
export function kindChoices(): { number: number; word: string }[] {
  return (vocabulary.value?.kinds ?? []).map((one) => ({ number: one.kind, word: alone(one[language()]) }));
}

/** The site's map; `undefined` where it has none, or it is not known yet. */
export function mapTiles(): MapTiles | undefined {
  return vocabulary.value?.map;
}

/** Whether the words have come: what the site has is known. */
export function learned(): boolean {
  return vocabulary.value !== undefined;
}

/** A word as it stands by itself; Chinese knows no capitals. */
function alone(word: string): string {
  return word.charAt(0).toUpperCase() + word.slice(1);
}

/** A measure or a bound, with its unit. */
export function quantity(enumeration: string, number: number, value: number): string {
  const unit = label(enumeration, number)?.unit ?? '';
  if (unit === 'share') return `${Math.round(value * 100)} %`;
  const rounded = Number(value.toFixed(2)).toString();
  return unit === '' ? rounded : `${rounded} ${unit}`;
}
