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
    let why = not_ready(&collect(&state).await);
    if why.is_empty() {
        (StatusCode::OK, "ready\n".to_owned())
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {}\n", why.join("; ")))
    }
}

/// Why the service as a whole does not do its work; empty when it does. The roles' own metrics are asked, so what is
/// shown and what is decided cannot differ. A metric that a role does not have decides nothing.
fn not_ready(answers: &[(&'static str, Option<String>)]) -> Vec<String> {
    let mut why = Vec::new();
    for (role, answer) in answers {
        if answer.is_none() {
            why.push(format!("the {role} does not answer"));
        }
    }
    let of = |wanted: &str| answers.iter().find(|(role, _)| *role == wanted)?.1.as_deref();
    let sum = |role: &str, name: &str, label: &str| sum(of(role)?, name, label);
    if sum("bus", "xueliang_bus_store", "what=\"failing\"").is_some_and(|failing| failing > 0.0) {
        why.push("the store fails: see the bus's log".to_owned());
    }
    if of("node").is_some() {
        // A node counts its spool from its first configuration on.
        let configured = sum("node", "xueliang_node_config_revision", "")
            .map_or_else(|| sum("node", "xueliang_node_spool", "").is_some(), |revision| revision > 0.0);
        if !configured {
            why.push("the node has no configuration yet".to_owned());
        }
        if sum("node", "xueliang_node_spool", "what=\"failing\"").is_some_and(|failing| failing > 0.0) {
            why.push("the node's spool cannot be written: see the node's log".to_owned());
        }
        let models = sum("bus", "xueliang_bus_config", "what=\"models\"").unwrap_or(1.0);
        let ready = sum("node", "xueliang_node_workers_ready", "");
        if configured && models > 0.0 && ready.is_some_and(|ready| ready < 1.0) {
            why.push("no look worker is ready: see the node's log".to_owned());
        }
    }
    why
}

/// Sum of a metric's samples whose labels hold `label`; `None` when there is none.
fn sum(text: &str, name: &str, label: &str) -> Option<f64> {
    let samples = text.lines().filter_map(|line| {
        let rest = line.strip_prefix(name)?;
        let of_metric = rest.starts_with(['{', ' ']) && rest.contains(label);
        of_metric.then(|| rest.rsplit(' ').next()?.parse::<f64>().ok())?
    });
    samples.fold(None, |sum, sample| Some(sum.unwrap_or(0.0) + sample))
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

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use xueliang_base::shutdown;

    use super::*;

    const BUS: &str = "xueliang_bus_store{what=\"failing\"} 0\nxueliang_bus_config{what=\"models\"} 1\n";
    const NODE: &str = "xueliang_node_spool{what=\"waiting\"} 0\nxueliang_node_workers_ready 2\n";

    fn why(bus: Option<&str>, node: Option<&str>) -> String {
        not_ready(&[("bus", bus.map(str::to_owned)), ("node", node.map(str::to_owned))]).join("; ")
    }

    #[test]
    fn readiness_names_what_is_missing() {
        assert_eq!(why(Some(BUS), Some(NODE)), "");
        assert!(why(None, Some(NODE)).contains("the bus does not answer"));
        assert!(why(Some(BUS), None).contains("the node does not answer"));
        let failing = BUS.replace("failing\"} 0", "failing\"} 1");
        assert!(why(Some(&failing), Some(NODE)).contains("the store fails"));
        assert!(why(Some(BUS), Some("")).contains("no configuration"));
        assert!(why(Some(BUS), Some("xueliang_node_config_revision 0\n")).contains("no configuration"));
        let no_worker = NODE.replace("ready 2", "ready 0");
        assert!(why(Some(BUS), Some(&no_worker)).contains("no look worker"));
        let no_models = BUS.replace("models\"} 1", "models\"} 0");
        assert_eq!(why(Some(&no_models), Some(&no_worker)), "", "without models nobody waits for a worker");
        let unspooled = NODE.replace("waiting\"} 0", "waiting\"} 0\nxueliang_node_spool{what=\"failing\"} 1");
        assert!(why(Some(BUS), Some(&unspooled)).contains("spool cannot be written"));
        // A metric that is not there decides nothing.
        assert_eq!(why(Some(""), Some("xueliang_node_spool{what=\"waiting\"} 0\n")), "");
    }

    #[tokio::test]
    async fn a_service_that_is_not_ready_answers_503_with_the_reason() {
        let folder = tempfile::tempdir().unwrap();
        let state = StateDir::at(folder.path());
        state.create().unwrap();
        let (_stop, stopping) = shutdown::pair();
        exposition::spawn(&state.metrics_socket("bus"), stopping.clone(), || BUS.to_owned()).unwrap();
        let admin = spawn(([127, 0, 0, 1], 0).into(), state.clone(), stopping.clone()).await.unwrap();
        let ask = async || {
            let mut stream = tokio::net::TcpStream::connect(admin).await.unwrap();
            stream.write_all(b"GET /readyz HTTP/1.0\r\n\r\n").await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            answer
        };
        let answer = ask().await;
        assert!(answer.contains(" 503 ") && answer.contains("the node does not answer"), "{answer}");
        exposition::spawn(&state.metrics_socket("node"), stopping, || NODE.to_owned()).unwrap();
        let answer = ask().await;
        assert!(answer.contains(" 200 ") && answer.ends_with("ready\n"), "{answer}");
    }
}
