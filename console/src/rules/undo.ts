// What was, so that it can be again.
import { computed, shallowRef, type ComputedRef, type ShallowRef } from 'vue';

/** More steps back nobody goes. */
const MOST = 200;

export class Undo<T> {
  readonly now: ShallowRef<T>;
  readonly canUndo: ComputedRef<boolean>;
  readonly canRedo: ComputedRef<boolean>;
  readonly #past = shallowRef<readonly T[]>([]);
  readonly #future = shallowRef<readonly T[]>([]);
  #tag = '';

  constructor(first: T) {
    this.now = shallowRef(first);
    this.canUndo = computed(() => this.#past.value.length > 0);
    this.canRedo = computed(() => this.#future.value.length > 0);
  }

  /** Another one. What is done under one tag in a row, such as a corner that is dragged, is one step. */
  put(next: T, tag = ''): void {
    if (next === this.now.value) return;
    if (tag === '' || tag !== this.#tag) this.#past.value = [...this.#past.value, this.now.value].slice(-MOST);
    this.#tag = tag;
    this.#future.value = [];
    this.now.value = next;
  }

  /** One step back. */
  undo(): void {
    const last = this.#past.value.at(-1);
    if (last === undefined) return;
    this.#past.value = this.#past.value.slice(0, -1);
    this.#future.value = [this.now.value, ...this.#future.value];
    this.now.value = last;
    this.#tag = '';
  }

  /** One step forward again. */
  redo(): void {
    const next = this.#future.value[0];
    if (next === undefined) return;
    this.#future.value = this.#future.value.slice(1);
    this.#past.value = [...this.#past.value, this.now.value];
    this.now.value = next;
    this.#tag = '';
  }

  /** Begins anew: nothing was before. */
  begin(first: T): void {
    this.#past.value = [];
    this.#future.value = [];
    this.#tag = '';
    this.now.value = first;
  }
}
