import { create } from '@bufbuild/protobuf';
import { beforeAll, expect, test, vi } from 'vitest';
import { AlertState, Kind, Level, ListAlertsResponseSchema } from '../gen/xueliang/v1/alert_pb';
import { SummariseCamerasResponseSchema } from '../gen/xueliang/v1/camera_pb';
import { CaseSchema, CaseStage, CaseState, ListCasesResponseSchema, Supervision, type Case } from '../gen/xueliang/v1/case_pb';
import { GetCaseStatisticsResponseSchema } from '../gen/xueliang/v1/statistics_pb';
import { ListSilencesResponseSchema } from '../gen/xueliang/v1/suppression_pb';
import { gather, MOST_CASES, type Services } from './gather';
import type * as Sheet from './sheet';

// The page's language is what the browser remembers.
let sheet: typeof Sheet;
beforeAll(async () => {
  vi.stubGlobal('localStorage', { getItem: () => null });
  sheet = await import('./sheet');
});

const NOW = Date.parse('2026-11-30T08:00:00Z');
const us = (ms: number): bigint => BigInt(ms) * 1000n;
const HOUR = 3_600_000;

const one = (id: string, of: Partial<{ state: CaseState; level: Level; overdue: boolean; supervision: Supervision; dueMs: number; damaged: boolean }> = {}): Case =>
  create(CaseSchema, {
    number: `n-${id}`, subject: { alertId: id, cameraId: 'pond', kind: Kind.FIRE_FLAME }, state: of.state ?? CaseState.NEW, level: of.level ?? Level.LEVEL_3,
    overdue: of.overdue ?? false, supervision: of.supervision ?? Supervision.UNSPECIFIED, openedUnixUs: us(NOW - HOUR), damaged: of.damaged ?? false,
    timers: of.dueMs === undefined ? [] : [{ stage: CaseStage.JUDGE, dueUnixUs: us(of.dueMs), soonUnixUs: us(of.dueMs - 1000) }],
  });

/** Services that have what a test says. */
const services = (of: Partial<Services> & { all?: Case[] } = {}): Services => ({
  cases: (pageSize, token) => {
    const all = of.all ?? [];
    const from = Number(token || 0);
    const next = from + pageSize;
    return Promise.resolve(create(ListCasesResponseSchema, { cases: all.slice(from, next), nextPageToken: next < all.length ? String(next) : '' }));
  },
  statistics: (fromMs) => {
    expect(fromMs).toBe(NOW - 8 * HOUR);
    return Promise.resolve(create(GetCaseStatisticsResponseSchema, { total: { cases: 9n, confirmed: 4n, judgedFalse: 3n, unjudged: 2n, close: { cases: 1n } } }));
  },
  places: (ids) => Promise.resolve(new Map(ids.map((id) => [id, { camera: 'Pond', division: 'Hushan', address: '' }]))),
  silences: () => Promise.resolve(create(ListSilencesResponseSchema)),
  cameraNames: () => Promise.resolve(new Map()),
  cameras: () => Promise.resolve(create(SummariseCamerasResponseSchema, { reportedUnixUs: 1n })),
  alerts: () => Promise.resolve(create(ListAlertsResponseSchema)),
  ...of,
});
const made = async (of: Parameters<typeof services>[0]): Promise<Sheet.Sheet> =>
  sheet.sheetOf(await gather(services(of), NOW - 8 * HOUR, String), NOW, NOW - 8 * HOUR, new Map([['33', 'Province']]));
const part = (of: Sheet.Sheet, name: Sheet.PartName): Sheet.Told => {
  const found = of.parts.find((one) => one.name === name);
  if (!found) throw new Error(`no part ${name}`);
  return found;
};
const ids = (of: Sheet.Sheet, name: Sheet.PartName): string[] => part(of, name).lines.map((line) => line.id);

