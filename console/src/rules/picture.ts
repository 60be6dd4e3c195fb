// The picture that zones are drawn on: taken when somebody asks for it. To open it stands in the register; while it is open, a newer
// one is taken of the same opening.
import { ref, shallowRef } from 'vue';
import { PictureRefusal, type GetPictureResponse } from '../gen/xueliang/v1/evidence_pb';
import type { AskPicture, Urls } from '../alert/live';

/** A picture, and when it arrived. */
export interface Shot {
  url: string;
  arrivedMs: number;
}

const us = (time: bigint): number => Number(time) / 1000;

export class Taking {
  readonly shot = shallowRef<Shot>();
  readonly busy = ref(false);
  /** Why there is none, or no newer one; unspecified while there is. */
  readonly refusal = ref(PictureRefusal.UNSPECIFIED);
  /** What the service, or the way to it, says of that. */
  readonly said = ref('');
  #opening = '';
  #nextMs = 0;
  readonly #abort = new AbortController();

  constructor(
    private readonly ask: AskPicture,
    private readonly urls: Urls,
    private readonly reasonOf: (error: unknown) => string,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /** Takes one. */
  async take(): Promise<void> {
    if (this.busy.value) return;
    this.busy.value = true;
    try {
      // Sooner than it may be asked for it would be refused.
      const early = this.#opening === '' ? 0 : this.#nextMs - this.now();
      if (early > 0) await new Promise((resolve) => setTimeout(resolve, early));
      let answer = await this.#round();
      // Somebody has asked for it just now: what is closed is opened again.
      if (answer?.refusal === PictureRefusal.CLOSED) answer = await this.#round();
      if (answer) this.#take(answer);
    } catch (error) {
      if (!this.#isLeft()) [this.refusal.value, this.said.value] = [PictureRefusal.UNSPECIFIED, this.reasonOf(error)];
    } finally {
      this.busy.value = false;
    }
  }

  #isLeft(): boolean {
    return this.#abort.signal.aborted;
  }

  async #round(): Promise<GetPictureResponse | undefined> {
    if (this.#isLeft()) return undefined;
    const answer = await this.ask(this.#opening, this.#abort.signal);
    if (this.#isLeft()) return undefined;
    this.#opening = answer.opening;
    this.#nextMs = this.now() + us(answer.nextUs);
    return answer;
  }

  #take(answer: GetPictureResponse): void {
    [this.refusal.value, this.said.value] = [answer.refusal, answer.message];
    if (answer.jpeg.length === 0) return;
    this.#drop();
    this.shot.value = { url: this.urls.make(answer.jpeg), arrivedMs: us(answer.arrivedUnixUs) };
  }

  #drop(): void {
    if (this.shot.value) this.urls.drop(this.shot.value.url);
    this.shot.value = undefined;
  }

  /** Nobody looks any more. */
  stop(): void {
    this.#abort.abort();
    this.#drop();
  }
}
