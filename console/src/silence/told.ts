// What a silence holds for, in words.
import { i18n } from '../i18n/i18n';
import type { Silence } from '../gen/xueliang/v1/suppression_pb';
import { listed } from '../signs';
import { kindWord, word } from '../words';

export function kindsOf(one: Silence): string {
  return listed((one.scope?.kinds ?? []).map(kindWord)) || i18n.global.t('silence.allKinds');
}

/** Cameras by name where it is known, and divisions. */
export function placesOf(one: Silence, cameras: ReadonlyMap<string, string>, divisions: ReadonlyMap<string, string>): string {
  const { cameraIds = [], divisions: codes = [] } = one.scope ?? {};
  return listed([...cameraIds.map((id) => cameras.get(id) || id), ...codes.map((code) => divisions.get(code) ?? code)]) || i18n.global.t('silence.everywhere');
}

/** Without levels the service means 3 and 4. */
export function silencedLevels(one: Silence): readonly number[] {
  const levels = one.scope?.levels ?? [];
  return levels.length > 0 ? levels : [3, 4];
}

export function levelsOf(one: Silence): string {
  return listed(silencedLevels(one).map((level) => `${level} ${word('Level', level)}`.trim()));
}
