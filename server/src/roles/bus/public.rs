//! What consoles, other systems and the operator of this machine call: the same services at each listener.

use std::{error::Error as StdError, fs, os::unix::fs::PermissionsExt as _};

use anyhow::Context as _;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, UnixListener},
};
use tokio_stream::{Stream, wrappers::UnixListenerStream};
use tonic::{
    codegen::http::HeaderMap,
    transport::server::{Connected, TcpIncoming},
};
use tonic_health::{pb::health_server::HealthServer, server::HealthService};
use tracing::{error, info, warn};
use xueliang_alerts::{account::Accounts, bus::Bus, grpc::Guard, sink::Sinks};
use xueliang_base::{
    config::{Config, SignIn},
    shutdown::Stopping,
};

use super::{
    Serving,
    callers::{Callers, Nameless},
    health, tls,
};
use crate::{exposition, state::StateDir};

/// The services, to be served at any number of listeners.
pub struct Public {
    bus: Bus,
    accounts: Accounts,
    callers: Callers,
    sinks: Sinks,
    health: HealthServer<HealthService>,
}

impl Public {
    /// The services of a bus.
    pub async fn new(
        bus: &Bus,
        accounts: Accounts,
        callers: Callers,
        sinks: &Sinks,
        stopping: Stopping,
    ) -> anyhow::Result<Self> {
        let (reporter, _) = tonic_health::server::health_reporter();
        let health = HealthServer::new(HealthService::from_health_reporter(reporter.clone()));
        let serving = health::Serving::new(reporter).await;
        tokio::spawn(serving.follow(bus.clone(), stopping));
        Ok(Self { bus: bus.clone(), accounts, callers, sinks: sinks.clone(), health })
    }
    /// Serves the operator of this machine, who is whoever may open the socket: the owner of the state folder.
    pub fn serve_local(&self, state: &StateDir, stopping: Stopping) -> anyhow::Result<Serving> {
        let socket = state.api_socket();
        exposition::remove_stale(&socket)?;
        let shown = socket.display();
        // The folder is its owner's alone, so nobody else connects before the socket is, too.
        let listener = UnixListener::bind(&socket).with_context(|| format!("listen on {shown}"))?;
        fs::set_permissions(&socket, fs::Permissions::from_mode(0o600))
            .with_context(|| format!("keep {shown} for its owner"))?;
        self.serve(Nameless::Operator, UnixListenerStream::new(listener), stopping)
    }
    /// Serves consoles and other systems at the address of the configuration.
    pub async fn serve_address(&self, config: &Config, stopping: Stopping) -> anyhow::Result<Serving> {
        let address = config.listen.api;
        let listener = TcpListener::bind(address)
            .await
            .with_context(|| format!("listen on {address}: set listen.api to a free port"))?;
        info!(%address, tls = config.api.tls.is_some(), "consoles may connect");
        self.serve_listener(listener, config, stopping)
    }
    fn serve_listener(
        &self,
        listener: TcpListener,
        config: &Config,
        stopping: Stopping,
    ) -> anyhow::Result<Serving> {
        let nameless = match config.api.sign_in {
            SignIn::Required => Nameless::Nobody,
            SignIn::None => {
                warn!(
                    "whoever can connect is the operator: api.sign_in is \"none\", which is for demonstrations and tests"
                );
                Nameless::Operator
            }
        };
        match &config.api.tls {
            Some(files) => {
                let incoming = tls::incoming(listener, files.clone(), stopping.clone()).context("api.tls")?;
                self.serve(nameless, incoming, stopping)
            }
            // Small answers go at once, and do not wait for the receipt of the one before.
            None => self.serve(nameless, TcpIncoming::from(listener).with_nodelay(Some(true)), stopping),
        }
    }
    fn serve<I, C, E>(
        &self,
        nameless: Nameless,
        incoming: I,
        mut stopping: Stopping,
    ) -> anyhow::Result<Serving>
    where
        I: Stream<Item = Result<C, E>> + Send + 'static,
        C: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static,
        C::ConnectInfo: Clone + Send + Sync + 'static,
        E: Into<Box<dyn StdError + Send + Sync>> + Send + 'static,
    {
        let reflection = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(xueliang_proto::FILE_DESCRIPTOR_SET)
            .build_v1()?;
        let (bus, callers) = (&self.bus, self.callers.clone());
        let who = move |headers: &HeaderMap| callers.who(headers, nameless);
        let router = xueliang_alerts::grpc::server()
            .layer(Guard::new(bus.clone(), who))
            .add_service(bus.alert_service())
            .add_service(self.accounts.service())
            .add_service(bus.case_service())
            .add_service(bus.division_service())
            .add_service(bus.duty_service())
            .add_service(bus.delivery_service())
            .add_service(bus.evidence_service())
            .add_service(bus.retention_service())
            .add_service(bus.camera_service())
            .add_service(bus.explain_service())
            .add_service(bus.clock_service())
            .add_service(self.sinks.service())
            .add_service(bus.suppression_service())
            .add_service(self.health.clone())
            .add_service(reflection);
        Ok(tokio::spawn(async move {
            let stop = async move { stopping.wait().await };
            if let Err(error) = router.serve_with_incoming_shutdown(incoming, stop).await {
                error!(%error, "a listener of consoles ended");
            }
        }))
    }
}

#[cfg(test)]
mod tests;
