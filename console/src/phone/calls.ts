// The calls of a handler's link. The link's token goes with them and with nothing else: no other call takes it.
import { createClient, type Client, type Interceptor } from '@connectrpc/connect';
import { createGrpcWebTransport } from '@connectrpc/connect-web';
import { shallowRef } from 'vue';
import { HandlerService } from '../gen/xueliang/v1/handler_pb';
import type { Kind } from '../gen/xueliang/v1/alert_pb';
import { VocabularyService, type GetVocabularyResponse } from '../gen/xueliang/v1/vocabulary_pb';
import { language } from './language';

/** A client that shows a link. */
export function handler(token: string): Client<typeof HandlerService> {
  const showing: Interceptor = (next) => (request) => {
    request.header.set('authorization', `Bearer ${token}`);
    return next(request);
  };
  return createClient(HandlerService, createGrpcWebTransport({ baseUrl: location.origin, interceptors: [showing] }));
}

const AGAIN_MS = 3000;
const vocabulary = shallowRef<GetVocabularyResponse>();

/** Asks what the service calls its enumerations, until it has answered. */
export async function learn(): Promise<void> {
  const service = createClient(VocabularyService, createGrpcWebTransport({ baseUrl: location.origin }));
  for (;;) {
    try {
      vocabulary.value = await service.getVocabulary({}, { timeoutMs: 8000 });
      return;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
    }
  }
}

const alone = (word: string): string => word.charAt(0).toUpperCase() + word.slice(1);

/** What a value of an enumeration is called; empty for the unspecified one and until it is known. */
export function word(enumeration: string, number: number): string {
  const known = vocabulary.value?.enumerations.find((one) => one.name === enumeration);
  return alone(known?.labels.find((one) => one.number === number)?.[language()] ?? '');
}

/** What a kind is called. */
export function kindWord(kind: Kind): string {
  return alone(vocabulary.value?.kinds.find((one) => one.kind === kind)?.[language()] ?? '');
}
