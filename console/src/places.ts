// The pages that the header leads to, what each needs, and its key.
import { READS_COMPLIANCE } from './compliance/rights';
import { READS_EITHER } from './disclosure/acts';
import { suffices, type Needs, type Right } from './session/session';

export interface Place {
  /** Its name in the texts and of its route. */
  name: 'hazards' | 'ops' | 'cases' | 'cameras' | 'map' | 'history' | 'statistics' | 'register' | 'audit' | 'disclosure' | 'compliance' | 'handover' | 'silences';
  path: string;
  needs: Needs;
  key: string;
  /** Led to from elsewhere: the header has no room for what is seldom opened. */
  aside?: boolean;
}

export const PLACES: readonly Place[] = [
  { name: 'hazards', path: '/hazards', needs: 'ReadAlerts', key: '1' },
  { name: 'ops', path: '/ops', needs: 'ReadAlerts', key: '2' },
  { name: 'cases', path: '/cases', needs: 'ReadAlerts', key: '3' },
  { name: 'cameras', path: '/cameras', needs: 'ReadCameras', key: '4' },
  { name: 'map', path: '/map', needs: 'ReadCameras', key: '5' },
  { name: 'history', path: '/history', needs: 'ReadAlerts', key: '6' },
  { name: 'statistics', path: '/statistics', needs: 'ReadAlerts', key: '7' },
  { name: 'register', path: '/register', needs: 'ReadRegister', key: '8' },
  { name: 'audit', path: '/audit', needs: 'ReadAccounts', key: '9' },
  { name: 'disclosure', path: '/disclosure', needs: READS_EITHER, key: '0' },
  { name: 'compliance', path: '/compliance', needs: READS_COMPLIANCE, key: '-' },
  { name: 'handover', path: '/handover', needs: 'ReadAlerts', key: '=', aside: true },
  { name: 'silences', path: '/silences', needs: 'ReadAlerts', key: '\\', aside: true },
];

/** Where somebody is led who is where they may not be; `undefined` where nothing is for them, or what they want is. */
export function instead(needs: Needs | undefined, may: (right: Right) => boolean): Place | undefined {
  if (needs === undefined || suffices(needs, may)) return undefined;
  return PLACES.find((place) => suffices(place.needs, may));
}
