// What is offered to whom of releases and of requests of those concerned, by state, right and account. The service decides: what is
// offered here in vain it refuses, and says why.
import { EvidenceKind } from '../gen/xueliang/v1/alert_pb';
import { ReleaseState, ViewingOutcome, ViewingState, type Release, type Viewing } from '../gen/xueliang/v1/disclosure_pb';
import type { Needs, Right } from '../session/session';

/** Who may list releases. */
export const READS_RELEASES: Needs = ['PrepareRelease', 'ApproveRelease', 'ReadRegister'];
/** Who may list requests. */
export const READS_REQUESTS: Needs = ['ExamineViewings', 'GrantViewings', 'ReadRegister'];
/** Who has something to see of either. */
export const READS_EITHER: readonly Right[] = ['PrepareRelease', 'ApproveRelease', 'ExamineViewings', 'GrantViewings', 'ReadRegister'];

/** What can leave: there is no redacted form of a clip. */
export const KINDS = [EvidenceKind.STILL, EvidenceKind.PREVIEW] as const;

/** Whoever asks. */
export interface Asker {
  name: string;
  may: (right: Right) => boolean;
}

export type ReleaseAct = 'decide' | 'fetch';

/** What somebody may do with a release as it stands. */
export function releaseActs(release: Release, by: Asker): ReleaseAct[] {
  const acts: ReleaseAct[] = [];
  if (release.state === ReleaseState.PREPARED && by.may('ApproveRelease') && release.preparedBy !== by.name) acts.push('decide');
  if (release.state === ReleaseState.APPROVED && by.may('PrepareRelease')) acts.push('fetch');
  return acts;
}

/** Whether somebody could decide, had they not prepared it: it takes another account. */
export function isOwnRelease(release: Release, by: Asker): boolean {
  return release.state === ReleaseState.PREPARED && by.may('ApproveRelease') && release.preparedBy === by.name;
}

export type RequestAct = 'examine' | 'decide' | 'show' | 'close';

const { RECEIVED, EXAMINED, GRANTED, REFUSED, SHOWN } = ViewingState;

/** Whether an account has examined a request: then another one decides on it. */
export function hasExamined(viewing: Viewing, name: string): boolean {
  return viewing.steps.some((step) => step.state === EXAMINED && step.account === name);
}

/** What somebody may do with a request as it stands. */
export function requestActs(viewing: Viewing, by: Asker): RequestAct[] {
  const acts: RequestAct[] = [];
  const { state } = viewing;
  if (by.may('ExamineViewings')) {
    if (state === RECEIVED || state === EXAMINED) acts.push('examine');
    if (state === GRANTED || state === SHOWN) acts.push('show');
    if (outcomes(state).length > 0) acts.push('close');
  }
  if (by.may('GrantViewings') && state === EXAMINED && !hasExamined(viewing, by.name)) acts.push('decide');
  return acts;
}

/** How a request in this state can end. */
export function outcomes(state: ViewingState): ViewingOutcome[] {
  switch (state) {
    case RECEIVED:
    case EXAMINED: return [ViewingOutcome.WITHDRAWN];
    case GRANTED: return [ViewingOutcome.WITHDRAWN, ViewingOutcome.NOT_TAKEN_UP];
    case REFUSED: return [ViewingOutcome.REFUSED];
    case SHOWN: return [ViewingOutcome.SHOWN];
    default: return [];
  }
}

/** The longest stretch that a request may name. */
export const LONGEST_MS = 24 * 3_600_000;

/** What is wrong with the stretch of a request; `undefined`: nothing. */
export function stretchFault(fromMs: number | undefined, toMs: number | undefined, nowMs: number): 'missing' | 'order' | 'long' | 'ahead' | undefined {
  if (fromMs === undefined || toMs === undefined) return 'missing';
  if (toMs <= fromMs) return 'order';
  if (toMs - fromMs > LONGEST_MS) return 'long';
  return toMs > nowMs ? 'ahead' : undefined;
}
