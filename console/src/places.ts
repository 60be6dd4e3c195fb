// The pages that the header leads to, what each needs, and its key.
import { READS_COMPLIANCE } from './compliance/rights';
import { READS_EITHER } from './disclosure/acts';
import { suffices, type Needs, type Right } from './session/session';

export interface Place {
  /** Its name in the texts and of its route. */
  name: 'hazards' | 'ops' | 'cases' | 'cameras' | 'map' | 'history' | 'statistics' | 'register' | 'audit' | 'disclosure' | 'compliance' | 'handover' | 'silences' | 'drill';
  path: string;
  needs: Needs;
  key: string;
  /** Behind "more" in the header: always, or where that is narrow. */
  aside?: 'always' | 'narrow';
}

export const PLACES: readonly Place[] = [
  { name: 'hazards', path: '/hazards', needs: 'ReadAlerts', key: '1' },
  { name: 'ops', path: '/ops', needs: 'ReadAlerts', key: '2' },
  { name: 'cases', path: '/cases', needs: 'ReadAlerts', key: '3' },
  { name: 'cameras', path: '/cameras', needs: 'ReadCameras', key: '4' },
  { name: 'map', path: '/map', needs: 'ReadCameras', key: '5' },
  { name: 'history', path: '/history', needs: 'ReadAlerts', key: '6' },
  { name: 'statistics', path: '/statistics', needs: 'ReadAlerts', key: '7' },
  { name: 'register', path: '/register', needs: 'ReadRegister', key: '8', aside: 'narrow' },
  { name: 'audit', path: '/audit', needs: 'ReadAccounts', key: '9', aside: 'narrow' },
  { name: 'disclosure', path: '/disclosure', needs: READS_EITHER, key: '0', aside: 'narrow' },
  { name: 'compliance', path: '/compliance', needs: READS_COMPLIANCE, key: '-', aside: 'narrow' },
  { name: 'handover', path: '/handover', needs: 'ReadAlerts', key: '=', aside: 'always' },
  { name: 'silences', path: '/silences', needs: 'ReadAlerts', key: '\\', aside: 'always' },
  { name: 'drill', path: '/drill', needs: 'ReadAlerts', key: ']', aside: 'always' },
];

/** Where somebody is led who is where they may not be; `undefined` where nothing is for them, or what they want is. */
export function instead(needs: Needs | undefined, may: (right: Right) => boolean): Place | undefined {
  if (needs === undefined || suffices(needs, may)) return undefined;
  return PLACES.find((place) => suffices(place.needs, may));
}
