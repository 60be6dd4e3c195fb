// Who sits at this browser: one session for all its pages. What the worker holds is of that session, and goes with it.
import type { Ended, Seated, ToPage, ToWorker } from './messages';

/** What a seat needs. */
export interface Surroundings {
  /** Calls carry this token from now on. */
  carry(token: string): void;
  /** Lets go of all that was told. */
  clear(): void;
  /** Asks the service for what there is to see, until the signal says stop. */
  watch(seated: Seated, stop: AbortSignal): void;
  /** Says something to all pages. */
  say(message: ToPage): void;
  /** Wipes what the browser keeps of an account beyond its pages. */
  forget(account: string): void;
}

export class Seat {
  readonly #around: Surroundings;
  #seated: Seated | undefined;
  /** Why the last one left. */
  #ended: Ended | undefined;
  #stop = new AbortController();

  constructor(around: Surroundings) {
    this.#around = around;
  }

  /** What a page is told first. */
  get greeting(): ToPage {
    return { type: 'session', token: this.#seated?.token, ended: this.#ended };
  }

  /** A page says something. */
  heard(message: ToWorker): void {
    if (message.type === 'signed-in') this.#sit(message.seated);
    else if (message.type === 'signed-out') this.left(message.token, message.ended);
  }

  /** The session of a token is over. One that is not there any more changes nothing. */
  left(token: string, ended: Ended): void {
    if (this.#seated?.token !== token) return;
    // A session that has run out is taken up again by the same account where it was.
    if (ended === 'signed-out') this.#around.forget(this.#seated.account);
    this.#seated = undefined;
    this.#ended = ended;
    this.#rise();
    this.#around.carry('');
    this.#around.say(this.greeting);
  }

  /** The same with the same rights goes on; anything else begins anew, so that nothing is left of what was told before. */
  #sit(seated: Seated): void {
    const before = this.#seated;
    if (
      before?.token === seated.token && before.alerts === seated.alerts && before.cameras === seated.cameras &&
      before.scope === seated.scope
    ) {
      return;
    }
    this.#seated = seated;
    this.#ended = undefined;
    this.#rise();
    this.#around.carry(seated.token);
    if (before?.token !== seated.token) this.#around.say(this.greeting);
    this.#around.watch(seated, this.#stop.signal);
  }

  #rise(): void {
    this.#stop.abort();
    this.#stop = new AbortController();
    this.#around.clear();
  }
}
