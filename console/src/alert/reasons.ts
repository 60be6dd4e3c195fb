// Why original footage is called up, of the register's list (调用事由): what may be picked here, and what else each needs.
import { CallReason, Purpose } from '../gen/xueliang/v1/evidence_pb';

/** In the order of their digits. Showing to somebody concerned, public release, sharing and tuning rules have ways of their own. */
export const REASONS: readonly CallReason[] = [
  CallReason.CHECK_ALERT, CallReason.HANDLE_INCIDENT, CallReason.VERIFY_HANDLING, CallReason.DIAGNOSE_DEVICE,
  CallReason.INVESTIGATE_ACCIDENT, CallReason.STATE_ORGAN, CallReason.SUPERVISION, CallReason.DRILL, CallReason.OTHER,
];

/** Characters of words. */
const WORDS = { least: 4, most: 500 };

/** Whether the reason itself says too little: words have to say the rest. */
export function needsWords(reason: CallReason): boolean {
  return reason === CallReason.STATE_ORGAN || reason === CallReason.OTHER;
}

/** Whether enough was said. It may still be refused. */
export function isEnough(reason: CallReason, words: string): boolean {
  if (!REASONS.includes(reason)) return false;
  const length = Array.from(words.trim()).length;
  return !needsWords(reason) || (length >= WORDS.least && length <= WORDS.most);
}

/** What a reason is for; `usual`: what for the account sees pictures otherwise, where the reason does not tell. */
export function purposeOf(reason: CallReason, usual: Purpose): Purpose {
  switch (reason) {
    case CallReason.CHECK_ALERT: return Purpose.JUDGE;
    case CallReason.HANDLE_INCIDENT: return Purpose.HANDLE;
    case CallReason.VERIFY_HANDLING: return Purpose.VERIFY;
    case CallReason.DIAGNOSE_DEVICE: return Purpose.DIAGNOSE;
    case CallReason.INVESTIGATE_ACCIDENT:
    case CallReason.SUPERVISION: return Purpose.SUPERVISE;
    case CallReason.STATE_ORGAN: return Purpose.LEGAL_REQUEST;
    default: return usual;
  }
}
