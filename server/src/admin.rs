//! `/metrics`, `/livez` and `/readyz`, on loopback.

use std::{net::SocketAddr, sync::Arc};

use anyhow::Context;
use axum::{Router, extract::State, http::StatusCode, response::IntoResponse, routing::get};
use tokio::net::TcpListener;
use xueliang_base::shutdown::Stopping;

use crate::{exposition, state::StateDir};

/// Roles whose metrics are shown together, and that must answer for the service to be ready.
const ROLES: [&str; 2] = ["bus", "node"];

/// Serves until stopping is asked.
pub async fn spawn(
    address: SocketAddr,
    state: StateDir,
    mut stopping: Stopping,
) -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("listen on {address}: set listen.admin to a free port"))?;
    let bound = listener.local_addr()?;
    let router = Router::new()
        .route("/livez", get(|| async { "alive\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(Arc::new(state));
    tokio::spawn(async move {
        let serve =
            axum::serve(listener, router).with_graceful_shutdown(async move { stopping.wait().await });
        if let Err(error) = serve.await {
            tracing::error!(%error, "the admin listener ended");
        }
    });
    Ok(bound)
}

async fn collect(state: &StateDir) -> Vec<(&'static str, Option<String>)> {
    let mut all = Vec::new();
    for role in ROLES {
        all.push((role, exposition::read(&state.metrics_socket(role)).await));
    }
    all
}

async fn ready(State(state): State<Arc<StateDir>>) -> impl IntoResponse {
    let missing: Vec<_> =
        collect(&state).await.into_iter().filter(|(_, text)| text.is_none()).map(|(role, _)| role).collect();
    if missing.is_empty() {
        (StatusCode::OK, "ready\n".to_owned())
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {} does not answer\n", missing.join(", ")))
    }
}

async fn metrics(State(state): State<Arc<StateDir>>) -> impl IntoResponse {
    let mut text = String::from("# TYPE xueliang_up gauge\n# HELP xueliang_up Whether a role answers.\n");
    let all = collect(&state).await;
    for (role, answered) in &all {
        let up = u8::from(answered.is_some());
        text.push_str(&format!("xueliang_up{{role=\"{role}\"}} {up}\n"));
    }
    for (_, answered) in all {
        text.push_str(&answered.unwrap_or_default());
    }
    text.push_str("# EOF\n");
    ([("content-type", "application/openmetrics-text; version=1.0.0; charset=utf-8")], text)
}
