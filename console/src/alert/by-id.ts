// An alert by its id, as somebody writes it: which one that is, so that nobody acts on the wrong one.
import { computed, type ComputedRef, type Ref } from 'vue';
import { client } from '../bus/transport';
import { AlertService, type Alert } from '../gen/xueliang/v1/alert_pb';
import { session } from '../session/here';
import { load } from './load';

const AN_ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
/** Whoever writes is not interrupted by each letter. */
const SETTLED_MS = 300;

export function isAlertId(text: string): boolean {
  return AN_ID.test(text.trim());
}

/** The alert of an id that is being written; `undefined` until it is known, or where alerts may not be read. */
export function useAlert(id: () => string): { found: ComputedRef<Alert | undefined>; failure: Ref<string> } {
  const { value, failure } = load(
    async (signal) => {
      const alertId = id().trim();
      if (!isAlertId(alertId) || !session.may('ReadAlerts')) return undefined;
      return (await client(AlertService).getAlert({ alertId }, { signal, timeoutMs: 10_000 })).record?.alert;
    },
    id,
    SETTLED_MS,
  );
  const found = computed(() => (value.value?.alertId === id().trim().toLowerCase() ? value.value : undefined));
  return { found, failure };
}
