// What a camera did as lanes over one axis of time: pure, from the service's answer. Each part has its word from the service.
import { Said, Vigil, type ExplainedCamera, type ExplainedRule, type ExplainedStretch } from '../gen/xueliang/v1/explain_pb';
import { NotLooked, Signal } from '../gen/xueliang/v1/camera_pb';

/** How a part is drawn: by pattern as well as by colour. */
export type Look = 'seen' | 'quiet' | 'rest' | 'gap' | 'blind' | 'good' | 'unknown';

export interface Part {
  fromMs: number;
  toMs: number;
  look: Look;
  word: string;
  /** Looks in it; 0 where that says nothing. */
  looks: number;
  seen: number;
}

/** Words of the service, and two of the page for what no value stands for. */
export interface Words {
  word: (enumeration: string, number: number) => string;
  unknown: string;
  good: string;
  /** Pictures were looked at. */
  looked: string;
}

const ms = (us: bigint): number => Number(us) / 1000;

const SAID: Partial<Record<Said, Look>> = {
  [Said.UNSPECIFIED]: 'unknown',
  [Said.SEEN]: 'seen',
  [Said.NOT_SEEN]: 'quiet',
  [Said.NOT_LOOKED]: 'blind',
  [Said.UNWATCHED]: 'gap',
  [Said.RESTED]: 'rest',
};

function said(one: ExplainedStretch, words: Words, seen: string): Part {
  const base = one.said === Said.SEEN ? seen : words.word('Said', one.said);
  const reason = one.said === Said.NOT_LOOKED && one.reason !== NotLooked.UNSPECIFIED ? words.word('NotLooked', one.reason) : '';
  return {
    fromMs: ms(one.fromUnixUs),
    toMs: ms(one.toUnixUs),
    look: SAID[one.said] ?? 'unknown',
    word: one.said === Said.UNSPECIFIED ? words.unknown : [base, reason].filter((part) => part !== '').join(': '),
    looks: Number(one.looks),
    seen: Number(one.seen),
  };
}

/** What a rule said when. */
export function ruleLane(rule: ExplainedRule, words: Words): Part[] {
  return rule.said.map((one) => said(one, words, words.word('Said', Said.SEEN)));
}

/** Whether pictures were looked at: there a look that gave a picture is all that is said. */
export function watchLane(camera: ExplainedCamera, words: Words): Part[] {
  return camera.watch.map((one) => {
    const part = said(one, words, words.looked);
    return part.look === 'seen' ? { ...part, look: 'good' as const, seen: 0 } : part;
  });
}

export function signalLane(camera: ExplainedCamera, words: Words): Part[] {
  return camera.signal.map((one) => ({
    fromMs: ms(one.fromUnixUs),
    toMs: ms(one.toUnixUs),
    look: one.signal === Signal.UNSPECIFIED ? 'unknown' : one.signal === Signal.STREAMING ? 'good' : one.signal >= Signal.EXPECTED_OFF ? 'rest' : 'blind',
    word: one.signal === Signal.UNSPECIFIED ? words.unknown : words.word('Signal', one.signal),
    looks: 0,
    seen: 0,
  }));
}

export function pictureLane(camera: ExplainedCamera, words: Words): Part[] {
  return camera.picture.map((one) => ({
    fromMs: ms(one.fromUnixUs),
    toMs: ms(one.toUnixUs),
    look: !one.known ? 'unknown' : one.troubles.length > 0 ? 'blind' : 'good',
    word: !one.known ? words.unknown : one.troubles.map((trouble) => words.word('PictureTrouble', trouble)).join(' · ') || words.good,
    looks: 0,
    seen: 0,
  }));
}

export function vigilLane(camera: ExplainedCamera, words: Words): Part[] {
  return camera.vigil.map((one) => ({
    fromMs: ms(one.fromUnixUs),
    toMs: ms(one.toUnixUs),
    look: one.vigil === Vigil.UNSPECIFIED ? 'unknown' : one.vigil === Vigil.RESTING ? 'rest' : one.vigil === Vigil.CONFIRMING ? 'seen' : 'good',
    word: one.vigil === Vigil.UNSPECIFIED ? words.unknown : words.word('Vigil', one.vigil),
    looks: 0,
    seen: 0,
  }));
}

/** Where a part stands on the axis, per cent. */
export function placed(part: Part, fromMs: number, toMs: number): { left: number; width: number } {
  const length = Math.max(1, toMs - fromMs);
  const left = Math.min(100, Math.max(0, ((part.fromMs - fromMs) / length) * 100));
  const right = Math.min(100, Math.max(0, ((part.toMs - fromMs) / length) * 100));
  return { left, width: Math.max(0, right - left) };
}

const STEPS_MS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600].map((seconds) => seconds * 1000);

/** Moments to write on an axis: round ones, at most so many. */
export function ticks(fromMs: number, toMs: number, most: number): number[] {
  const step = STEPS_MS.find((step) => (toMs - fromMs) / step <= most) ?? 7_200_000;
  const found: number[] = [];
  for (let at = Math.ceil(fromMs / step) * step; at <= toMs; at += step) found.push(at);
  return found;
}
