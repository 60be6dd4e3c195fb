//! What consoles, other systems and the operator of this machine call: the same services at each listener.

use std::{error::Error as StdError, fs, os::unix::fs::PermissionsExt as _, sync::Arc};

use anyhow::Context as _;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, UnixListener},
};
use tokio_stream::{Stream, wrappers::UnixListenerStream};
use tonic::{
    codegen::http::HeaderMap,
    service::Routes,
    transport::server::{Connected, TcpIncoming},
};
use tonic_health::{pb::health_server::HealthServer, server::HealthService};
use tracing::{error, info, warn};
use xueliang_alerts::{
    account::{Accounts, Caller},
    bus::Bus,
    error::Result,
    grpc::Guard,
    sink::Sinks,
    tuning::RuleBook,
};
use xueliang_base::{config::Config, shutdown::Stopping};

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
    rules: Arc<dyn RuleBook>,
    health: HealthServer<HealthService>,
}

impl Public {
    /// The services of a bus.
    pub async fn new(
        bus: &Bus,
        accounts: Accounts,
        callers: Callers,
        sinks: &Sinks,
        rules: Arc<dyn RuleBook>,
        stopping: Stopping,
    ) -> anyhow::Result<Self> {
        let (reporter, _) = tonic_health::server::health_reporter();
        let health = HealthServer::new(HealthService::from_health_reporter(reporter.clone()));
        let serving = health::Serving::new(reporter).await;
        tokio::spawn(serving.follow(bus.clone(), stopping));
        Ok(Self { bus: bus.clone(), accounts, callers, sinks: sinks.clone(), rules, health })
    }
    /// All services, for a listener of any protocol.
    pub fn routes(&self) -> Routes {
        let bus = &self.bus;
        Routes::new(bus.alert_service())
            .add_service(self.accounts.service())
            .add_service(bus.case_service())
            .add_service(bus.link_service())
            .add_service(bus.drill_service())
            .add_service(self.accounts.handler_service())
            .add_service(bus.division_service())
            .add_service(bus.duty_service())
            .add_service(bus.custodian_service())
            .add_service(bus.delivery_service())
            .add_service(bus.filing_service())
            .add_service(bus.evidence_service())
            .add_service(bus.disclosure_service())
            .add_service(bus.retention_service())
            .add_service(bus.camera_service())
            .add_service(bus.statistics_service())
            .add_service(bus.explain_service())
            .add_service(bus.rule_service(self.rules.clone()))
            .add_service(bus.clock_service())
            .add_service(self.sinks.service())
            .add_service(bus.suppression_service())
            .add_service(bus.vocabulary_service())
    }
    /// What stands before them, where those who name nobody are `nameless`.
    pub fn guard(
        &self,
        nameless: Nameless,
    ) -> Guard<impl Fn(&HeaderMap) -> Result<Option<Caller>> + Clone + use<>> {
        let callers = self.callers.clone();
        Guard::new(self.bus.clone(), move |headers: &HeaderMap| callers.who(headers, nameless))
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
        let nameless = Nameless::of(config);
        if nameless == Nameless::Operator {
            warn!(
                "whoever can connect is the operator: api.sign_in is \"none\", which is for demonstrations and tests"
            );
        }
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
        I: Stream<Item = std::result::Result<C, E>> + Send + 'static,
        C: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static,
        C::ConnectInfo: Clone + Send + Sync + 'static,
        E: Into<Box<dyn StdError + Send + Sync>> + Send + 'static,
    {
        let reflection = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(xueliang_proto::FILE_DESCRIPTOR_SET)
            .build_v1()?;
        let routes = self.routes().add_service(self.health.clone()).add_service(reflection);
        let router = xueliang_alerts::grpc::server().layer(self.guard(nameless)).add_routes(routes);
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
