// What an entry of a case's history says besides its name, in words.
import { CaseState, type CaseAction, type CaseEvent } from '../gen/xueliang/v1/case_pb';
import { ms } from '../bus/row';
import { i18n } from '../i18n/i18n';
import { kindWord, word } from '../words';
import { moment } from '../times';

/** Ends of a case that take a reason, and the action that gives it. */
const REASONED: Partial<Record<CaseState, CaseAction['what']['case']>> = {
  [CaseState.FALSE_ALARM]: 'falseAlarm', [CaseState.NOT_ACCEPTED]: 'notAccept', [CaseState.CANCELLED]: 'cancel',
};

/** Why a case that stands so is over; empty where that takes no reason. */
export function whyOver(state: CaseState, history: readonly CaseEvent[]): string {
  const wanted = REASONED[state];
  return wanted ? detailsOf(history.filter((one) => one.action?.what.case === wanted).at(-1)?.action) : '';
}

/** What is to be said of an action besides its name. */
export function detailsOf(action: CaseAction | undefined): string {
  const what = action?.what;
  switch (what?.case) {
    case 'opened': return [what.value.number, kindWord(what.value.subject?.kind ?? 0)].filter((one) => one !== '').join(' · ');
    case 'claim': return moment(ms(what.value.untilUnixUs));
    case 'falseAlarm': return word('FalseAlarmReason', what.value.reason);
    case 'notAccept': return word('NotAcceptedReason', what.value.reason);
    case 'merge': return what.value.intoNumber;
    case 'absorb': return what.value.fromNumber;
    case 'conditionEnded': return moment(ms(what.value.endedUnixUs));
    case 'regrade': return word('Level', what.value.level);
    case 'dispatch': return [what.value.unit, ...what.value.assistingUnits].join(' + ');
    case 'askSuspension': return moment(ms(what.value.targetUnixUs));
    case 'feedback': return what.value.proofSha256.map((sum) => sum.slice(0, 12)).join(' ');
    case 'cancel': return word('CancelReason', what.value.reason);
    case 'rate': return '★'.repeat(what.value.stars);
    case 'supervise': return word('Supervision', what.value.supervision);
    case 'whistle': return word('Whistle', what.value.whistle);
    case 'dueSoon':
    case 'overdue': return word('CaseStage', what.value.stage);
    case 'escalate': {
      const { stage, cause, desk } = what.value;
      return `${word('CaseStage', stage)} · ${word('EscalationCause', cause)} → ${desk}`;
    }
    case 'giveLink': return `${i18n.global.t('links.of', { id: String(what.value.linkId) })} · ${moment(ms(what.value.untilUnixUs))}`;
    case 'heard': return `${what.value.system} ${what.value.caseId} · ${word('ExternalStage', what.value.stage)}`;
    default: return '';
  }
}
