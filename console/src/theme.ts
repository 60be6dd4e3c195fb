// Dark for a control room, light for a bright office; what was chosen in this browser stays.
import { ref } from 'vue';

const STORED = 'xueliang.theme';

export const dark = ref(true);

function show(): void {
  document.documentElement.classList.toggle('dark', dark.value);
}

export function restoreTheme(): void {
  dark.value = localStorage.getItem(STORED) !== 'light';
  show();
}

export function switchTheme(): void {
  dark.value = !dark.value;
  localStorage.setItem(STORED, dark.value ? 'dark' : 'light');
  show();
}
