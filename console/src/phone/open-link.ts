// A link that is open on a telephone: asked for again and again, and acted by. What it is at any moment the service says.
import { Code, ConnectError } from '@connectrpc/connect';
import { ref, shallowRef } from 'vue';
import { HandlerAct, LinkState, type CaseProof, type HandledCase, type OpenLinkResponse } from '../gen/xueliang/v1/handler_pb';

/** Somebody who looks is told of what others do this soon. */
export const EVERY_MS = 5000;

/** The token of a link by what follows the address's hash; empty where there is none. */
export function tokenOf(hash: string): string {
  return /^#(xlh_[\w-]+)$/.exec(hash)?.[1] ?? '';
}

/** What is to be seen. */
export type Seen =
  | { type: 'asking' }
  /** It is no link: cut short, or never given. */
  | { type: 'unknown' }
  | { type: 'ended'; state: LinkState }
  | { type: 'case'; state: LinkState; case: HandledCase };

/** What came of the last act. */
export type Outcome =
  | { type: 'done'; act: HandlerAct }
  /** The case is not what was seen: somebody else was faster. */
  | { type: 'changed' }
  /** Nobody answered: it may have been done. */
  | { type: 'away' }
  /** Its words were not taken. */
  | { type: 'note' }
  | { type: 'refused'; reason: string };

/** The calls that a link has. */
export interface Calls {
  open(): Promise<OpenLinkResponse>;
  prove(jpeg: Uint8Array): Promise<CaseProof | undefined>;
  act(revision: bigint, act: HandlerAct, note: string, proofs: string[]): Promise<OpenLinkResponse | undefined>;
}

const AWAY = [Code.Unavailable, Code.DeadlineExceeded, Code.Unknown, Code.Internal, Code.Canceled];

export class OpenLink {
  readonly seen = shallowRef<Seen>({ type: 'asking' });
  readonly outcome = shallowRef<Outcome>();
  readonly busy = ref(false);
  /** Since when nobody answers, milliseconds; 0: somebody does. */
  readonly awaySince = ref(0);
  /** When the service last answered. */
  readonly toldAt = ref(0);
  /** How far the service's clock is ahead of this one. */
  readonly aheadMs = ref(0);
  readonly timezone = ref('Asia/Shanghai');
  /** How often something was done: what was asked before tells how it was then. */
  #acts = 0;
  readonly #calls: Calls;
  readonly #now: () => number;

  constructor(calls: Calls, now: () => number = Date.now) {
    this.#calls = calls;
    this.#now = now;
  }

  /** What came of the last act was told elsewhere. */
  forget(): void {
    this.outcome.value = undefined;
  }

  /** Looks how it stands. */
  async read(): Promise<void> {
    try {
      const before = this.#acts;
      const told = await this.#calls.open();
      if (before === this.#acts) this.#take(told);
    } catch (error) {
      this.#failed(ConnectError.from(error));
    }
  }

  /** Sends a photo; its sum, or nothing where it was not taken. */
  async prove(jpeg: Uint8Array): Promise<CaseProof | undefined> {
    this.outcome.value = undefined;
    try {
      const proof = await this.#calls.prove(jpeg);
      // Those that came are told by the service, also after a reload.
      await this.read();
      return proof;
    } catch (error) {
      this.outcome.value = this.#refusal(ConnectError.from(error));
      await this.read();
      return undefined;
    }
  }

  /** Does something; whether it was done. */
  async act(act: HandlerAct, note = '', proofs: string[] = []): Promise<boolean> {
    const seen = this.seen.value;
    if (seen.type !== 'case' || this.busy.value) return false;
    this.busy.value = true;
    this.#acts += 1;
    this.outcome.value = undefined;
    try {
      const told = await this.#calls.act(seen.case.revision, act, note.trim(), proofs);
      if (told) this.#take(told);
      this.outcome.value = { type: 'done', act };
      return true;
    } catch (error) {
      const failed = ConnectError.from(error);
      await this.read();
      this.outcome.value = this.#refusal(failed);
      return false;
    } finally {
      this.busy.value = false;
    }
  }

  #take(told: OpenLinkResponse): void {
    const now = this.#now();
    this.awaySince.value = 0;
    this.toldAt.value = now;
    this.aheadMs.value = Number(told.nowUnixUs / 1000n) - now;
    if (told.timezone !== '') this.timezone.value = told.timezone;
    this.seen.value = told.case ? { type: 'case', state: told.state, case: told.case } : { type: 'ended', state: told.state };
  }

  #failed(failed: ConnectError): void {
    if (failed.code === Code.Unauthenticated) {
      this.seen.value = { type: 'unknown' };
      return;
    }
    if (this.awaySince.value === 0) this.awaySince.value = this.#now();
  }

  #refusal(failed: ConnectError): Outcome {
    if (failed.code === Code.InvalidArgument && failed.rawMessage.startsWith('note:')) return { type: 'note' };
    if (failed.code === Code.FailedPrecondition) return { type: 'changed' };
    if (AWAY.includes(failed.code)) return { type: 'away' };
    return { type: 'refused', reason: failed.rawMessage };
  }
}
