// One form, one attempt at a time; what came of the last one, and when it may be tried again.
import { computed, onBeforeUnmount, ref, shallowRef, type ComputedRef, type Ref } from 'vue';
import { failureOf, type Failure } from './failure';

/** What a form shows. */
export interface Attempt {
  busy: Ref<boolean>;
  failure: Ref<Failure | undefined>;
  /** Seconds until it may be tried again; 0: at any time. */
  wait: ComputedRef<number>;
  /** Tries; whether it worked. */
  run: (what: () => Promise<unknown>) => Promise<boolean>;
}

export function useAttempt(): Attempt {
  const busy = ref(false);
  const failure = shallowRef<Failure>();
  const until = ref(0);
  const now = ref(Date.now());
  const timer = setInterval(() => {
    now.value = Date.now();
  }, 1000);
  onBeforeUnmount(() => {
    clearInterval(timer);
  });
  const wait = computed(() => Math.max(0, Math.ceil((until.value - now.value) / 1000)));
  const run = async (what: () => Promise<unknown>): Promise<boolean> => {
    if (busy.value || wait.value > 0) return false;
    busy.value = true;
    failure.value = undefined;
    try {
      await what();
      return true;
    } catch (error) {
      failure.value = failureOf(error);
      now.value = Date.now();
      until.value = now.value + failure.value.waitMs;
      return false;
    } finally {
      busy.value = false;
    }
  };
  return { busy, failure, wait, run };
}
