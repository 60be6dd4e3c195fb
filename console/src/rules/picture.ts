// The picture that zones are drawn on: taken when somebody asks for it. Each stands in the register.
import { ref, shallowRef } from 'vue';
import { PictureRefusal, type GetPictureResponse } from '../gen/xueliang/v1/evidence_pb';
import type { Urls } from '../alert/live';

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
  readonly #abort = new AbortController();

  constructor(
    private readonly ask: (signal: AbortSignal) => Promise<GetPictureResponse>,
    private readonly urls: Urls,
    private readonly reasonOf: (error: unknown) => string,
  ) {}

  /** Takes one. */
  async take(): Promise<void> {
    if (this.busy.value || this.#isLeft()) return;
    this.busy.value = true;
    try {
      const answer = await this.ask(this.#abort.signal);
      if (!this.#isLeft()) this.#take(answer);
    } catch (error) {
      if (!this.#isLeft()) [this.refusal.value, this.said.value] = [PictureRefusal.UNSPECIFIED, this.reasonOf(error)];
    } finally {
      this.busy.value = false;
    }
  }

  #isLeft(): boolean {
    return this.#abort.signal.aborted;
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
