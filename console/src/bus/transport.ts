// The one way from the page to the services: gRPC-web, to where the page came from. What every call carries (who has signed
// in) is added here and nowhere else, for the page and for its worker alike.
import { Code, ConnectError, createClient, type Client, type Interceptor, type Transport } from '@connectrpc/connect';
import { createGrpcWebTransport } from '@connectrpc/connect-web';
import type { DescMethod, DescService } from '@bufbuild/protobuf';
import { AccountService } from '../gen/xueliang/v1/account_pb';
import { VocabularyService } from '../gen/xueliang/v1/vocabulary_pb';

/** Calls of whoever is not signed in yet. They carry no token: one that no longer counts would be refused here, too. */
const NAMELESS = new Set<DescMethod>([
  AccountService.method.setUp,
  AccountService.method.signIn,
  VocabularyService.method.getVocabulary,
]);
/** Calls whose refusal is for who calls to read: whether there is a session is what they ask, or no longer matters. */
const READ_BY_CALLER = new Set<DescMethod>([AccountService.method.getSelf, AccountService.method.signOut]);

let bearer = '';
let refused: (token: string) => void = () => undefined;

/** Which token calls carry from now on; empty: none. */
export function carry(token: string): void {
  bearer = token;
}

/** Who is told of a token that is refused, with that token: its session is over. */
export function onRefused(told: (token: string) => void): void {
  refused = told;
}

/** The header that says who calls. */
export function bearing(token: string): Record<string, string> {
  return token === '' ? {} : { authorization: `Bearer ${token}` };
}

function note(error: unknown, method: DescMethod, token: string): void {
  if (READ_BY_CALLER.has(method)) return;
  if (ConnectError.from(error).code === Code.Unauthenticated) refused(token);
}

/** A stream can be refused at its beginning and at any time later. */
async function* noted<T>(items: AsyncIterable<T>, method: DescMethod, token: string): AsyncIterable<T> {
  try {
    yield* items;
  } catch (error) {
    note(error, method, token);
    throw error;
  }
}

const signed: Interceptor = (next) => async (request) => {
  const { method } = request;
  if (NAMELESS.has(method)) return next(request);
  const token = bearer;
  if (!request.header.has('authorization')) {
    for (const [name, value] of Object.entries(bearing(token))) request.header.set(name, value);
  }
  try {
    const response = await next(request);
    return response.stream ? { ...response, message: noted(response.message, method, token) } : response;
  } catch (error) {
    note(error, method, token);
    throw error;
  }
};

const interceptors: Interceptor[] = [signed];

let transport: Transport | undefined;

/** A client of one service. */
export function client<S extends DescService>(service: S): Client<S> {
  transport ??= createGrpcWebTransport({ baseUrl: self.location.origin, interceptors });
  return createClient(service, transport);
}
