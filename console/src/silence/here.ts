// The silences of this page: of one session, asked for by rounds and after one was made or ended here.
import { create } from '@bufbuild/protobuf';
import { ref, shallowRef, watch } from 'vue';
import { reasonOf } from '../reason';
import { client } from '../bus/transport';
import { ask } from '../cameras/here';
import { serverNow } from '../feed/feed';
import { ListCamerasRequestSchema } from '../gen/xueliang/v1/camera_pb';
import { SuppressionService, type Silence } from '../gen/xueliang/v1/suppression_pb';
import { session } from '../session/here';
import { isInForce } from './silences';

/** What others made or ended is seen within that time. */
export const EVERY_MS = 30_000;
const WITHIN_MS = 10_000;
/** The service holds fewer that have not ended. */
const MOST = 1000;
/** So many ids may be asked for at once. */
const MOST_CAMERAS = 1000;

const service = client(SuppressionService);

/** Those that have not ended, as the service told them last. */
export const silences = shallowRef<Silence[]>([]);
/** When that was, by the service's clock; 0: never. */
export const toldMs = ref(0);
/** Why the last answer did not come; empty: it came. */
export const failure = ref('');

/** Of several questions under way only the latest counts. */
let question = 0;

/** Asks for them; whether an answer came. */
export async function learnSilences(): Promise<boolean> {
  const mine = ++question;
  try {
    const told = await service.listSilences({ pageSize: MOST }, { timeoutMs: WITHIN_MS });
    if (mine !== question) return true;
    silences.value = told.silences;
    toldMs.value = serverNow.value;
    failure.value = '';
    return true;
  } catch (error) {
    if (mine === question) failure.value = reasonOf(error);
    return false;
  }
}

/** Ends one. The list has it as it is then. */
export async function endSilence(silenceId: bigint): Promise<void> {
  await service.expireSilence({ silenceId }, { timeoutMs: WITHIN_MS });
  silences.value = silences.value.filter((one) => one.silenceId !== silenceId);
  await learnSilences();
}

/** How many hold now. */
export function countInForce(): number {
  return silences.value.filter((one) => isInForce(one, serverNow.value)).length;
}

/** What cameras are called; without the right to see cameras, and for those that are no more, nothing. */
export async function cameraNames(ids: readonly string[]): Promise<Map<string, string>> {
  const cameraIds = [...new Set(ids)].slice(0, MOST_CAMERAS);
  if (cameraIds.length === 0 || !session.may('ReadCameras')) return new Map();
  try {
    const told = await ask(create(ListCamerasRequestSchema, { cameraIds, brief: true, pageSize: MOST_CAMERAS }), AbortSignal.timeout(WITHIN_MS));
    return new Map(told.cameras.map((one) => [one.cameraId, one.name]));
  } catch {
    return new Map();
  }
}

// What was told is of one session, and of its rights.
watch(session.seat, () => {
  question += 1;
  silences.value = [];
  toldMs.value = 0;
  failure.value = '';
}, { flush: 'sync' });
