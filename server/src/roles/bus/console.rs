//! The operators' page and what it asks: one HTTP listener with the page's files and the services as gRPC-web, for browsers.

use std::{
    net::{IpAddr, SocketAddr},
    os::fd::AsFd,
    time::Duration,
};

use anyhow::Context;
use axum::{
    Router,
    extract::{ConnectInfo, Request},
    http::{StatusCode, header, uri::Authority},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
    serve::ListenerExt,
};
use tokio::{net::TcpListener, task::JoinHandle};
use tonic::{body::Body, transport::server::TcpConnectInfo};
use tonic_web::GrpcWebLayer;
use tower::ServiceBuilder;
use tracing::{error, info};
use xueliang_base::{config::Config, shutdown::Stopping};

use super::{callers::Nameless, public::Public};
use crate::page;

/// A browser whose machine is gone without a word is given up after this long: each stream is sent something every second.
const GONE_AFTER: Duration = Duration::from_secs(10);

/// Serves the page and the services.
pub(super) async fn serve(
    config: &Config,
    public: &Public,
    mut stopping: Stopping,
) -> anyhow::Result<JoinHandle<()>> {
    let address = config.listen.console;
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("listen on {address}: set listen.console to a free port"))?;
    info!(address = %listener.local_addr()?, "the operators' page is served");
    let listener = listener.tap_io(|stream| {
        // Best effort: a stream without them is slower to send and to be given up, no more.
        let _nagle = stream.set_nodelay(true);
        let wait_ms = u32::try_from(GONE_AFTER.as_millis()).unwrap_or(u32::MAX);
        let _kept = rustix::net::sockopt::set_tcp_user_timeout(stream.as_fd(), wait_ms);
    });
    let router = router(config, public).into_make_service_with_connect_info::<SocketAddr>();
    Ok(tokio::spawn(async move {
        let stop = async move { stopping.wait().await };
        if let Err(error) = axum::serve(listener, router).with_graceful_shutdown(stop).await {
            error!(%error, "the operators' listener ended");
        }
    }))
}

fn router(config: &Config, public: &Public) -> Router {
    // Outermost first: a refusal is put into words that a browser's client understands, too.
    let services = ServiceBuilder::new()
        .layer(GrpcWebLayer::new())
        .map_response(|response: axum::http::Response<_>| response.map(Body::new))
        .map_request(connected)
        .layer(public.guard(Nameless::of(config)))
        .service(public.routes());
    Router::new()
        .fallback_service(
            get(page::answer).with_state(page::policy(config.map.as_ref())).post_service(services),
        )
        .layer(middleware::from_fn(addressed_to_us))
}

/// Tells the services who is at the other end, as the listeners of gRPC do.
fn connected(mut request: axum::http::Request<Body>) -> axum::http::Request<Body> {
    let remote_addr = request.extensions().get().map(|ConnectInfo(address)| *address);
    request.extensions_mut().insert(TcpConnectInfo { local_addr: None, remote_addr });
    request
}

/// Refuses requests to names that are not this listener's: whoever may open a page in the operator's browser could otherwise
/// have a name of their own lead here and read what this listener tells everyone on this machine.
async fn addressed_to_us(request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    if host.is_some_and(is_ours) {
        next.run(request).await
    } else {
        let told = "open this page by its address, as http://127.0.0.1:8752/\n";
        (StatusCode::MISDIRECTED_REQUEST, told).into_response()
    }
}

fn is_ours(host: &str) -> bool {
    let Ok(authority) = host.parse::<Authority>() else { return false };
    let name = authority.host();
    let address = name.trim_start_matches('[').trim_end_matches(']');
    name == "localhost" || address.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_of_another_name_is_told_nothing() {
        for ours in ["127.0.0.1:8752", "localhost:8752", "[::1]:8752", "192.0.2.1"] {
            assert!(is_ours(ours), "{ours}");
        }
        for theirs in ["example.org:8752", "localhost.example.org", "127.0.0.1.example.org", "", "a b"] {
            assert!(!is_ours(theirs), "{theirs}");
        }
    }
}
