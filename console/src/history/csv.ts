// What a search finds as a file for a spreadsheet: all of it up to a bound, not only what was scrolled to.
import { ms } from '../bus/row';
import { file } from '../cameras/csv';
import { keyOf } from '../case/board';
import type { Where } from '../case/places';
import type { Case } from '../gen/xueliang/v1/case_pb';
import { i18n } from '../i18n/i18n';
import { stamp } from '../times';
import { kindWord, word } from '../words';
import type { Ask, Question } from './search';

/** The service counts no further; whoever has more asks for less time. */
export const MOST_ROWS = 10_000;
/** The service gives no more at once. */
const A_PAGE = 1000;

/** Says where the alerts of cases are, by the alert's id; those that it does not know of are left out. */
export type Places = (alertIds: string[], signal: AbortSignal) => Promise<Map<string, Where>>;

/** What a file is made of. */
export interface Gathered {
  cases: Case[];
  places: Map<string, Where>;
  /** There are no more than these. */
  complete: boolean;
}

/** Asks for all that is searched for, page by page. */
export async function all(
  ask: Ask, question: Question, placesOf: Places, signal: AbortSignal, progress: (listed: number) => void,
): Promise<Gathered> {
  const cases = new Map<string, Case>();
  const places = new Map<string, Where>();
  let token = '';
  do {
    const answer = await ask(question(A_PAGE, token), signal);
    for (const one of answer.cases) cases.set(keyOf(one), one);
    const ids = answer.cases.map((one) => one.subject?.alertId ?? '').filter((id) => id !== '');
    if (ids.length > 0) for (const [id, place] of await placesOf(ids, signal)) places.set(id, place);
    token = answer.nextPageToken;
    progress(cases.size);
  } while (token !== '' && cases.size < MOST_ROWS);
  const complete = token === '' && cases.size <= MOST_ROWS;
  return { cases: [...cases.values()].slice(0, MOST_ROWS), places, complete };
}

const t = (name: string): string => i18n.global.t(`history.${name}`);
const yes = (is: boolean): string => t(is ? 'yes' : 'no');
const time = (us: bigint): string => (us > 0n ? stamp(ms(us)) : '');

/** By unit, never by account: a file says nothing of what single people did. */
const COLUMNS: readonly [name: string, of: (one: Case, place: Where) => string | number][] = [
  ['number', (one) => one.number],
  ['alert', (one) => one.subject?.alertId ?? ''],
  ['opened', (one) => time(one.openedUnixUs)],
  ['changed', (one) => time(one.changedUnixUs)],
  ['kind', (one) => kindWord(one.subject?.kind ?? 0)],
  ['levelNumber', (one) => one.level],
  ['level', (one) => word('Level', one.level)],
  ['state', (one) => word('CaseState', one.state)],
  ['camera', (_, place) => place.camera],
  ['cameraId', (one) => one.subject?.cameraId ?? ''],
  ['division', (_, place) => place.division],
  ['divisionCode', (one) => one.subject?.divisionPath.at(-1) ?? ''],
  ['address', (_, place) => place.address],
  ['unit', (one) => one.unit],
  ['assisting', (one) => one.assistingUnits.join('; ')],
  ['overdue', (one) => yes(one.overdue)],
  ['wasOverdue', (one) => yes(one.wasOverdue)],
  ['supervision', (one) => word('Supervision', one.supervision)],
  ['urged', (one) => one.urged],
  ['extensions', (one) => one.extensions],
  ['whistle', (one) => word('Whistle', one.whistle)],
  ['stars', (one) => one.stars || ''],
  ['hold', (one) => yes(one.legalHold)],
  ['mergedInto', (one) => one.mergedInto],
  ['drill', (one) => yes(one.subject?.drill ?? false)],
  ['miss', (one) => kindWordOf(one)],
  ['damaged', (one) => yes(one.damaged)],
];

function kindWordOf(one: Case): string {
  const kind = one.subject?.miss?.kind ?? 0;
  return kind === 0 ? '' : kindWord(kind);
}

/** The whole file; `names`: of divisions. Where nothing is known of a camera but its id, that stands for its name. */
export function fileOf(found: Gathered, names: ReadonlyMap<string, string>): string {
  const head = COLUMNS.map(([name]) => t(`column.${name}`));
  const line = (one: Case): (string | number)[] => {
    const code = one.subject?.divisionPath.at(-1) ?? '';
    const unnamed = { camera: one.subject?.cameraId ?? '', division: names.get(code) ?? code, address: '' };
    const place = found.places.get(one.subject?.alertId ?? '') ?? unnamed;
    return COLUMNS.map(([, of]) => of(one, place));
  };
  return file([head, ...found.cases.map(line)]);
}
