// Who is signed in, as a page knows it. The worker holds the session of the browser; what may be seen and done the service says.
import { Code, ConnectError } from '@connectrpc/connect';
import { ref, shallowRef } from 'vue';
import type { Ended, ToWorker } from '../bus/messages';
import type { GetSelfResponse, Role } from '../gen/xueliang/v1/account_pb';

/** A service that does not answer is asked again this soon. */
export const AGAIN_MS = 2000;

/** What may be done, by the words of the service. */
export type Right =
  | 'ReadAlerts' | 'ReadCameras' | 'ConnectCameras' | 'ViewRedacted' | 'ViewOriginal' | 'ReadRegister' | 'Silence'
  | 'Judge' | 'Dispatch' | 'Handle' | 'Verify' | 'Supervise' | 'Lead' | 'SetExtreme'
  | 'HoldEvidence' | 'ReadCompliance' | 'FilePoints' | 'ReadAccounts' | 'PrepareRelease' | 'ApproveRelease' | 'ExamineViewings' | 'GrantViewings'
  | 'TuneRules';

/** What something needs: a right, or any one of several. */
export type Needs = Right | readonly Right[];

/** Whether somebody with these rights has what is needed. */
export function suffices(needs: Needs, may: (right: Right) => boolean): boolean {
  return typeof needs === 'string' ? may(needs) : needs.some(may);
}

/** Who is signed in. */
export interface Who {
  name: string;
  displayName: string;
  unit: string;
  roles: Role[];
  rights: ReadonlySet<string>;
  /** Whether there is a session that can be ended. There is none where the service lets everybody in. */
  session: boolean;
  /** Whether signing in takes a code of a second factor. */
  hasTotp: boolean;
  /** Nothing else is allowed until the password was changed. */
  mustChange: boolean;
}

/** How far a page is. */
export type State =
  /** The service is being asked; why it has not answered yet. */
  | { type: 'asking'; reason: string }
  | { type: 'out'; ended: Ended | undefined }
  | { type: 'in'; who: Who };

/** What a session needs. */
export interface Surroundings {
  /** Asks the service who this is. */
  self(token: string): Promise<GetSelfResponse>;
  /** Ends the session of a token at the service. */
  signOut(token: string): Promise<unknown>;
  /** Calls of this page carry this token from now on. */
  carry(token: string): void;
  /** Says something to the worker. */
  tell(message: ToWorker): void;
  /** What a reload of this page needs; empty where there is nothing. */
  kept: { get(): string; set(token: string): void };
}

export class Session {
  readonly state = shallowRef<State>({ type: 'asking', reason: '' });
  /** Another number with another session, other rights or another part of the town: what was told before goes with it. */
  readonly seat = ref(0);
  readonly #around: Surroundings;
  #token = '';
  /** Who sits there, by all that decides what is told; empty: nobody. */
  #seated = '';
  /** Of several questions under way only the latest counts. */
  #question = 0;
  /** What this page kept of a session no longer counts. */
  #lapsed = false;
  #again: ReturnType<typeof setTimeout> | undefined;

  constructor(around: Surroundings) {
    this.#around = around;
  }

  /** Whether something may be done. */
  may(needs: Needs): boolean {
    const state = this.state.value;
    return state.type === 'in' && suffices(needs, (right) => state.who.rights.has(right));
  }

  /** The worker has said what it knows. */
  told(token: string | undefined, ended: Ended | undefined): void {
    const now = this.state.value.type;
    if (token !== undefined) {
      if (now !== 'in' || token !== this.#token) this.begin(token);
    } else if (now === 'asking' && ended === undefined) {
      // The first page of the browser, or one that was reloaded.
      this.begin(this.#around.kept.get());
    } else if (now !== 'out') {
      this.#out(ended);
    }
  }

  /** A session has begun, or may still be open. */
  begin(token: string): void {
    this.#token = token;
    this.#around.carry(token);
    void this.ask();
  }

  /** What may be done has changed, for whoever is in. */
  changed(): void {
    if (this.state.value.type !== 'out') void this.ask();
  }

  /** Asks who this is and what they may do, until the service has answered. */
  async ask(): Promise<void> {
    clearTimeout(this.#again);
    this.#question += 1;
    const question = this.#question;
    const token = this.#token;
    try {
      const answer = await this.#around.self(token);
      if (question === this.#question) this.#in(answer);
    } catch (error) {
      if (question !== this.#question) return;
      const failure = ConnectError.from(error);
      if (failure.code === Code.Unauthenticated) {
        // A token of another time: the service may let everybody in now.
        if (token !== '' && this.state.value.type === 'asking') {
          this.#lapsed = true;
          this.begin('');
        } else {
          this.refused(token);
        }
        return;
      }
      if (this.state.value.type !== 'in') this.state.value = { type: 'asking', reason: failure.rawMessage };
      this.#again = setTimeout(() => void this.ask(), AGAIN_MS);
    }
  }

  /** The service refused a call with this token: its session is over, for all pages of the browser. */
  refused(token: string): void {
    // Who is out is not put out again by what they had asked before: the reason of their end stands.
    if (token !== this.#token || (token === '' && this.state.value.type === 'out')) return;
    const ended = this.state.value.type === 'in' || this.#lapsed ? 'ended' : undefined;
    this.#lapsed = false;
    this.#around.tell({ type: 'signed-out', token, ended: 'ended' });
    this.#out(ended);
  }

  /** Ends the session: here and in the worker at once, whatever the service says. */
  async leave(): Promise<void> {
    const token = this.#token;
    this.#around.tell({ type: 'signed-out', token, ended: 'signed-out' });
    this.#out('signed-out');
    try {
      await this.#around.signOut(token);
    } catch (error) {
      if (ConnectError.from(error).code === Code.Unauthenticated) return;
      if (this.state.value.type === 'out') this.state.value = { type: 'out', ended: 'unconfirmed' };
    }
  }

  #in(answer: GetSelfResponse): void {
    const account = answer.account;
    const rights = new Set(answer.rights);
    this.#around.kept.set(this.#token);
    // First the worker: what it holds of somebody else is gone before it could be shown.
    this.#around.tell({
      type: 'signed-in',
      seated: {
        token: this.#token,
        account: answer.name,
        alerts: rights.has('ReadAlerts'),
        cameras: rights.has('ReadCameras'),
        scope: !account || account.wholeTown ? '' : account.divisions.join(' '),
      },
    });
    this.#seat(JSON.stringify([this.#token, answer.name, [...rights].sort(), account?.wholeTown, account?.divisions]));
    const who = {
      name: answer.name,
      displayName: account?.displayName ?? '',
      unit: account?.unit ?? '',
      roles: account?.roles ?? [],
      rights,
      session: answer.session !== undefined,
      hasTotp: account?.hasTotp ?? false,
      mustChange: answer.mustChangePassword,
    };
    this.state.value = { type: 'in', who };
  }

  #out(ended: Ended | undefined): void {
    clearTimeout(this.#again);
    this.#question += 1;
    this.#token = '';
    this.#around.carry('');
    this.#around.kept.set('');
    this.#seat('');
    this.state.value = { type: 'out', ended };
  }

  #seat(seated: string): void {
    if (seated === this.#seated) return;
    this.#seated = seated;
    this.seat.value += 1;
  }
}
