//! gRPC's health service: what consoles and load balancers ask. It says what holds for new requests, so it follows the
//! store: while that fails, nothing can be acknowledged or published.

use std::time::Duration;

use tonic_health::{ServingStatus, server::HealthReporter};
use tracing::{info, warn};
use xueliang_alerts::bus::Bus;
use xueliang_base::shutdown::Stopping;

/// How soon a change of the store is told.
const TICK: Duration = Duration::from_millis(250);
/// Services that write with every call, or register it; empty is the server as a whole.
const NEED_THE_STORE: [&str; 3] = ["", "xueliang.v1.AlertService", "xueliang.v1.EvidenceService"];
/// Services that answer from memory.
const NEED_NOTHING: [&str; 1] = ["xueliang.v1.CameraService"];

/// What the health service says.
pub struct Serving {
    reporter: HealthReporter,
    failing: bool,
}

impl Serving {
    /// Everything serves.
    pub async fn new(reporter: HealthReporter) -> Self {
        for service in NEED_THE_STORE.into_iter().chain(NEED_NOTHING) {
            reporter.set_service_status(service, ServingStatus::Serving).await;
        }
        Self { reporter, failing: false }
    }
    /// Takes whether the store fails.
    async fn store(&mut self, failing: bool) {
        if failing == self.failing {
            return;
        }
        self.failing = failing;
        let status = if failing {
            warn!("not serving: the store fails");
            ServingStatus::NotServing
        } else {
            info!("serving again");
            ServingStatus::Serving
        };
        for service in NEED_THE_STORE {
            self.reporter.set_service_status(service, status).await;
        }
    }
    /// Follows the store until stopping is asked.
    pub async fn follow(mut self, bus: Bus, mut stopping: Stopping) {
        let mut tick = tokio::time::interval(TICK);
        loop {
            tokio::select! {
                () = stopping.wait() => return,
                _ = tick.tick() => {}
            }
            self.store(bus.store().health().failing.is_some()).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use tonic::Request;
    use tonic_health::{
        pb::{HealthCheckRequest, health_server::Health},
        server::HealthService,
    };

    use super::*;

    #[tokio::test]
    async fn the_service_does_not_serve_while_its_store_fails() {
        let reporter = HealthReporter::new();
        let service = HealthService::from_health_reporter(reporter.clone());
        let status = async |name: &str| {
            let request = HealthCheckRequest { service: name.to_owned() };
            service.check(Request::new(request)).await.unwrap().into_inner().status
        };
        let (serving, not) = (ServingStatus::Serving as i32, ServingStatus::NotServing as i32);
        let mut health = Serving::new(reporter).await;
        assert_eq!(status("").await, serving);
        health.store(true).await;
        assert_eq!(status("").await, not);
        assert_eq!(status("xueliang.v1.AlertService").await, not);
        assert_eq!(status("xueliang.v1.CameraService").await, serving, "cameras are told from memory");
        health.store(false).await;
        assert_eq!(status("xueliang.v1.AlertService").await, serving);
    }
}
