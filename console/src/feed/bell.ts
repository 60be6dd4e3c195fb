// Sounds by level, and notifications of the desktop. A browser is silent until somebody acts: what has not been heard by
// somebody in this shift is not claimed to sound.
import { computed, ref } from 'vue';
import type { Row } from '../bus/messages';
import { Level } from '../gen/xueliang/v1/alert_pb';
import { i18n } from '../i18n/i18n';
import { kindWord, word } from '../words';
import { bellIsOurs, tell } from './feed';
import { isCritical } from './order';

/** One tone: hertz, and from when to when in seconds. */
type Tone = [hertz: number, from: number, to: number];

/** What a level sounds like: the more severe, the higher, the faster and the longer. The general level is silent. */
const SOUNDS: Partial<Record<Level, Tone[]>> = {
  [Level.LEVEL_1]: Array.from({ length: 8 }, (_, n): Tone => [n % 2 === 0 ? 988 : 740, n * 0.16, n * 0.16 + 0.14]),
  [Level.LEVEL_2]: [[880, 0, 0.18], [880, 0.26, 0.44], [880, 0.52, 0.78]],
  [Level.LEVEL_3]: [[523, 0, 0.22]],
};

/** Levels that sound, most severe first. */
export const SOUNDING = [Level.LEVEL_1, Level.LEVEL_2, Level.LEVEL_3];

/** Sounds of one level follow one another no faster than this: a flood is one alarm, not a hundred. */
const APART_MS = 2500;

let audio: AudioContext | undefined;
const running = ref(false);
const heard = ref(false);
const notifying = ref('Notification' in window ? Notification.permission : 'denied');
const last = new Map<Level, number>();

/** `blocked` until the browser lets sounds through, `unproven` until somebody has heard one. */
export const sound = computed(() => {
  if (!running.value) return 'blocked' as const;
  return heard.value ? ('proven' as const) : ('unproven' as const);
});

/** Whether notifications of the desktop may be shown. */
export const notifications = computed(() => notifying.value);

/** Plays what a level sounds like. To be called from what somebody does, so that the browser allows it. */
export async function test(level: Level): Promise<void> {
  if (!audio) {
    audio = new AudioContext();
    audio.addEventListener('statechange', () => {
      running.value = audio?.state === 'running';
    });
  }
  await audio.resume();
  running.value = audio.state === 'running';
  play(level);
}

/** Somebody says whether a test was heard. */
export function proven(yes: boolean): void {
  heard.value = yes;
  tell({ type: 'bell', ready: yes });
}

/** Asks the browser, which asks the operator. */
export async function askToNotify(): Promise<void> {
  if ('Notification' in window) notifying.value = await Notification.requestPermission();
}

function play(level: Level): void {
  const tones = SOUNDS[level];
  if (!audio || audio.state !== 'running' || !tones) return;
  const start = audio.currentTime + 0.02;
  for (const [hertz, from, to] of tones) {
    const oscillator = audio.createOscillator();
    const gain = audio.createGain();
    oscillator.frequency.value = hertz;
    oscillator.type = 'triangle';
    // Without a ramp each tone begins and ends with a crack.
    gain.gain.setValueAtTime(0, start + from);
    gain.gain.linearRampToValueAtTime(0.5, start + from + 0.015);
    gain.gain.setValueAtTime(0.5, start + to - 0.02);
    gain.gain.linearRampToValueAtTime(0, start + to);
    oscillator.connect(gain).connect(audio.destination);
    oscillator.start(start + from);
    oscillator.stop(start + to);
  }
}

/** Rings for alerts that are new: one sound, of the most severe. */
export function ring(fresh: Row[]): void {
  if (bellIsOurs.value && heard.value) {
    const level = SOUNDING.find((one) => fresh.some((row) => row.level === one));
    const at = Date.now();
    if (level !== undefined && at - (last.get(level) ?? 0) >= APART_MS) {
      last.set(level, at);
      play(level);
    }
  }
  // One page of the browser at most; without a bell, whichever is asked by the system to show it once, by its tag.
  if (document.hidden && notifying.value === 'granted') {
    for (const row of fresh.filter(isCritical).slice(0, 3)) notify(row);
  }
}

function notify(row: Row): void {
  const drill = row.drill ? `${i18n.global.t('list.drill')} · ` : '';
  const title = `${drill}${word('Level', row.level)} · ${kindWord(row.kind)}`;
  const where = row.zone === '' ? '' : ` · ${i18n.global.t('list.zone', { zone: row.zone })}`;
  const notification = new Notification(title, { body: `${row.cameraName}${where}`, tag: row.id });
  notification.onclick = () => {
    window.focus();
    notification.close();
  };
}
