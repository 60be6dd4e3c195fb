// The figures of a page: asked for one key after the other, so that counting takes one thread of the service and no more.
import { onBeforeUnmount, ref, shallowReactive, shallowRef, watch, type Ref, type ShallowRef } from 'vue';
import { reasonOf } from '../reason';
import { ms } from '../bus/row';
import { client } from '../bus/transport';
import { CameraService, type SummariseCamerasResponse } from '../gen/xueliang/v1/camera_pb';
import { StatisticsKey, StatisticsService, type CaseStatistics } from '../gen/xueliang/v1/statistics_pb';
import { session } from '../session/here';
import { lineOf, type Line } from './figures';
import { requestOf, type Choice } from './query';

/** Two million cases take some seconds to count. */
const WITHIN_MS = 60_000;
/** The largest groups; the page says when there are more. */
export const MOST_LINES = 200;
/** A page's worth of days or kinds is told whole. */
const WHOLE = 1000;

const KEYS = ['kind', 'division', 'hour', 'day', 'camera', 'rule', 'model'] as const;
export type By = (typeof KEYS)[number];
const NUMBERS: Record<By, StatisticsKey> = {
  kind: StatisticsKey.KIND, division: StatisticsKey.DIVISION, hour: StatisticsKey.HOUR, day: StatisticsKey.DAY,
  camera: StatisticsKey.CAMERA, rule: StatisticsKey.RULE, model: StatisticsKey.MODEL,
};
const OF_MANY: readonly By[] = ['camera', 'rule', 'model'];

/** Groups by one key. */
export interface Told {
  lines: Line[];
  /** There are more groups than these. */
  cut: boolean;
}

export interface Statistics {
  total: ShallowRef<CaseStatistics | undefined>;
  by: Partial<Record<By, Told>>;
  /** When the total was counted, milliseconds. */
  countedMs: Ref<number>;
  loading: Ref<boolean>;
  failure: Ref<string>;
  /** What cameras are called, as far as that is known. */
  cameraNames: ShallowRef<Map<string, string>>;
  /** How cameras are now; unset where that may not be seen. */
  cameras: ShallowRef<SummariseCamerasResponse | undefined>;
  camerasFailure: Ref<string>;
  again: () => void;
}

/** `wanted`: what is to be counted, in which zone and how deep divisions are told apart; `undefined`: nothing yet. */
export function useStatistics(wanted: () => { choice: Choice; zone: string; depth: number } | undefined): Statistics {
  const total = shallowRef<CaseStatistics>();
  const by = shallowReactive<Statistics['by']>({});
  const countedMs = ref(0);
  const loading = ref(false);
  const [failure, camerasFailure] = [ref(''), ref('')];
  const cameraNames = shallowRef(new Map<string, string>());
  const cameras = shallowRef<SummariseCamerasResponse>();
  let abort = new AbortController();

  async function count(signal: AbortSignal): Promise<void> {
    const asked = wanted();
    if (!asked) return;
    for (const key of KEYS) {
      const many = OF_MANY.includes(key);
      const request = requestOf(asked.choice, asked.zone, NUMBERS[key], asked.depth, many ? MOST_LINES : WHOLE);
      const told = await client(StatisticsService).getCaseStatistics(request, { signal, timeoutMs: WITHIN_MS });
      if (signal.aborted) return;
      if (key === 'kind') {
        total.value = told.total;
        countedMs.value = ms(told.countedUnixUs);
      }
      by[key] = { lines: told.groups.map(lineOf), cut: told.nextPageToken !== '' };
      if (key === 'camera') void nameCameras(told.groups.map((group) => group.of[0]?.text ?? ''), signal);
    }
  }

  async function nameCameras(ids: string[], signal: AbortSignal): Promise<void> {
    const cameraIds = ids.filter((id) => id !== '');
    if (cameraIds.length === 0 || !session.may('ReadCameras')) return;
    try {
      const told = await client(CameraService).listCameras({ cameraIds, pageSize: MOST_LINES }, { signal, timeoutMs: WITHIN_MS });
      cameraNames.value = new Map(told.cameras.map((one) => [one.cameraId, one.name]));
    } catch {
      // The table shows their ids.
    }
  }

  async function see(signal: AbortSignal): Promise<void> {
    const division = wanted()?.choice.division ?? '';
    try {
      const told = await client(CameraService).summariseCameras({ divisions: division ? [division] : [] }, { signal, timeoutMs: WITHIN_MS });
      if (signal.aborted) return;
      cameras.value = told;
      camerasFailure.value = '';
    } catch (error) {
      if (!signal.aborted) camerasFailure.value = reasonOf(error);
    }
  }

  function again(): void {
    abort.abort();
    const mine = new AbortController();
    abort = mine;
    failure.value = '';
    loading.value = wanted() !== undefined;
    if (!loading.value) return;
    if (session.may('ReadCameras')) void see(mine.signal);
    count(mine.signal).catch((error: unknown) => {
      if (!mine.signal.aborted) failure.value = reasonOf(error);
    }).finally(() => {
      if (mine === abort) loading.value = false;
    });
  }

  watch(() => JSON.stringify(wanted() ?? ''), () => {
    // Figures of something else say nothing about this.
    total.value = undefined;
    cameras.value = undefined;
    for (const key of KEYS) Reflect.deleteProperty(by, key);
    again();
  }, { immediate: true });
  onBeforeUnmount(() => {
    abort.abort();
  });
  return { total, by, countedMs, loading, failure, cameraNames, cameras, camerasFailure, again };
}
