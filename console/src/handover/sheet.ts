// A shift's sheet (交接班清单) line by line, in the language of the page: the same lines are printed and stand in the file. By place,
// number and unit, and by nobody's name.
import { ms } from '../bus/row';
import { file } from '../cameras/csv';
import { wrong } from '../cameras/told';
import { groupOf, GROUPS, keyOf, type Group } from '../case/board';
import type { Where } from '../case/places';
import { timersAt, urgency } from '../case/timers';
import { AlertState, Level, type Record as AlertRecord } from '../gen/xueliang/v1/alert_pb';
import type { CameraTrouble } from '../gen/xueliang/v1/camera_pb';
import { CaseState, Supervision, type Case } from '../gen/xueliang/v1/case_pb';
import type { CaseStatistics } from '../gen/xueliang/v1/statistics_pb';
import type { Silence } from '../gen/xueliang/v1/suppression_pb';
import { i18n } from '../i18n/i18n';
import { labelled, listed } from '../signs';
import { inOrder, isInForce } from '../silence/silences';
import { kindsOf, placesOf, silencedLevels } from '../silence/told';
import { lineOf, OUTCOMES } from '../statistics/figures';
import { lasting, stamp } from '../times';
import { kindWord, word } from '../words';
import type { Gathered, Part } from './gather';

/** Lines that one part prints; the file has all. */
export const MOST_PRINTED = 200;

export const PARTS = ['unjudged', 'pressing', 'suspended', 'others', 'silences', 'cameras', 'faults'] as const;
export type PartName = (typeof PARTS)[number];

/** The columns of every part. */
export const COLUMNS = ['level', 'what', 'where', 'state', 'clock', 'unit', 'since', 'id'] as const;
export type Line = Record<(typeof COLUMNS)[number], string>;

/** Those of a part that say something: paper is narrow. */
export function columnsOf(lines: readonly Line[]): (typeof COLUMNS)[number][] {
  return COLUMNS.filter((column) => lines.some((line) => line[column] !== ''));
}

/** One part of the sheet. */
export interface Told {
  name: PartName;
  lines: Line[];
  /** There are more than these. */
  more: boolean;
  /** Why it is not there; empty where it is. */
  failure: string;
  /** Whoever asked may not see it. */
  absent: boolean;
  /** What else is to be known of it; empty: nothing. */
  note: string;
}

const SUMS = ['all', 'critical', 'overdue', 'supervised'] as const;

/** How many cases wait for what. */
export interface Sum {
  group: Group;
  all: number;
  critical: number;
  overdue: number;
  supervised: number;
}

/** What came of the cases of a shift, one after the other. */
export interface Figure {
  word: string;
  count: number;
}

export interface Sheet {
  /** When the shift began, milliseconds. */
  fromMs: number;
  shift: Part<Figure[]>;
  sums: Sum[];
  parts: Told[];
}

const t = (name: string, named: Record<string, unknown> = {}): string => i18n.global.t(`handover.${name}`, named);
const time = (us: bigint): string => (us > 0n ? stamp(ms(us)).slice(0, 16) : '');
const critical = (level: Level): boolean => level === Level.LEVEL_1 || level === Level.LEVEL_2;
const levelOf = (level: Level): string => `${level} ${word('Level', level)}`.trim();

/** To which part a case belongs: each stands once. */
export function partOf(one: Case): PartName {
  if (one.state === CaseState.NEW && critical(one.level)) return 'unjudged';
  if (one.state === CaseState.SUSPENDED) return 'suspended';
  return one.damaged || one.overdue || one.supervision !== Supervision.UNSPECIFIED ? 'pressing' : 'others';
}

/** All clocks of a case as they stand, the most pressing first. */
function clocks(one: Case, nowMs: number): string {
  if (one.damaged) return i18n.global.t('case.damaged');
  const all = timersAt(one, nowMs).map((timer) => `${word('CaseStage', timer.stage)} ${i18n.global.t(`case.timer.${timer.standing}`, { time: lasting(timer.lengthMs) })}`);
  if (one.state === CaseState.SUSPENDED && one.suspendUntilUnixUs > 0n) all.unshift(t('until', { time: time(one.suspendUntilUnixUs) }));
  return listed(all) || i18n.global.t('case.timer.none');
}

function caseLine(one: Case, places: ReadonlyMap<string, Where>, nowMs: number): Line {
  const place = places.get(one.subject?.alertId ?? '') ?? { camera: one.subject?.cameraId ?? '', division: '', address: '' };
  const marks = [
    word('CaseState', one.state),
    one.supervision === Supervision.UNSPECIFIED ? '' : word('Supervision', one.supervision),
    one.urged > 0 ? i18n.global.t('case.urged', { n: one.urged }) : '',
    one.subject?.drill === true ? i18n.global.t('case.page.drill') : '',
  ];
  return {
    level: levelOf(one.level),
    what: kindWord(one.subject?.kind ?? 0),
    where: [place.camera, place.division, place.address].filter((part) => part !== '').join(' · '),
    state: marks.filter((mark) => mark !== '').join(' · '),
    clock: clocks(one, nowMs),
    unit: listed([one.unit, ...one.assistingUnits].filter((unit) => unit !== '')),
    since: time(one.openedUnixUs),
    id: one.number || keyOf(one),
  };
}

function silenceLine(one: Silence, nowMs: number, cameras: ReadonlyMap<string, string>, divisions: ReadonlyMap<string, string>): Line {
  const marks = [isInForce(one, nowMs) ? '' : i18n.global.t('silence.toCome'), word('SilencePurpose', one.purpose), one.reason];
  return {
    level: listed(silencedLevels(one)),
    what: kindsOf(one),
    where: placesOf(one, cameras, divisions),
    state: marks.filter((mark) => mark !== '').join(' · '),
    clock: t('ends', { time: time(one.endUnixUs), left: lasting(ms(one.endUnixUs) - nowMs) }),
    unit: '',
    since: time(one.beginUnixUs),
    id: String(one.silenceId),
  };
}