test('each open case stands once, where the next shift looks first, the most pressing first', async () => {
  const told = await made({
    all: [
      one('a', { level: Level.LEVEL_2, dueMs: NOW + HOUR }), one('b', { level: Level.LEVEL_1, dueMs: NOW + 60_000 }), one('c'),
      one('d', { state: CaseState.SUSPENDED, overdue: true }), one('e', { state: CaseState.HANDLING, overdue: true, dueMs: NOW - HOUR }),
      one('f', { state: CaseState.DISPATCHED, supervision: Supervision.AUTOMATIC }), one('g', { state: CaseState.HANDLING, level: Level.LEVEL_2 }),
      one('h', { damaged: true }),
    ],
  });
  expect(ids(told, 'unjudged')).toEqual(['n-b', 'n-a']);
  expect(ids(told, 'pressing')).toEqual(['n-h', 'n-e', 'n-f']);
  expect(ids(told, 'suspended')).toEqual(['n-d']);
  expect(ids(told, 'others')).toEqual(['n-g', 'n-c']);
  expect(told.sums.map(({ group, all, critical, overdue, supervised }) => [group, all, critical, overdue, supervised])).toEqual([
    ['judge', 4, 2, 0, 0], ['dispatch', 0, 0, 0, 0], ['accept', 1, 0, 0, 1], ['handle', 2, 1, 1, 0], ['verify', 0, 0, 0, 0], ['suspended', 1, 0, 1, 0],
  ]);
  expect(sheet.columnsOf(part(told, 'others').lines), 'nobody handles them yet').not.toContain('unit');
  const late = part(told, 'pressing').lines[1];
  expect([late?.where, late?.clock]).toEqual(['Pond · Hushan', expect.stringContaining('已超时 1 小时')]);
});

test('all silences that have not ended are listed, by what their cameras and divisions are called', async () => {
  const silence = (silenceId: bigint, endMs: number, beginMs = NOW - HOUR) => ({ silenceId, endUnixUs: us(endMs), beginUnixUs: us(beginMs), scope: { divisions: ['33'], cameraIds: ['plaza-2', 'gone'] } });
  const told = await made({
    silences: () => Promise.resolve(create(ListSilencesResponseSchema, {
      silences: [silence(1n, NOW + 7 * HOUR), silence(2n, NOW + 9 * HOUR, NOW + HOUR), silence(3n, NOW + HOUR), silence(4n, NOW - 1)],
    })),
    cameraNames: () => Promise.resolve(new Map([['plaza-2', 'Plaza 2']])),
  });
  expect(ids(told, 'silences')).toEqual(['3', '1', '2']);
  expect(part(told, 'silences').lines[0]?.where).toBe('Plaza 2；gone；Province');
  expect(part(told, 'silences').lines.map((line) => line.state)).toEqual(['', '', '将生效']);
});

test('what cannot be had is said and keeps nothing else away; what is not for whoever asks is absent', async () => {
  const told = await made({ all: [one('a')], silences: () => Promise.reject(new Error('away')), cameras: undefined });
  expect(part(told, 'silences').failure).toContain('away');
  expect(part(told, 'cameras').absent).toBe(true);
  expect(ids(told, 'others')).toEqual(['n-a']);
  expect(sheet.fileOf(told, NOW)).toContain('away');
});

test('more than a sheet holds is said, on paper and in the file', async () => {
  const many = Array.from({ length: MOST_CASES + 1 }, (_, n) => one(String(n)));
  const told = await made({ all: many });
  expect([part(told, 'others').lines.length, part(told, 'others').more]).toEqual([MOST_CASES, true]);
  const troubles = [{ cameraId: 'weir', name: 'Weir', blind: true }];
  const blind = await made({ cameras: () => Promise.resolve(create(SummariseCamerasResponseSchema, { cameras: 500, blind: 300, troubles, reportedUnixUs: 1n })) });
  expect([ids(blind, 'cameras'), part(blind, 'cameras').more]).toEqual([['weir'], true]);
});

test('the file says in each line as of when it is, and holds nothing that a spreadsheet would calculate', async () => {
  const told = await made({
    all: [one('a')],
    alerts: ({ kinds, state }) => {
      expect([kinds.includes(Kind.STORAGE_FAULT), state]).toEqual([true, AlertState.FIRING]);
      return Promise.resolve(create(ListAlertsResponseSchema, { records: [{ alert: { alertId: 'x', kind: Kind.STORAGE_FAULT, place: { cameraName: '=1+1' } } }] }));
    },
  });
  const all = sheet.fileOf(told, NOW).trimEnd().split('\r\n');
  // What came of the shift's cases, and how many are open, stand before the parts.
  const lines = [all[0] ?? '', ...all.slice(17)];
  expect(all.slice(1, 17).every((line) => line.startsWith('2026-11-30 16:00:00,'))).toBe(true);
  expect([all[1], all[4], all[11]]).toEqual([expect.stringContaining('新增：9'), expect.stringContaining('误报：3'), expect.stringContaining('件数：1')]);
  expect(lines.length).toBe(3);
  expect(lines.slice(1).every((line) => line.startsWith('2026-11-30 16:00:00,'))).toBe(true);
  expect(lines[2]).toContain("'=1+1");
});
