//! Signs a head now and then, logs it, and writes it into the folder for heads.

use std::{path::PathBuf, time::Duration};

use tokio::sync::Mutex;
use tracing::{info, warn};
use xueliang_base::time::{Mono, SharedClock};

use super::{
    chain::{Frontier, Hash},
    head::Head,
    key::AuditKey,
};
use crate::{
    crew::Crew,
    error::{Error, Result},
    store::Store,
};

/// Links read at once: some milliseconds of a reader's time.
const A_READ: usize = 4096;
/// A head is signed at the latest after so many entries.
const MOST_ENTRIES: u64 = 4096;
/// Heads looked at at once when they are exported.
const A_PAGE: usize = 256;
/// A folder that takes longer, on a machine that hangs, say, counts as failing, and heads are signed on.
const EXPORT_WITHIN: Duration = Duration::from_secs(5);

/// How the audit is sealed.
#[derive(Debug, Clone)]
pub struct AuditOptions {
    /// The folder that heads are written into; `None`: none, they are logged only.
    pub heads: Option<PathBuf>,
    /// A head at least so often, while there are entries, and after 4096 of them.
    pub every: Duration,
}

impl Default for AuditOptions {
    fn default() -> Self {
        Self { heads: None, every: Duration::from_secs(600) }
    }
}

/// Signs heads.
pub(crate) struct Sealer {
    key: AuditKey,
    options: AuditOptions,
    clock: SharedClock,
    state: Mutex<State>,
    /// Writes into the folder.
    writer: Crew<()>,
}

#[derive(Default)]
struct State {
    /// The tree up to where links were read, and the last of them; `None` until the last head was read.
    tree: Option<(Frontier, Hash)>,
    /// Entries that the last head stands for.
    sealed: u64,
    /// When it was signed, in this life.
    at: Option<Mono>,
    /// Heads up to this size are in the folder.
    exported: u64,
    /// The folder could not be written last time.
    failing: bool,
}

impl Sealer {
    pub(crate) fn new(key: AuditKey, options: AuditOptions, clock: SharedClock) -> Result<Self> {
        let writer = Crew::spawn("audit-heads", 1, 1, || ())?;
        Ok(Self { key, options, clock, state: Mutex::default(), writer })
    }
    /// Signs what has come since the last head, if it is time or `now` is wanted, and exports what is not exported yet.
    pub(crate) async fn seal(&self, store: &dyn Store, now: bool) -> Result<()> {
        let mut state = self.state.lock().await;
        let sealed = self.sign(store, &mut state, now).await;
        if sealed.is_err() {
            // Whatever of it is on disk: it is read again.
            state.tree = None;
        }
        sealed?;
        self.export(store, &mut state).await
    }
    async fn sign(&self, store: &dyn Store, state: &mut State, now: bool) -> Result<()> {
        let (mut tree, mut link) = match state.tree.take() {
            Some(known) => known,
            None => {
                let last = store.last_head().await?;
                state.sealed = last.as_ref().map_or(0, |(head, _)| head.size);
                last.map_or((Frontier::default(), Hash::ZERO), |(head, tree)| (tree, head.link))
            }
        };
        loop {
            let links = store.audit_links(tree.size(), A_READ).await?;
            let full = links.len() == A_READ;
            for (number, next) in links {
                if number != tree.size() + 1 {
                    return Err(Error::Internal(format!(
                        "link {} of the audit is not there: run `xueliang audit verify`",
                        tree.size() + 1
                    )));
                }
                link = next;
                tree.push(link);
            }
            if !full {
                break;
            }
        }
        let fresh = tree.size() - state.sealed;
        let passed = state.at.is_none_or(|at| self.clock.mono().since(at) >= self.options.every);
        if fresh > 0 && (now || passed || fresh >= MOST_ENTRIES) {
            let head = Head::sign(&self.key, &tree, link, self.clock.wall());
            store.put_head(head.clone(), tree.clone()).await?;
            let (root, key) = (head.root, head.key);
            info!(entries = head.size, %root, %link, %key, signature = head.signature_text(), "head of the audit");
            (state.sealed, state.at) = (head.size, Some(self.clock.mono()));
        }
        state.tree = Some((tree, link));
        Ok(())
    }
    async fn export(&self, store: &dyn Store, state: &mut State) -> Result<()> {
        let Some(folder) = &self.options.heads else { return Ok(()) };
        while state.exported < state.sealed {
            let heads = store.heads(state.exported, A_PAGE).await?;
            let Some(last) = heads.last().map(|head| head.size) else { return Ok(()) };
            let to = folder.clone();
            let write =
                self.writer.run(move |()| heads.iter().try_for_each(|head| head.export(&to).map(|_| ())));
            let written = match tokio::time::timeout(EXPORT_WITHIN, write).await {
                Ok(written) => written.flatten(),
                Err(_late) => Err(Error::Unavailable(format!("{} does not answer", folder.display()))),
            };
            if let Err(error) = written {
                if !state.failing {
                    warn!(%error, "heads of the audit are not exported: they are tried again, and stand in the log");
                }
                state.failing = true;
                return Ok(());
            }
            state.exported = last;
        }
        if std::mem::take(&mut state.failing) {
            info!(folder = %folder.display(), "heads of the audit are exported again");
        }
        Ok(())
    }
}
