// A case that is open on a page: read again and again while somebody sees it, claimed and acted on. What it is at any moment
// the service says.
import { Code, ConnectError } from '@connectrpc/connect';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { ref, shallowRef } from 'vue';
import { ms } from '../bus/row';
import { CaseAct, type Case, type CaseActionSchema, type CaseEvent, type CaseKeySchema, type GetCaseResponse } from '../gen/xueliang/v1/case_pb';
import { lastByPeople } from './event';

/** A case that somebody sees is asked for this often. */
export const EVERY_MS = 4000;
/** A claim is renewed when less than this is left of it. */
const RENEW_MS = 70_000;
/** Who has done nothing for this long is not at the desk: their claim runs out. */
export const IDLE_MS = 120_000;

export type Key = MessageInitShape<typeof CaseKeySchema>;
export type ActionInit = MessageInitShape<typeof CaseActionSchema>;

/** What came of the last act. */
export type Outcome =
  | { type: 'done'; act: CaseAct }
  /** Somebody was faster: what they did, where the history tells. */
  | { type: 'lost'; act: CaseAct; event: CaseEvent | undefined; reason: string }
  | { type: 'refused'; act: CaseAct; why: 'note' | 'right' | 'away' | 'other'; reason: string };

/** The calls that a case needs. */
export interface Calls {
  get(key: Key): Promise<GetCaseResponse>;
  claim(key: Key, revision: bigint): Promise<unknown>;
  act(key: Key, revision: bigint, action: ActionInit, note: string): Promise<unknown>;
  /** The account that calls. */
  me(): string;
  /** The service's time, milliseconds. */
  now(): number;
}

export class OpenCase {
  readonly told = shallowRef<GetCaseResponse>();
  /** Why it could not be read the last time; empty where it could. */
  readonly failure = ref('');
  /** There is none: the alert was never shown, was over before there were cases, or may not be seen. */
  readonly missing = ref(false);
  /** Its history cannot be read: there is nothing to be done with it here. */
  readonly damaged = ref(false);
  readonly outcome = shallowRef<Outcome>();
  readonly busy = ref(false);
  readonly #key: Key;
  readonly #calls: Calls;
  /** The claim that is under way, or its renewal. */
  #claiming: Promise<boolean> | undefined;
  /** The giving back of a claim that is under way. */
  #returning: Promise<void> | undefined;
  /** What is claimed is to be given back: nothing prolongs it. */
  #unwanted = false;
  /** What is under way, a claim too; it never fails. */
  #doing: Promise<unknown> = Promise.resolve();
  /** The revision that the last act led to; `undefined` until it has been read. */
  #doneAt: bigint | undefined;
  /** Nobody looks at it any more: nothing is claimed. */
  #left = false;
  /** Of several answers under way only that to the latest question counts. */
  #question = 0;

  constructor(key: Key, calls: Calls) {
    this.#key = key;
    this.#calls = calls;
  }

  /** Reads it. */
  async read(): Promise<void> {
    this.#question += 1;
    const question = this.#question;
    try {
      const answer = await this.#calls.get(this.#key);
      if (question !== this.#question) return;
      this.told.value = answer;
      this.#outdo(answer);
      this.failure.value = '';
      this.missing.value = false;
      this.damaged.value = false;
    } catch (error) {
      if (question !== this.#question) return;
      const failed = ConnectError.from(error);
      this.failure.value = failed.rawMessage;
      this.missing.value = [Code.NotFound, Code.FailedPrecondition].includes(failed.code) && this.told.value === undefined;
      this.damaged.value = failed.code === Code.DataLoss;
    }
  }

  /** Whether the caller judges it now. */
  get isMine(): boolean {
    const one = this.told.value?.case;
    return one?.claimedBy?.account === this.#calls.me() && ms(one.claimedUntilUnixUs) > this.#calls.now();
  }

  /** Takes it to judge it, after what is under way, if anything is; whether it is the caller's now. */
  claim(): Promise<boolean> {
    this.#unwanted = false;
    return this.#take(false);
  }

  /** The same on the way to something else: that it was done is told by nothing, that it was not is. */
  claimBeside(): Promise<boolean> {
    this.#unwanted = false;
    return this.#take(true);
  }

  /** Whether what was claimed on the way to something is being given back. */
  get isReturning(): boolean {
    return this.#returning !== undefined;
  }

  /**
   * Gives back what was claimed on the way to something that was not done, unless it is claimed by hand meanwhile. Nothing tells of it: it
   * ends by itself where this fails.
   */
  giveBack(): Promise<void> {
    this.#unwanted ||= this.#returning === undefined;
    this.#returning ??= this.#giveBack().finally(() => {
      this.#returning = undefined;
    });
    return this.#returning;
  }

