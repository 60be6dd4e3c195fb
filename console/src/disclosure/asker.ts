// Who asks, of what is offered here.
import { computed } from 'vue';
import { session } from '../session/here';
import type { Asker } from './acts';

export const asker = computed<Asker>(() => {
  const state = session.state.value;
  return { name: state.type === 'in' ? state.who.name : '', may: (right) => session.may(right) };
});
