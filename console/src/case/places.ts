// What the cameras of cases are called. A case names its camera by id; its alert knows the rest. What the feed does not have is asked
// for once, in one call for many.
import { ref, watch } from 'vue';
import { client } from '../bus/transport';
import { rowById } from '../feed/feed';
import { AlertService } from '../gen/xueliang/v1/alert_pb';
import type { Case } from '../gen/xueliang/v1/case_pb';
import { session } from '../session/here';

export interface Where {
  camera: string;
  division: string;
  address: string;
}

/** Asked for at once. */
const A_CALL = 200;
/** Kept beside those of the cases at hand; beyond that the oldest go. */
const MOST = 1000;

const known = new Map<string, Where>();
const asked = new Set<string>();
/** Changes when more is known. */
const version = ref(0);

// What was told is of one session, and of its rights.
watch(session.seat, () => {
  known.clear();
  asked.clear();
  version.value += 1;
}, { flush: 'sync' });

/** Where a case is, as far as that is known by now. */
export function placeOf(one: Case): Where {
  const id = one.subject?.alertId ?? '';
  const row = rowById(id);
  if (row) return { camera: row.cameraName, division: row.divisionName, address: row.address };
  // Named so that what is shown changes when more is known.
  const place = version.value >= 0 ? known.get(id) : undefined;
  return place ?? { camera: one.subject?.cameraId ?? '', division: '', address: '' };
}

/** Asks where these cases are, those that it is not known of. */
export async function learnPlaces(cases: readonly Case[]): Promise<void> {
  const ids = cases.map((one) => one.subject?.alertId ?? '');
  const wanted = ids.filter((id) => id !== '' && !rowById(id) && !asked.has(id)).slice(0, A_CALL);
  if (wanted.length === 0) return;
  for (const id of wanted) asked.add(id);
  const seat = session.seat.value;
  try {
    const told = await client(AlertService).listAlerts({ alertIds: wanted, pageSize: A_CALL }, { timeoutMs: 10_000 });
    // An answer to somebody else.
    if (seat !== session.seat.value) return;
    for (const { alert } of told.records) {
      if (!alert?.place) continue;
      const { cameraName: camera, divisionName: division, address } = alert.place;
      known.set(alert.alertId, { camera, division, address });
    }
    const atHand = new Set(ids);
    const others = [...asked].filter((id) => !atHand.has(id));
    for (const id of others.slice(0, Math.max(0, others.length - MOST))) {
      asked.delete(id);
      known.delete(id);
    }
    version.value += 1;
  } catch {
    // The list shows ids until it is asked for again.
    if (seat === session.seat.value) for (const id of wanted) asked.delete(id);
  }
}