  async #giveBack(): Promise<void> {
    await this.#claiming;
    await this.#doing;
    // Once more where somebody or the clock did something meanwhile: then the revision is another.
    for (let tries = 0; tries < 2; tries++) {
      const one = this.told.value?.case;
      if (!one || !this.isMine || !this.#unwanted || this.#left) return;
      await this.#calls.act(this.#key, one.revision, { what: { case: 'release', value: {} } }, '').catch(() => undefined);
      await this.read();
    }
  }

  /** What came of the last act has been seen. */
  forget(): void {
    this.outcome.value = undefined;
  }

  /** Does something, after the claim that is under way, if any, and not where that fails; whether it was done. */
  async act(act: CaseAct, action: ActionInit, note: string): Promise<boolean> {
    if (this.#returning) await this.#returning;
    if (this.#claiming && !(await this.#claiming)) return false;
    return this.#do(act, (revision) => this.#calls.act(this.#key, revision, action, note.trim()));
  }

  /** Makes the caller's own claim last longer, where they are at the desk and it would end soon. */
  async renew(idleMs: number): Promise<void> {
    const one = this.told.value?.case;
    if (!one || !this.isMine || idleMs >= IDLE_MS || this.busy.value || this.#unwanted || this.#left) return;
    if (ms(one.claimedUntilUnixUs) - this.#calls.now() > RENEW_MS) return;
    // What is done meanwhile waits for the revision that this makes, and is tried also where this fails.
    await this.#claim(async () => {
      await this.#calls.claim(this.#key, one.revision).catch(() => undefined);
      await this.read();
      return true;
    });
  }

  /** Gives up what is claimed, also where the claim has not landed yet: somebody else may have it at once. */
  async leave(): Promise<void> {
    this.#left = true;
    const landed = await this.#claiming;
    await this.#returning;
    await this.#doing;
    // Its own answer may have been read late or not at all.
    if (landed && !this.isMine) await this.read();
    // Once more where somebody or the clock did something meanwhile: the failure has told the present revision.
    for (let tries = 0; tries < 2 && this.isMine; tries++) {
      if (await this.act(CaseAct.RELEASE, { what: { case: 'release', value: {} } }, '')) return;
    }
  }

  #take(beside: boolean): Promise<boolean> {
    return this.#claim(async () => {
      await this.#returning;
      await this.#doing;
      return !this.#left && this.#do(CaseAct.CLAIM, (revision) => this.#calls.claim(this.#key, revision), beside);
    });
  }

  #claim(claiming: () => Promise<boolean>): Promise<boolean> {
    this.#claiming ??= claiming().finally(() => {
      this.#claiming = undefined;
    });
    return this.#claiming;
  }

  #do(act: CaseAct, what: (revision: bigint) => Promise<unknown>, beside = false): Promise<boolean> {
    const before = this.told.value?.case;
    if (this.busy.value || !before) return Promise.resolve(false);
    const doing = this.#try(act, before, what, beside);
    this.#doing = doing;
    return doing;
  }

  async #try(act: CaseAct, before: Case, what: (revision: bigint) => Promise<unknown>, beside: boolean): Promise<boolean> {
    this.busy.value = true;
    this.outcome.value = undefined;
    try {
      await what(before.revision);
      await this.read();
      if (!beside) {
        const after = this.told.value?.case?.revision;
        this.#doneAt = after === before.revision ? undefined : after;
        this.outcome.value = { type: 'done', act };
      }
      return true;
    } catch (error) {
      const failed = ConnectError.from(error);
      await this.read();
      this.outcome.value = this.#refusal(act, before.revision, failed);
      return false;
    } finally {
      this.busy.value = false;
    }
  }

  /** What was done here is told until people have done something else; a claim that is renewed is nothing else. */
  #outdo(answer: GetCaseResponse): void {
    if (this.outcome.value?.type !== 'done') return;
    const last = lastByPeople(answer.history, this.#doneAt ?? answer.case?.revision ?? 0n);
    this.#doneAt ??= answer.case?.revision;
    const renewed = last?.action?.what.case === 'claim' && last.actor?.account === this.#calls.me();
    if (last && !renewed) this.outcome.value = undefined;
  }

  #refusal(act: CaseAct, revision: bigint, failed: ConnectError): Outcome {
    const reason = failed.rawMessage;
    if (failed.code === Code.FailedPrecondition) {
      const event = lastByPeople(this.told.value?.history ?? [], revision);
      if (event && event.actor?.account !== this.#calls.me()) return { type: 'lost', act, event, reason };
      const by = this.told.value?.case?.claimedBy;
      if (by && by.account !== this.#calls.me()) return { type: 'lost', act, event: undefined, reason };
    }
    return { type: 'refused', act, why: whyOf(failed), reason };
  }
}

function whyOf(failed: ConnectError): 'note' | 'right' | 'away' | 'other' {
  if (failed.code === Code.InvalidArgument && failed.rawMessage.startsWith('note:')) return 'note';
  if (failed.code === Code.PermissionDenied) return 'right';
  return [Code.Unavailable, Code.DeadlineExceeded, Code.Unknown].includes(failed.code) ? 'away' : 'other';
}
