// All cameras, in brief, for the map: asked for page by page, and anew every while.
import { create } from '@bufbuild/protobuf';
import { ref, shallowRef } from 'vue';
import { ListCamerasRequestSchema, type CameraStatus } from '../gen/xueliang/v1/camera_pb';
import { MOST, type Ask } from '../cameras/listing';

/** More than a service watches; of more the first are shown, and that is said. */
export const MOST_ON_MAP = 50_000;

export class Town {
  readonly cameras = shallowRef<CameraStatus[]>([]);
  readonly names = shallowRef<ReadonlyMap<string, string>>(new Map());
  readonly failure = ref('');
  readonly loaded = ref(false);
  /** Whether there are more than are shown. */
  readonly cut = ref(false);
  readonly #ask: Ask;
  readonly #words: (error: unknown) => string;
  #abort: AbortController | undefined;

  constructor(ask: Ask, words: (error: unknown) => string) {
    this.#ask = ask;
    this.#words = words;
  }

  /** Asks for all. What was there stays until all have come. */
  async refresh(): Promise<void> {
    if (this.#abort) return;
    const abort = new AbortController();
    this.#abort = abort;
    try {
      const cameras = new Map<string, CameraStatus>();
      const names = new Map<string, string>();
      let pageToken = '';
      do {
        const request = create(ListCamerasRequestSchema, { brief: true, pageSize: MOST, pageToken });
        const answer = await this.#ask(request, abort.signal);
        for (const one of answer.cameras) cameras.set(one.cameraId, one);
        for (const one of answer.divisions) names.set(one.code, one.name);
        pageToken = answer.nextPageToken;
      } while (pageToken !== '' && cameras.size < MOST_ON_MAP);
      if (abort.signal.aborted) return;
      this.cameras.value = [...cameras.values()];
      this.names.value = names;
      this.cut.value = pageToken !== '';
      this.loaded.value = true;
      this.failure.value = '';
    } catch (error) {
      if (!abort.signal.aborted) this.failure.value = this.#words(error);
    } finally {
      if (this.#abort === abort) this.#abort = undefined;
    }
  }

  stop(): void {
    this.#abort?.abort();
    this.#abort = undefined;
  }
}
