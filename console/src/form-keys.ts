// The keyboard of a form in a dialog. A hand that knows the keys is faster than the focus: digits choose, and Enter does it, wherever
// nothing else is meant by them.
import { onBeforeUnmount, onMounted } from 'vue';

/** A form that takes keys. */
export interface KeyedForm {
  /** Whether its dialog is open: one that fades does nothing any more. */
  open: () => boolean;
  element: () => HTMLElement | null | undefined;
  /** Chooses by number, counted from 1; whether there is such a choice. */
  choose: (number: number) => boolean;
  submit: () => void;
}

/** Listens until what it gives back is called. */
export function listenFor(form: KeyedForm): () => void {
  const pressed = (event: KeyboardEvent): void => {
    const target = event.target;
    const writes = target instanceof HTMLTextAreaElement || (target instanceof HTMLInputElement && target.type !== 'radio');
    if (!form.open() || writes || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (event.key === 'Enter') {
      if (target instanceof Node && (form.element()?.contains(target) || target instanceof HTMLButtonElement)) return;
      event.preventDefault();
      form.submit();
    } else if (/^[1-9]$/.test(event.key) && form.choose(Number(event.key))) {
      event.preventDefault();
    }
  };
  document.addEventListener('keydown', pressed);
  return () => {
    document.removeEventListener('keydown', pressed);
  };
}

/** The same while the form is there. */
export function useFormKeys(form: KeyedForm): void {
  let stop: (() => void) | undefined;
  onMounted(() => {
    stop = listenFor(form);
  });
  onBeforeUnmount(() => stop?.());
}
