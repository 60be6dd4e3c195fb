//! A network that falls silent: both ends keep their connection, and nothing comes any more.

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, tcp},
};
use tokio_stream::wrappers::TcpListenerStream;

use tokio::sync::watch;
use tonic::Request;
use xueliang_alerts::{
    bus::{Bus, BusOptions},
    rights::{Principal, PrincipalKind},
};
use xueliang_base::time::SystemClock;

use super::*;

/// Forwards until it is told to be silent, and then keeps the connection and swallows all.
async fn forward(mut from: tcp::OwnedReadHalf, mut to: tcp::OwnedWriteHalf, silent: watch::Receiver<bool>) {
    let mut bytes = vec![0; 16 << 10];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        if !*silent.borrow() && to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
    // The other side does not learn that this one is gone.
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn a_connection_that_falls_silent_is_found_at_both_ends_within_10_s() {
    let folder = tempfile::tempdir().unwrap();
    let options = BusOptions { bookmark_every: Duration::from_millis(50), ..BusOptions::default() };
    let bus = Bus::open(folder.path(), SystemClock::shared(), options).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let principal = Principal::new("c", PrincipalKind::Console);
    let signed_in = move |mut request: Request<()>| {
        request.extensions_mut().insert(principal.clone());
        Ok(request)
    };
    let server = xueliang_alerts::grpc::server()
        .layer(tonic::service::InterceptorLayer::new(signed_in))
        .add_service(bus.alert_service());
    let serving = tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));

    let proxy = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let shown = format!("http://{}", proxy.local_addr().unwrap());
    let (silence, silent) = watch::channel(false);
    let proxying = tokio::spawn(async move {
        let (console, _) = proxy.accept().await.unwrap();
        let (from_console, to_console) = console.into_split();
        let (from_bus, to_bus) = TcpStream::connect(address).await.unwrap().into_split();
        tokio::join!(forward(from_console, to_bus, silent.clone()), forward(from_bus, to_console, silent));
    });
    let mut desk =
        Desk(Watcher::new(xueliang_client::address(&shown).unwrap().connect_lazy(), named("desk"), 1));
    desk.live().await;
    assert_eq!(bus.subscriptions(), 1);
    silence.send_replace(true);
    let limit = Duration::from_secs(10);
    let console = async { while !matches!(desk.event().await, Event::Lost { .. }) {} };
    let server = async {
        while bus.subscriptions() > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let (console, server) =
        tokio::join!(tokio::time::timeout(limit, console), tokio::time::timeout(limit, server));
    assert!(console.is_ok(), "the console still believes in its connection");
    assert!(server.is_ok(), "the bus still believes in its console");
    proxying.abort();
    serving.abort();
}
