// How many open cases are over a limit, wherever on the page somebody is: asked for every few seconds while they see it.
import { shallowRef, watch, type ShallowRef } from 'vue';
import { client } from '../bus/transport';
import { CaseFlag, CaseService } from '../gen/xueliang/v1/case_pb';
import { useRounds } from '../rounds';
import { OPEN_STATES } from './timers';
import { acted } from './use-case';

const EVERY_MS = 10_000;
const WITHIN = { timeoutMs: 10_000 };
/** What is older is no longer how many there are. */
const OLD_MS = 40_000;

/** The number as it is shown: empty where there is none, or it is not known. */
export function useOverdue(wanted: () => boolean): ShallowRef<string> {
  const service = client(CaseService);
  const shown = shallowRef('');
  let askedMs = Date.now();
  const again = useRounds(async () => {
    if (!wanted()) {
      shown.value = '';
      return;
    }
    try {
      const { total, totalIsMore } = await service.listCases({ states: [...OPEN_STATES], flags: [CaseFlag.OVERDUE], pageSize: 1, withTotal: true }, WITHIN);
      shown.value = total === 0 ? '' : `${total}${totalIsMore ? '+' : ''}`;
      askedMs = Date.now();
    } catch {
      // The light tells that the service is away.
      if (Date.now() - askedMs > OLD_MS) shown.value = '';
    }
  }, () => EVERY_MS);
  watch([acted, wanted], () => {
    again();
  });
  return shown;
}
