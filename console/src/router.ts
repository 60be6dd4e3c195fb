// Places of the page: a desk, and the alert that is open on it.
import { createRouter, createWebHistory } from 'vue-router';
import DeskPage from './pages/DeskPage.vue';

export const router = createRouter({
  history: createWebHistory(),
  routes: [
    { path: '/:desk(hazards|ops)/:alert?', name: 'desk', component: DeskPage, props: true },
    { path: '/:rest(.*)*', redirect: '/hazards' },
  ],
});
