// What is drawn for cameras, groups of them, alerts and the names of divisions. Level by shape, number, word and colour.
import { Level } from '../gen/xueliang/v1/alert_pb';
import type { Row } from '../bus/messages';
import { SIGNS } from '../cameras/status';
import type { Mark } from './canvas';
import type { AlertSpot, Place, Spot } from './points';

/** An element of these classes that says this. */
export function element(classes: string, text: string): HTMLElement {
  const made = document.createElement('span');
  made.className = classes;
  made.textContent = text;
  return made;
}

/** What marks are called and what they do. */
export interface Deeds {
  camera: (id: string) => string;
  group: (count: number, troubled: number) => string;
  /** `more`: how many others are there, as it stands on the mark; empty: none. */
  alert: (row: Row, more: string) => string;
  openCamera: (id: string, place: Place) => void;
  openGroup: (key: number, place: Place) => void;
  openAlerts: (spot: AlertSpot) => void;
}

export function cameraMarks(spots: readonly Spot[], deeds: Deeds): Mark[] {
  return spots.map((spot): Mark => {
    if (spot.type === 'camera') {
      return {
        key: `camera ${spot.id}`,
        place: spot.place,
        look: spot.tone,
        make: () => element(`spot tone-${spot.tone}`, SIGNS[spot.tone]),
        label: deeds.camera(spot.id),
        above: spot.tone === 'bad' ? 200 : spot.tone === 'warn' ? 100 : 0,
        act: () => {
          deeds.openCamera(spot.id, spot.place);
        },
      };
    }
    const tone = spot.bad > 0 ? 'bad' : spot.warn > 0 ? 'warn' : 'good';
    const sign = tone === 'good' ? '' : SIGNS[tone];
    return {
      key: `group ${spot.place.join(' ')} ${spot.count}`,
      place: spot.place,
      look: `${tone} ${spot.bad} ${spot.warn}`,
      make: () => element(`spot group tone-${tone}`, `${sign}${spot.count}`),
      label: deeds.group(spot.count, spot.bad + spot.warn),
      above: 50,
      act: () => {
        deeds.openGroup(spot.key, spot.place);
      },
    };
  });
}

export function alertMarks(spots: readonly AlertSpot[], deeds: Deeds): Mark[] {
  return spots.flatMap((spot): Mark[] => {
    const [worst, ...others] = spot.rows;
    if (!worst) return [];
    const more = others.length > 0 ? `+${others.length}` : '';
    return [{
      key: `alert ${worst.id}`,
      place: spot.place,
      look: `${worst.level}${more}`,
      make: () => {
        const made = element('flag', '');
        made.append(element(`shape l${worst.level}`, String(worst.level)));
        if (more !== '') made.append(element('more', more));
        return made;
      },
      label: deeds.alert(worst, more),
      named: worst.level <= Level.LEVEL_2,
      keyboard: true,
      above: 1000 - worst.level * 100,
      act: () => {
        deeds.openAlerts(spot);
      },
    }];
  });
}

/** Names of divisions on a schematic, where nothing else says what is where. */
export function nameMarks(names: readonly { code: string; name: string; place: Place }[]): Mark[] {
  return names.map((one) => ({
    key: `name ${one.code}`, place: one.place, look: one.name, make: () => element('division-name', one.name), label: one.name, above: -1000,
  }));
}
