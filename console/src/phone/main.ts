// What a handler's link opens, on a telephone: one case, and nothing else of the page. It is a page of its own, so that a telephone
// loads little.
import { createApp } from 'vue';
import '../style.css';
import PhonePage from './PhonePage.vue';
import { i18n, markDocument } from './language';

markDocument();
document.documentElement.classList.toggle('dark', matchMedia('(prefers-color-scheme: dark)').matches);
createApp(PhonePage).use(i18n).mount('#app');
