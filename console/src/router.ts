// Places of the page: a desk, and the alert that is open on it; the cases, and the one that is open among them.
import { createRouter, createWebHistory } from 'vue-router';
import CasesPage from './pages/CasesPage.vue';
import DeskPage from './pages/DeskPage.vue';

export const router = createRouter({
  history: createWebHistory(),
  routes: [
    { path: '/:desk(hazards|ops)/:alert?', name: 'desk', component: DeskPage, props: true },
    { path: '/cases/:open?', name: 'cases', component: CasesPage, props: true },
    { path: '/:rest(.*)*', redirect: '/hazards' },
  ],
});
