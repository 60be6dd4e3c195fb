// Entries of the register in words.
import { EvidenceKind } from '../gen/xueliang/v1/alert_pb';
import type { RegisterEntry } from '../gen/xueliang/v1/evidence_pb';
import { i18n } from '../i18n/i18n';
import { labelled } from '../signs';
import { stamp } from '../times';
import { word } from '../words';
import { queryOf, type Choice } from './query';

/** What was asked for; of a clip, which stretch. */
export function piece(entry: RegisterEntry): string {
  const kind = word('EvidenceKind', entry.kind);
  return entry.kind === EvidenceKind.CLIP ? `${kind} · ${i18n.global.t('register.stretch', { n: entry.stretch + 1 })}` : kind;
}

/** What was chosen, for somebody to read before it is taken out. */
export function conditions(choice: Choice): string[] {
  const t = i18n.global.t;
  const values: Record<string, string> = {
    ...queryOf(choice),
    ...(choice.fromMs === undefined ? {} : { from: stamp(choice.fromMs) }),
    ...(choice.toMs === undefined ? {} : { to: stamp(choice.toMs) }),
    ...(choice.reason === undefined ? {} : { reason: word('CallReason', choice.reason) }),
    ...(choice.kind === undefined ? {} : { kind: word('EvidenceKind', choice.kind) }),
  };
  return Object.entries(values).map(([name, value]) => (name === 'refused' ? t('register.refused') : labelled(t(`register.${name}`), value)));
}
