// Places of the page: a desk and the alert that is open on it, the cases and the one that is open among them, cameras, one of
// them and what it watches for, the map, all cases of any time, statistics, a wall screen, a drill, the register, the log of accounts, what leaves, what
// compliance asks for, the sheet of a shift's end, what is silenced. What each needs stands with it.
import { createRouter, createWebHistory, START_LOCATION } from 'vue-router';
import AuditPage from './pages/AuditPage.vue';
import CameraPage from './pages/CameraPage.vue';
import CamerasPage from './pages/CamerasPage.vue';
import CasesPage from './pages/CasesPage.vue';
import CompliancePage from './pages/CompliancePage.vue';
import DeskPage from './pages/DeskPage.vue';
import DisclosurePage from './pages/DisclosurePage.vue';
import DrillPage from './pages/DrillPage.vue';
import HandoverPage from './pages/HandoverPage.vue';
import HistoryPage from './pages/HistoryPage.vue';
import MapPage from './pages/MapPage.vue';
import RegisterPage from './pages/RegisterPage.vue';
import RulesPage from './pages/RulesPage.vue';
import SilencesPage from './pages/SilencesPage.vue';
import { READS_COMPLIANCE } from './compliance/rights';
import { READS_EITHER } from './disclosure/acts';
import { arrival } from './rules/here';
import type { Needs } from './session/session';

declare module 'vue-router' {
  interface RouteMeta {
    /** Who may not do this sees nothing there. */
    needs?: Needs;
    /** For a screen without controls: it stands there alone. */
    alone?: boolean;
  }
}

export const router = createRouter({
  history: createWebHistory(),
  routes: [
    { path: '/:desk(hazards|ops)/:alert?', name: 'desk', component: DeskPage, props: true, meta: { needs: 'ReadAlerts' } },
    { path: '/cases/:open?', name: 'cases', component: CasesPage, props: true, meta: { needs: 'ReadAlerts' } },
    { path: '/cameras', name: 'cameras', component: CamerasPage, meta: { needs: 'ReadCameras' } },
    { path: '/cameras/:id', name: 'camera', component: CameraPage, props: true, meta: { needs: 'ReadCameras' } },
    {
      path: '/cameras/:id/rules', name: 'rules', component: RulesPage, props: true, meta: { needs: 'TuneRules' },
      beforeEnter: (_, from) => {
        arrival.byHand = from !== START_LOCATION;
      },
    },
    { path: '/map', name: 'map', component: MapPage, meta: { needs: 'ReadCameras' } },
    { path: '/history/:open?', name: 'history', component: HistoryPage, props: true, meta: { needs: 'ReadAlerts' } },
    // Its library of charts comes when it is opened.
    { path: '/statistics', name: 'statistics', component: () => import('./pages/StatisticsPage.vue'), meta: { needs: 'ReadAlerts' } },
    { path: '/wall', name: 'wall', component: () => import('./pages/WallPage.vue'), meta: { needs: 'ReadAlerts', alone: true } },
    { path: '/drill', name: 'drill', component: DrillPage, meta: { needs: 'ReadAlerts' } },
    { path: '/register', name: 'register', component: RegisterPage, meta: { needs: 'ReadRegister' } },
    { path: '/audit', name: 'audit', component: AuditPage, meta: { needs: 'ReadAccounts' } },
    { path: '/disclosure/:part(releases|requests)?', name: 'disclosure', component: DisclosurePage, props: true, meta: { needs: READS_EITHER } },
    { path: '/compliance/:part(retention|holds|points|filings)?', name: 'compliance', component: CompliancePage, props: true, meta: { needs: READS_COMPLIANCE } },
    { path: '/handover', name: 'handover', component: HandoverPage, meta: { needs: 'ReadAlerts' } },
    { path: '/silences', name: 'silences', component: SilencesPage, meta: { needs: 'ReadAlerts' } },
    { path: '/:rest(.*)*', redirect: '/hazards' },
  ],
});
