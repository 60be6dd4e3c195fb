// The one way from the page to the services: gRPC-web, to where the page came from. What every call carries (who has signed
// in, say) is added here and nowhere else, for the page and for its worker alike.
import { createClient, type Client, type Interceptor, type Transport } from '@connectrpc/connect';
import { createGrpcWebTransport } from '@connectrpc/connect-web';
import type { DescService } from '@bufbuild/protobuf';

const interceptors: Interceptor[] = [];

let transport: Transport | undefined;

/** A client of one service. */
export function client<S extends DescService>(service: S): Client<S> {
  transport ??= createGrpcWebTransport({ baseUrl: self.location.origin, interceptors });
  return createClient(service, transport);
}