function cameraLine(one: CameraTrouble): Line {
  return {
    level: '',
    what: one.blind ? t('blind') : t('lost'),
    where: one.name || one.cameraId,
    state: one.criticalLost.length > 0 ? t('lostFor', { kinds: listed(one.criticalLost.map(kindWord)) }) : wrong(one),
    clock: '',
    unit: '',
    since: time(one.sinceUnixUs),
    id: one.cameraId,
  };
}

function faultLine({ alert }: AlertRecord): Line {
  return {
    level: alert ? levelOf(alert.level) : '',
    what: kindWord(alert?.kind ?? 0),
    where: [alert?.place?.cameraName || alert?.place?.cameraId, alert?.place?.divisionName].filter((part) => part).join(' · '),
    state: word('AlertState', AlertState.FIRING),
    clock: '',
    unit: '',
    since: time(alert?.startedUnixUs ?? 0n),
    id: alert?.alertId ?? '',
  };
}

function figuresOf(one: CaseStatistics): Figure[] {
  const { cases, outcomes } = lineOf(one);
  const named = (name: string): string => i18n.global.t(`statistics.${name}`);
  return [
    { word: t('opened'), count: cases },
    ...OUTCOMES.map((name) => ({ word: named(`outcome.${name}`), count: outcomes[name] })),
    { word: named('time.close'), count: Number(one.close?.cases ?? 0n) },
    { word: named('overdue'), count: Number(one.overdue) },
  ];
}

function told<T>(name: PartName, part: Part<T> | undefined, lines: (of: T) => { lines: Line[]; more: boolean; note?: string }): Told {
  const nothing = { name, lines: [], more: false, failure: '', absent: false, note: '' };
  if (part === undefined) return { ...nothing, absent: true };
  return 'failure' in part ? { ...nothing, failure: part.failure } : { ...nothing, note: '', ...lines(part.told) };
}

/** The sheet of what was gathered. `atMs`: as of when; `fromMs`: when the shift began; `divisions`: names by code. */
export function sheetOf(of: Gathered, atMs: number, fromMs: number, divisions: ReadonlyMap<string, string>): Sheet {
  const cases = 'told' in of.cases ? of.cases.told.cases : [];
  const sums = GROUPS.filter((group) => group !== 'over').map((group) => {
    const some = cases.filter((one) => groupOf(one.state) === group);
    const count = (is: (one: Case) => boolean): number => some.filter(is).length;
    return {
      group, all: some.length, critical: count((one) => critical(one.level)), overdue: count((one) => one.overdue),
      supervised: count((one) => one.supervision !== Supervision.UNSPECIFIED),
    };
  });
  const ofCases = (name: PartName): Told => told(name, of.cases, ({ cases, places, more }) => {
    const some = cases.filter((one) => partOf(one) === name);
    some.sort((a, b) => Number(b.damaged) - Number(a.damaged) || urgency(a, atMs) - urgency(b, atMs) || a.level - b.level || Number(a.openedUnixUs - b.openedUnixUs));
    return { lines: some.map((one) => caseLine(one, places, atMs)), more };
  });
  return {
    fromMs,
    shift: 'told' in of.shift ? { told: figuresOf(of.shift.told) } : of.shift,
    sums,
    parts: [
      ofCases('unjudged'), ofCases('pressing'), ofCases('suspended'), ofCases('others'),
      told('silences', of.silences, ({ silences, cameras, more }) => ({
        lines: inOrder(silences, atMs).map((one) => silenceLine(one, atMs, cameras, divisions)), more,
      })),
      told('cameras', of.cameras, (sight) => ({
        lines: sight.troubles.map(cameraLine),
        more: sight.troubles.length < Math.max(sight.blind, sight.criticalLost),
        note: sight.reportedUnixUs > 0n
          ? t('sight', { cameras: sight.cameras, blind: sight.blind, lost: sight.criticalLost })
          : i18n.global.t('sight.none'),
      })),
      told('faults', of.faults, ({ records, more }) => ({ lines: records.map(faultLine), more })),
    ],
  };
}

/** The whole sheet as a file; the moment it is of stands in each line, since a spreadsheet is sorted and cut. */
export function fileOf(sheet: Sheet, atMs: number): string {
  const head = [t('column.asOf'), t('column.part'), ...COLUMNS.map((one) => t(`column.${one}`))];
  const asOf = stamp(atMs);
  const shift = t('shift', { from: time(BigInt(sheet.fromMs) * 1000n) });
  const figures = 'told' in sheet.shift ? sheet.shift.told.map(({ word, count }) => [asOf, shift, '', labelled(word, count)]) : [[asOf, shift, '', t('failed', { reason: sheet.shift.failure })]];
  const sums = sheet.sums.map((one) => [asOf, t('sums'), '', i18n.global.t(`case.page.groups.${one.group}`), '', listed(SUMS.map((name) => labelled(t(name), one[name])))]);
  const lines = sheet.parts.flatMap((part) => {
    const name = t(`part.${part.name}`);
    const said = part.failure === '' ? [] : [[asOf, name, '', t('failed', { reason: part.failure })]];
    const cut = part.more ? [[asOf, name, '', t('more')]] : [];
    return [...said, ...part.lines.map((line) => [asOf, name, ...COLUMNS.map((one) => line[one])]), ...cut];
  });
  return file([head, ...figures, ...sums, ...lines]);
}
