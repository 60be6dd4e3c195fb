//! The operators' page in a browser: `console/bench/page.mjs` drives that, and is asked line by line.

use std::{path::Path, process::Stdio, time::Duration};

use anyhow::{Context, bail};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
    time::timeout,
};

use crate::repository;

/// Longer than anything that the driver itself gives up.
const PATIENCE: Duration = Duration::from_secs(90);
/// What a desk of a control room has.
const WIDTH: u32 = 1920;
const HEIGHT: u32 = 1080;

/// The browser with one page.
pub(super) struct Page {
    child: Child,
    asks: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Answer {
    Told(Value),
    Failed(String),
}

/// From the first byte of the page to the form, and from Enter to the list.
#[derive(Deserialize)]
pub(super) struct SignedIn {
    pub(super) form_ms: f64,
    pub(super) live_ms: f64,
}

/// What is on top of the list.
#[derive(Deserialize)]
pub(super) struct Top {
    /// Of the firing alerts in view, from the top down.
    pub(super) levels: Vec<u8>,
    pub(super) at_top: bool,
    /// How many fire, as the page counts them.
    pub(super) firing: usize,
    pub(super) pop_ups: usize,
}

/// What is in use after all that nobody needs was collected.
#[derive(Deserialize, Clone, Copy)]
pub(super) struct Heap {
    pub(super) page_bytes: u64,
    pub(super) worker_bytes: u64,
    pub(super) nodes: u64,
    pub(super) listeners: u64,
    /// Of the browser's processes for pages and workers.
    pub(super) resident_bytes: u64,
    pub(super) processor_s: f64,
}

impl Page {
    /// Starts the browser. What it writes lies in `folder`.
    pub(super) fn start(folder: &Path) -> anyhow::Result<Self> {
        let mut child = Command::new("node")
            .arg("bench/page.mjs")
            .current_dir(repository().join("console"))
            .env("TMPDIR", folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("node is needed, as for building the page (make setup)")?;
        let asks = child.stdin.take().context("it reads")?;
        let answers = BufReader::new(child.stdout.take().context("it answers")?).lines();
        Ok(Self { child, asks, answers })
    }
    async fn ask<T: DeserializeOwned>(&mut self, what: Value) -> anyhow::Result<T> {
        let asked = async {
            self.asks.write_all(format!("{what}\n").as_bytes()).await?;
            self.answers.next_line().await?.context("the browser has ended")
        };
        let line = timeout(PATIENCE, asked).await.with_context(|| format!("{what}: no answer"))??;
        match serde_json::from_str(&line)? {
            Answer::Told(told) => Ok(serde_json::from_value(told)?),
            Answer::Failed(reason) => bail!("{what}: {reason}"),
        }
    }
    pub(super) async fn browser(&mut self) -> anyhow::Result<String> {
        self.ask(json!({ "act": "browser" })).await
    }
    /// Opens the page anew, in a browser that was never there, with a session that has begun; until it is live.
    pub(super) async fn open(&mut self, url: &str, token: &str) -> anyhow::Result<f64> {
        self.ask(json!({ "act": "open", "url": url, "token": token, "width": WIDTH, "height": HEIGHT })).await
    }
    /// Likewise, and signs in.
    pub(super) async fn sign_in(
        &mut self,
        url: &str,
        account: &str,
        password: &str,
    ) -> anyhow::Result<SignedIn> {
        let who = json!({ "act": "signIn", "url": url, "account": account, "password": password,
                          "width": WIDTH, "height": HEIGHT });
        self.ask(who).await
    }
    /// Presses a key; milliseconds until what it does is painted.
    pub(super) async fn press(&mut self, key: &str, until: &str) -> anyhow::Result<f64> {
        self.ask(json!({ "act": "press", "key": key, "until": until })).await
    }
    /// Alerts whose row was painted since the last call, and when: milliseconds since 1970.
    pub(super) async fn painted(&mut self) -> anyhow::Result<Vec<(String, i64)>> {
        self.ask(json!({ "act": "painted" })).await
    }
    pub(super) async fn top(&mut self) -> anyhow::Result<Top> {
        self.ask(json!({ "act": "top" })).await
    }
    pub(super) async fn heap(&mut self) -> anyhow::Result<Heap> {
        self.ask(json!({ "act": "heap" })).await
    }
    /// Closes the browser.
    pub(super) async fn stop(self) -> anyhow::Result<()> {
        let Self { mut child, asks, answers } = self;
        drop((asks, answers));
        let status = timeout(PATIENCE, child.wait()).await.context("the browser does not close")??;
        anyhow::ensure!(status.success(), "the browser ended with {status}");
        Ok(())
    }
}
