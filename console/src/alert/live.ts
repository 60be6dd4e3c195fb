// A picture of the moment, asked for again and again while somebody looks: what was opened is gone on with, and nothing is opened
// anew by itself, since each opening stands in the register.
import { PictureRefusal, type GetPictureResponse } from '../gen/xueliang/v1/evidence_pb';

/** What is asked: with an opening to go on with, or without one to open it. */
export type AskPicture = (opening: string, signal: AbortSignal) => Promise<GetPictureResponse>;

/** A picture, and how old it was when it came. */
export interface Picture {
  url: string;
  arrivedMs: number;
  ageMs: number;
  cameMs: number;
}

/** What is to be seen. */
export interface View {
  picture: Picture | undefined;
  /** Why there is no newer one; unspecified while there is. */
  refusal: PictureRefusal;
  /** What the service, or the way to it, says of that. */
  said: string;
  /** Nothing more is asked for. */
  ended: boolean;
  /** When the opening is over. */
  untilMs: number;
}

/** How a picture is shown, and its file let go. */
export interface Urls {
  make: (jpeg: Uint8Array) => string;
  drop: (url: string) => void;
}

/** After a failure on the way it is tried again so much later. */
const AGAIN_MS = 2000;
/** Without an answer for so long the opening is closed. */
const LOST_MS = 15_000;

const us = (time: bigint): number => Number(time) / 1000;

/** Looks until it is stopped, or until there is nothing more to look at. */
export class Looking {
  private opening = '';
  private timer: ReturnType<typeof setTimeout> | undefined;
  private abort = new AbortController();
  private answeredMs: number;
  private view: View = { picture: undefined, refusal: PictureRefusal.UNSPECIFIED, said: '', ended: false, untilMs: 0 };

  constructor(
    private readonly ask: AskPicture,
    private readonly urls: Urls,
    private readonly reasonOf: (error: unknown) => string,
    private readonly tell: (view: View) => void,
    private readonly now: () => number = () => performance.now(),
  ) {
    this.answeredMs = now();
    void this.round();
  }

  /** Nobody looks any more. */
  stop(): void {
    this.abort.abort();
    clearTimeout(this.timer);
    if (this.view.picture) this.urls.drop(this.view.picture.url);
  }

  private change(view: Partial<View>): void {
    this.view = { ...this.view, ...view };
    this.tell(this.view);
  }

  private later(ms: number): void {
    this.timer = setTimeout(() => void this.round(), ms);
  }

  private async round(): Promise<void> {
    const { signal } = this.abort;
    let answer: GetPictureResponse;
    try {
      answer = await this.ask(this.opening, signal);
    } catch (error) {
      if (signal.aborted) return;
      // What is not open yet is not opened again by itself; what is open may be gone on with.
      const ended = this.opening === '' || this.now() - this.answeredMs > LOST_MS;
      this.change({ said: this.reasonOf(error), ended });
      if (!ended) this.later(AGAIN_MS);
      return;
    }
    if (signal.aborted) return;
    this.take(answer);
  }

  private take(answer: GetPictureResponse): void {
    const cameMs = this.now();
    this.answeredMs = cameMs;
    this.opening = answer.opening;
    const ended = answer.opening === '';
    const untilMs = cameMs + us(answer.leftUs);
    if (answer.jpeg.length > 0) {
      if (this.view.picture) this.urls.drop(this.view.picture.url);
      const picture: Picture = {
        url: this.urls.make(answer.jpeg), arrivedMs: us(answer.arrivedUnixUs), ageMs: us(answer.ageUs), cameMs,
      };
      this.change({ picture, refusal: PictureRefusal.UNSPECIFIED, said: '', ended, untilMs });
    } else {
      this.change({ refusal: answer.refusal, said: answer.message, ended, untilMs });
    }
    if (!ended) this.later(us(answer.nextUs));
  }
}
