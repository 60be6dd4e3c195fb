// A case while a part of the page shows it: asked for now, when its alert changes, and every few seconds while somebody sees the
// page; a claim is renewed meanwhile, and given up at the end.
import { onBeforeUnmount, watch } from 'vue';
import { client } from '../bus/transport';
import { serverNow } from '../feed/feed';
import { CaseService } from '../gen/xueliang/v1/case_pb';
import { session } from '../session/here';
import { idleMs } from './idle';
import { EVERY_MS, OpenCase, type Key } from './open-case';

const WITHIN = { timeoutMs: 10_000 };
/** A leafing hand is faster than this. */
const SETTLED_MS = 200;

/** The account that is signed in; empty where there is none. */
export function me(): string {
  const state = session.state.value;
  return state.type === 'in' ? state.who.name : '';
}

export function useCase(key: Key, nudge: () => unknown): OpenCase {
  const service = client(CaseService);
  const one = new OpenCase(key, {
    get: (key) => service.getCase({ key }, WITHIN),
    claim: (key, revision) => service.claimCase({ key, revision }, WITHIN),
    act: (key, revision, action, note) => service.actOnCase({ key, revision, action, note }, WITHIN),
    me,
    now: () => serverNow.value,
  });
  idleMs();
  let timer: ReturnType<typeof setTimeout> | undefined;
  let gone = false;
  const again = (afterMs: number): void => {
    clearTimeout(timer);
    timer = setTimeout(() => void round(), afterMs);
  };
  const round = async (): Promise<void> => {
    if (!document.hidden && !one.busy.value) {
      await one.read();
      await one.renew(idleMs());
    }
    if (!gone) again(EVERY_MS);
  };
  const shown = (): void => {
    if (!document.hidden) again(0);
  };
  watch(nudge, () => {
    again(SETTLED_MS);
  }, { immediate: true });
  document.addEventListener('visibilitychange', shown);
  onBeforeUnmount(() => {
    gone = true;
    clearTimeout(timer);
    document.removeEventListener('visibilitychange', shown);
    void one.leave();
  });
  return one;
}
