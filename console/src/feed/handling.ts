// How the cases of the alerts in view stand, for their rows: asked for again and again while somebody sees the page, of those alone.
import { shallowRef, watch, type ShallowRef } from 'vue';
import { client } from '../bus/transport';
import { acted } from '../case/use-case';
import { CaseService, type Case } from '../gen/xueliang/v1/case_pb';
import { useRounds } from '../rounds';
import { known } from './known';

const EVERY_MS = 5000;
/** However often what is in view changes, it is asked for no sooner than this after it. */
const SOON_MS = 500;
const WITHIN = { timeoutMs: 10_000 };
/** Alerts that one question may name. */
const MOST = 200;
/** What is older is no longer how a case stands. */
const OLD_MS = 20_000;

/** The cases of the alerts in view, by alert. */
export function useHandling(wanted: () => readonly string[]): ShallowRef<ReadonlyMap<string, Case>> {
  const cases = shallowRef<ReadonlyMap<string, Case>>(new Map());
  const service = client(CaseService);
  let askedMs = Date.now();
  const again = useRounds(async () => {
    const asked = wanted().slice(0, MOST);
    if (asked.length === 0) return;
    try {
      const answer = await service.listCases({ alertIds: asked, pageSize: MOST }, WITHIN);
      cases.value = known(cases.value, asked, answer.cases, wanted());
      askedMs = Date.now();
    } catch {
      // The light tells that the service is away. What is no longer known is not shown.
      if (Date.now() - askedMs > OLD_MS) cases.value = new Map();
    }
  }, () => EVERY_MS, SOON_MS);
  let soon = false;
  watch(() => wanted().join(' '), () => {
    if (soon) return;
    soon = true;
    setTimeout(() => {
      soon = false;
      again();
    }, SOON_MS);
  });
  watch(acted, () => {
    again();
  });
  return cases;
}
