// A case while a part of the page shows it: asked for now, when its alert changes, and every few seconds while somebody sees the
// page; a claim is renewed meanwhile, and given up at the end.
import { onBeforeUnmount, ref, watch } from 'vue';
import { client } from '../bus/transport';
import { serverNow } from '../feed/feed';
import { CaseService } from '../gen/xueliang/v1/case_pb';
import { useRounds } from '../rounds';
import { session } from '../session/here';
import { idleMs } from './idle';
import type { Who } from './next-step';
import { EVERY_MS, OpenCase, type Key } from './open-case';

const WITHIN = { timeoutMs: 10_000 };
/** A leafing hand is faster than this. */
const SETTLED_MS = 200;

/** The account that is signed in; empty where there is none. */
export function me(): string {
  const state = session.state.value;
  return state.type === 'in' ? state.who.name : '';
}

/** The account that is signed in, and its unit. */
export function myself(): Who {
  const state = session.state.value;
  return state.type === 'in' ? state.who : { name: '', unit: '' };
}

/** How often this page has acted on a case: what shows cases elsewhere on it asks anew. */
export const acted = ref(0);

async function counted<T>(doing: Promise<T>): Promise<T> {
  const answer = await doing;
  acted.value += 1;
  return answer;
}

export function useCase(key: Key, nudge: () => unknown): OpenCase {
  const service = client(CaseService);
  const one = new OpenCase(key, {
    get: (key) => service.getCase({ key }, WITHIN),
    claim: (key, revision) => counted(service.claimCase({ key, revision }, WITHIN)),
    act: (key, revision, action, note) => counted(service.actOnCase({ key, revision, action, note }, WITHIN)),
    me,
    now: () => serverNow.value,
  });
  idleMs();
  const again = useRounds(async () => {
    if (one.busy.value) return;
    await one.read();
    await one.renew(idleMs());
  }, () => EVERY_MS, SETTLED_MS);
  watch(nudge, () => {
    again(SETTLED_MS);
  });
  onBeforeUnmount(() => void one.leave());
  return one;
}
