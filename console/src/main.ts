// The operators' page.
import { createApp } from 'vue';
import 'element-plus/theme-chalk/base.css';
import 'element-plus/theme-chalk/el-button.css';
import 'element-plus/theme-chalk/el-checkbox.css';
import 'element-plus/theme-chalk/el-dialog.css';
import 'element-plus/theme-chalk/el-overlay.css';
import 'element-plus/theme-chalk/el-input.css';
import 'element-plus/theme-chalk/el-radio.css';
import 'element-plus/theme-chalk/el-radio-group.css';
import 'element-plus/theme-chalk/el-radio-button.css';
import 'element-plus/theme-chalk/dark/css-vars.css';
import './style.css';
import './element.css';
import App from './App.vue';
import { connect, onFresh, unattended } from './feed/feed';
import { ring } from './feed/bell';
import { fresh } from './feed/popups';
import { i18n, markDocument } from './i18n/i18n';
import { router } from './router';
import { follow } from './session/here';
import { restoreTheme } from './theme';
import { learn } from './words';

markDocument();
restoreTheme();
onFresh((rows) => {
  ring(rows);
  fresh(rows);
});
follow();
// A wall screen acknowledges nothing, not even while it loads. Whoever is led from there to another place does.
unattended(router.resolve(location.pathname).name === 'wall');
router.afterEach((to, _, failure) => {
  if (!failure) unattended(to.name === 'wall');
});
connect();
void learn();
createApp(App).use(i18n).use(router).mount('#app');
