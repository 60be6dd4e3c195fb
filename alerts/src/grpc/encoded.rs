//! `AlertService` as it is served: a record that goes to many consoles is encoded once.
//!
//! Only `Subscribe` differs from the generated server, and only in who encodes: on the wire a delivery is what
//! `xueliang/v1/alert.proto` says.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::BufMut;
use prost::{
    Message as _,
    encoding::{WireType, encode_key, encode_varint, encoded_len_varint, key_len},
};
use tokio_stream::Stream;
use tonic::{
    Request, Response, Status,
    body::Body,
    codec::{BufferSettings, Codec, EncodeBuf, Encoder},
    codegen::{Body as HttpBody, BoxFuture, Service, StdError, http},
    server::{Grpc, NamedService, ServerStreamingService},
};
use tonic_prost::ProstDecoder;
use xueliang_proto::v1::{self, alert_service_server::AlertServiceServer};

use super::{AlertApi, MAX_REQUEST_BYTES, MAX_RESPONSE_BYTES};
use crate::bus::{Bus, Handed, SubscriptionStream};

const SUBSCRIBE: &str = "/xueliang.v1.AlertService/Subscribe";
/// Number of `delivery` in `SubscribeResponse`.
const DELIVERY: u32 = 2;
/// Number of `record` in `Delivery`.
const RECORD: u32 = 1;

/// Publish, subscribe, acknowledge, list, get.
#[derive(Clone)]
pub struct AlertServer {
    bus: Bus,
    rest: AlertServiceServer<AlertApi>,
}

impl AlertServer {
    pub(super) fn new(bus: Bus) -> Self {
        let rest = AlertServiceServer::new(AlertApi(bus.clone()))
            .max_decoding_message_size(MAX_REQUEST_BYTES)
            .max_encoding_message_size(MAX_RESPONSE_BYTES);
        Self { bus, rest }
    }
}

impl NamedService for AlertServer {
    const NAME: &'static str = <AlertServiceServer<AlertApi> as NamedService>::NAME;
}

impl<B> Service<http::Request<B>> for AlertServer
where
    B: HttpBody + Send + 'static,
    B::Error: Into<StdError> + Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        if request.uri().path() != SUBSCRIBE {
            return self.rest.call(request);
        }
        let method = Subscribe(self.bus.clone());
        Box::pin(async move {
            let mut grpc = Grpc::new(HandedCodec)
                .apply_max_message_size_config(Some(MAX_REQUEST_BYTES), Some(MAX_RESPONSE_BYTES));
            Ok(grpc.server_streaming(method, request).await)
        })
    }
}

struct Subscribe(Bus);

impl ServerStreamingService<v1::SubscribeRequest> for Subscribe {
    type Response = Handed;
    type ResponseStream = HandedStream;
    type Future = BoxFuture<Response<HandedStream>, Status>;

    fn call(&mut self, request: Request<v1::SubscribeRequest>) -> Self::Future {
        let api = AlertApi(self.0.clone());
        Box::pin(async move { Ok(Response::new(HandedStream(api.open(request).await?))) })
    }
}

struct HandedStream(SubscriptionStream);

impl Stream for HandedStream {
    type Item = Result<Handed, Status>;
    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_handed(cx).map(|handed| handed.map(Ok))
    }
}

struct HandedCodec;

impl Codec for HandedCodec {
    type Encode = Handed;
    type Decode = v1::SubscribeRequest;
    type Encoder = Self;
    type Decoder = ProstDecoder<v1::SubscribeRequest>;

    fn encoder(&mut self) -> Self {
        Self
    }
    fn decoder(&mut self) -> Self::Decoder {
        ProstDecoder::new(BufferSettings::default())
    }
}

impl Encoder for HandedCodec {
    type Item = Handed;
    type Error = Status;

    fn encode(&mut self, handed: Handed, into: &mut EncodeBuf<'_>) -> Result<(), Status> {
        put(handed, into);
        Ok(())
    }
}

/// Writes a `SubscribeResponse`.
fn put(handed: Handed, into: &mut impl BufMut) {
    let room = "a buffer that grows has room";
    let (row, rest) = match handed {
        Handed::Delivery { row, rest } => (row, rest),
        item @ Handed::Item(_) => return v1::SubscribeResponse::from(item).encode(into).expect(room),
    };
    let record = row.encoded();
    let record_len = record.len() as u64;
    let len = key_len(RECORD) + encoded_len_varint(record_len) + record.len() + rest.encoded_len();
    encode_key(DELIVERY, WireType::LengthDelimited, into);
    encode_varint(len as u64, into);
    encode_key(RECORD, WireType::LengthDelimited, into);
    encode_varint(record_len, into);
    into.put_slice(record);
    rest.encode(into).expect(room);
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures::StreamExt as _;

    use super::*;
    use crate::{
        bus::Subscribe,
        rights::{Principal, PrincipalKind},
        testing::{Bench, critical, major, minor},
    };

    #[tokio::test]
    async fn what_is_encoded_once_is_what_the_schema_says_and_shared_by_all() {
        let bench = Bench::new();
        bench.commit(&[critical(), major(), minor()]).await;
        let mut records: Vec<Vec<*const u8>> = Vec::new();
        for name in ["a", "b"] {
            let principal = Principal::new(name, PrincipalKind::Console);
            let start = xueliang_base::cursor::Cursor::start(bench.bus.store().epoch());
            let wanted = Subscribe { cursor: Some(start), ..Subscribe::default() };
            let mut stream = HandedStream(bench.bus.subscribe(&principal, wanted).await.unwrap());
            records.push(Vec::new());
            while records.last().unwrap().len() < 3 {
                let handed = stream.next().await.unwrap().unwrap();
                let plain = match &handed {
                    Handed::Item(item) => Handed::Item(item.clone()),
                    Handed::Delivery { row, rest } => {
                        records.last_mut().unwrap().push(row.encoded().as_ptr());
                        Handed::Delivery { row: Arc::clone(row), rest: rest.clone() }
                    }
                };
                let mut bytes = Vec::new();
                put(handed, &mut bytes);
                assert_eq!(bytes, v1::SubscribeResponse::from(plain).encode_to_vec());
            }
        }
        assert_eq!(records[0].len(), 3);
        assert_eq!(records[0], records[1]);
    }
}
