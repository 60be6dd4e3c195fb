// What can be done with a case from the page: its key, what has to be said with it, and the action that is asked for. Whether it
// may be done the service says with each case; its words come from there, too.
import type { MessageInitShape } from '@bufbuild/protobuf';
import { Level } from '../gen/xueliang/v1/alert_pb';
import {
  CancelReason, CaseAct, FalseAlarmReason, NotAcceptedReason, Supervision, Whistle, type CaseActionSchema,
} from '../gen/xueliang/v1/case_pb';
import { isSaid as hasWords, isTooShort } from '../said';
import { valueOf } from './enumeration';

/** What has to be said besides: a note, one of some values of an enumeration, units, another case, proofs, a day. */
export interface Ask {
  /** `needed`: always; a number: where that value is chosen; otherwise it may be given. */
  note: 'needed' | 'optional' | number;
  choice?: { enumeration: string; numbers: readonly number[] };
  units?: true;
  into?: true;
  proofs?: true;
  until?: true;
}

/** What was said. */
export interface Said {
  note: string;
  choice: number;
  unit: string;
  assisting: string[];
  into: string;
  proofs: string[];
  untilUnixUs: bigint;
}

export const NOTHING_SAID: Said = { note: '', choice: 0, unit: '', assisting: [], into: '', proofs: [], untilUnixUs: 0n };

/** A way to act. */
export interface Act {
  act: CaseAct;
  /** One key; empty: it is chosen by hand only. */
  key: string;
  tone: 'main' | 'bad' | 'plain';
  /** Seldom needed: it stands behind the others. */
  rare?: true;
  /** Without it, it is done at once. */
  ask?: Ask;
}

/** The values of an enumeration of the protocol, but for the unspecified one. */
function values(all: Record<string, string | number>): number[] {
  return Object.values(all).filter((one): one is number => typeof one === 'number' && one !== 0);
}

const reason = (enumeration: string, all: Record<string, string | number>, note: Ask['note']): Ask => ({
  note,
  choice: { enumeration, numbers: values(all) },
});

/** In the order in which they are offered. Of those that one case can have at once no two have one key. */
export const ACTS: readonly Act[] = [
  { act: CaseAct.CONFIRM, key: 'y', tone: 'main' },
  { act: CaseAct.FALSE_ALARM, key: 'f', tone: 'plain', ask: reason('FalseAlarmReason', FalseAlarmReason, FalseAlarmReason.OTHER) },
  { act: CaseAct.NOT_ACCEPT, key: 'n', tone: 'plain', ask: reason('NotAcceptedReason', NotAcceptedReason, NotAcceptedReason.OTHER) },
  { act: CaseAct.MERGE, key: 'm', tone: 'plain', ask: { note: 'optional', into: true } },
  { act: CaseAct.CLEAR, key: 'z', tone: 'plain' },
  { act: CaseAct.CLAIM, key: 'g', tone: 'plain' },
  { act: CaseAct.RELEASE, key: 'r', tone: 'plain' },
  { act: CaseAct.DISPATCH, key: 'd', tone: 'main', ask: { note: 'optional', units: true } },
  { act: CaseAct.ACCEPT, key: 'a', tone: 'main' },
  { act: CaseAct.RETURN, key: 'r', tone: 'bad', ask: { note: 'needed' } },
  { act: CaseAct.START, key: 'w', tone: 'main' },
  { act: CaseAct.FEEDBACK, key: 'b', tone: 'main', ask: { note: 'needed', proofs: true } },
  { act: CaseAct.ASK_SUSPENSION, key: 'h', tone: 'plain', ask: { note: 'needed', until: true } },
  { act: CaseAct.SUSPEND, key: 'l', tone: 'plain' },
  { act: CaseAct.RESUME, key: 'w', tone: 'main' },
  { act: CaseAct.TAKE_UP, key: 'w', tone: 'main' },
  { act: CaseAct.PASS, key: 'y', tone: 'main' },
  { act: CaseAct.REWORK, key: 'r', tone: 'bad', ask: { note: 'needed' } },
  { act: CaseAct.URGE, key: 'u', tone: 'plain', ask: { note: 'optional' } },
  {
    act: CaseAct.SUPERVISE, key: 'i', tone: 'plain',
    ask: reason('Supervision', { a: Supervision.MANUAL, b: Supervision.LEADER }, 'needed'),
  },
  { act: CaseAct.EXTEND, key: 'e', tone: 'plain', ask: { note: 'needed' } },
  { act: CaseAct.REOPEN, key: 'q', tone: 'plain', ask: { note: 'needed' } },
  { act: CaseAct.ACKNOWLEDGE, key: '', tone: 'plain', rare: true },
  { act: CaseAct.REGRADE, key: '', tone: 'plain', rare: true, ask: reason('Level', Level, 'optional') },
  { act: CaseAct.WHISTLE, key: '', tone: 'plain', rare: true, ask: reason('Whistle', Whistle, 'optional') },
  { act: CaseAct.RATE, key: '', tone: 'plain', rare: true, ask: { note: 'optional', choice: { enumeration: '', numbers: [1, 2, 3, 4, 5] } } },
  { act: CaseAct.FORCE_CLOSE, key: '', tone: 'bad', rare: true, ask: { note: 'needed' } },
  { act: CaseAct.CANCEL, key: '', tone: 'bad', rare: true, ask: reason('CancelReason', CancelReason, 'needed') },
];

