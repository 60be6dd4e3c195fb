// What a camera's state comes to, without words: what a row of the list and the camera's own page show.
import type { Kind } from '../gen/xueliang/v1/alert_pb';
import { Signal, type Accounting, type CameraStatus, type Coverage, type Granted } from '../gen/xueliang/v1/camera_pb';

/** How urgent a camera's state is: told by a sign and a word, and by colour besides. */
export type Tone = 'bad' | 'warn' | 'good' | 'idle';

/** The same for everybody who does not see colours. */
export const SIGNS: Record<Tone, string> = { bad: '▲', warn: '◆', good: '●', idle: '○' };

/** A camera that lost critical coverage is worst, then one that is blind, then one of which a rule is not covered. */
export function toneOf(camera: CameraStatus): Tone {
  if (camera.criticalLost.length > 0) return 'bad';
  if (camera.blind || camera.lacksCoverage) return 'warn';
  // One of drills is no point of the town: while it does not play, nothing is wrong.
  if (camera.drill && camera.signal !== Signal.STREAMING) return 'idle';
  return camera.signal === Signal.EXPECTED_OFF || camera.signal === Signal.NOT_CONNECTED ? 'idle' : 'good';
}

/** What is granted of a kind: the least of its rules. */
export interface KindCoverage {
  kind: Kind;
  granted: Granted;
  /** Of its rules the longest interval between looks as it is now, microseconds; 0: not known. */
  intervalUs: number;
}

/** Coverage kind by kind, the least first. */
export function byKind(coverage: readonly Coverage[]): KindCoverage[] {
  const kinds = new Map<Kind, KindCoverage>();
  for (const one of coverage) {
    const known = kinds.get(one.kind);
    const intervalUs = Number(one.intervalUs);
    if (!known) kinds.set(one.kind, { kind: one.kind, granted: one.granted, intervalUs });
    else {
      if (one.granted > known.granted) known.granted = one.granted;
      known.intervalUs = Math.max(known.intervalUs, intervalUs);
    }
  }
  return [...kinds.values()].sort((a, b) => b.granted - a.granted || a.kind - b.kind);
}

/** The time from one look to the next: the shortest and the longest of the rules, microseconds; `undefined`: none is known. */
export function revisit(coverage: readonly Coverage[]): { leastUs: number; mostUs: number } | undefined {
  const all = coverage.map((one) => Number(one.intervalUs)).filter((us) => us > 0);
  return all.length === 0 ? undefined : { leastUs: Math.min(...all), mostUs: Math.max(...all) };
}

/** Where units went, in few figures. */
export interface Account {
  received: number;
  lookedAt: number;
  referenced: number;
  skipped: number;
  lost: number;
  /** Undecided: in the buffer, or with a worker. */
  open: number;
  /** In no column, or in two: a defect of the service, anything but 0. */
  missing: number;
}

export function accountOf(accounting: Accounting | undefined): Account | undefined {
  if (!accounting) return undefined;
  const sum = (counts: { units: bigint }[]): number => counts.reduce((sum, one) => sum + Number(one.units), 0);
  const received = Number(accounting.received);
  const [lookedAt, referenced] = [Number(accounting.lookedAt), Number(accounting.referenced)];
  const [skipped, lost] = [sum(accounting.skipped), sum(accounting.lost)];
  const open = Number(accounting.inRing + accounting.inFlight);
  return { received, lookedAt, referenced, skipped, lost, open, missing: received - lookedAt - referenced - skipped - lost - open };
}

/** A share in per cent that never rounds something to nothing, nor nearly all to all. */
export function percent(part: number, whole: number): string {
  if (whole <= 0 || part <= 0) return '0 %';
  const share = (part / whole) * 100;
  if (share < 0.1) return '< 0.1 %';
  if (share > 99.9 && part < whole) return '> 99.9 %';
  return `${share.toFixed(share < 10 ? 1 : 0)} %`;
}