/** Those of the page that the service allows, in the page's order. */
export function offered(may: readonly CaseAct[]): Act[] {
  const allowed = new Set(may);
  return ACTS.filter((one) => allowed.has(one.act));
}

/** Whether judging it is what this does: whoever begins with that has it to judge. */
export function judges(act: CaseAct): boolean {
  return [CaseAct.CONFIRM, CaseAct.FALSE_ALARM, CaseAct.NOT_ACCEPT, CaseAct.MERGE].includes(act);
}

/** Characters of a note, at most. */
const MOST = 500;

/** Whether enough was said. What was said may still be refused. */
export function isSaid(ask: Ask, said: Said): boolean {
  const needed = ask.note === 'needed' || (ask.note !== 'optional' && ask.note === said.choice);
  if (Array.from(said.note.trim()).length > MOST || isTooShort(said.note) || needed && !hasWords(said.note)) return false;
  if (ask.choice && !ask.choice.numbers.includes(said.choice)) return false;
  if (ask.units && said.unit.trim() === '') return false;
  if (ask.into && said.into === '') return false;
  if (ask.proofs && said.proofs.length === 0) return false;
  return !ask.until || said.untilUnixUs > 0n;
}

/** What the service is asked to do; claiming has a call of its own. */
export function actionOf(act: CaseAct, said: Said): MessageInitShape<typeof CaseActionSchema> {
  switch (act) {
    case CaseAct.RELEASE: return { what: { case: 'release', value: {} } };
    case CaseAct.CONFIRM: return { what: { case: 'confirm', value: {} } };
    case CaseAct.FALSE_ALARM: return { what: { case: 'falseAlarm', value: { reason: valueOf(FalseAlarmReason, said.choice) } } };
    case CaseAct.NOT_ACCEPT: return { what: { case: 'notAccept', value: { reason: valueOf(NotAcceptedReason, said.choice) } } };
    case CaseAct.MERGE: return { what: { case: 'merge', value: { intoNumber: said.into } } };
    case CaseAct.CLEAR: return { what: { case: 'clear', value: {} } };
    case CaseAct.REGRADE: return { what: { case: 'regrade', value: { level: valueOf(Level, said.choice) } } };
    case CaseAct.DISPATCH: {
      return { what: { case: 'dispatch', value: { unit: said.unit.trim(), assistingUnits: said.assisting } } };
    }
    case CaseAct.RETURN: return { what: { case: 'return', value: {} } };
    case CaseAct.ACCEPT: return { what: { case: 'accept', value: {} } };
    case CaseAct.START: return { what: { case: 'start', value: {} } };
    case CaseAct.ASK_SUSPENSION: return { what: { case: 'askSuspension', value: { targetUnixUs: said.untilUnixUs } } };
    case CaseAct.SUSPEND: return { what: { case: 'suspend', value: {} } };
    case CaseAct.RESUME: return { what: { case: 'resume', value: {} } };
    case CaseAct.FEEDBACK: return { what: { case: 'feedback', value: { proofSha256: said.proofs } } };
    case CaseAct.TAKE_UP: return { what: { case: 'takeUp', value: {} } };
    case CaseAct.PASS: return { what: { case: 'pass', value: {} } };
    case CaseAct.REWORK: return { what: { case: 'rework', value: {} } };
    case CaseAct.FORCE_CLOSE: return { what: { case: 'forceClose', value: {} } };
    case CaseAct.REOPEN: return { what: { case: 'reopen', value: {} } };
    case CaseAct.CANCEL: return { what: { case: 'cancel', value: { reason: valueOf(CancelReason, said.choice) } } };
    case CaseAct.RATE: return { what: { case: 'rate', value: { stars: said.choice } } };
    case CaseAct.URGE: return { what: { case: 'urge', value: {} } };
    case CaseAct.SUPERVISE: return { what: { case: 'supervise', value: { supervision: valueOf(Supervision, said.choice) } } };
    case CaseAct.EXTEND: return { what: { case: 'extend', value: {} } };
    case CaseAct.WHISTLE: return { what: { case: 'whistle', value: { whistle: valueOf(Whistle, said.choice) } } };
    case CaseAct.ACKNOWLEDGE: return { what: { case: 'acknowledge', value: {} } };
    default: throw new Error(`${CaseAct[act]} is not asked for by the page`);
  }
}
