//! Where things lie in the state folder, and who may use it.

use std::{
    fs::{self, File, OpenOptions},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use rustix::fs::{FlockOperation, flock};

/// Paths within a state folder.
#[derive(Debug, Clone)]
pub struct StateDir(PathBuf);

impl StateDir {
    /// The paths of this folder; nothing is touched.
    pub fn at(path: &Path) -> Self {
        Self(path.to_owned())
    }
    /// Makes the folder (readable by its owner only) where there is none.
    pub fn create(&self) -> anyhow::Result<()> {
        // The kernel holds 108 bytes of a socket's path.
        let socket = self.bus_socket();
        if socket.as_os_str().len() > 100 {
            bail!("{} is too long for a socket's path: choose a shorter state_dir", socket.display());
        }
        for folder in [self.0.clone(), self.run(), self.node()] {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder).with_context(|| {
                format!("create {}: choose a folder that this user may write", folder.display())
            })?;
        }
        Ok(())
    }
    /// The folder itself: the bus keeps its stores and evidence in it.
    pub fn root(&self) -> &Path {
        &self.0
    }
    /// Sockets of the running service.
    pub fn run(&self) -> PathBuf {
        self.0.join("run")
    }
    /// The node's spool and views.
    pub fn node(&self) -> PathBuf {
        self.0.join("node")
    }
    /// Where the bus listens for nodes.
    pub fn bus_socket(&self) -> PathBuf {
        self.run().join("bus.sock")
    }
    /// Where the operator of this machine calls, without signing in.
    pub fn api_socket(&self) -> PathBuf {
        self.run().join("api.sock")
    }
    /// The one-time token of a service that has no account yet.
    pub fn set_up_token(&self) -> PathBuf {
        self.0.join("set-up-token")
    }
    /// Where a role writes its metrics to whoever connects.
    pub fn metrics_socket(&self, role: &str) -> PathBuf {
        self.run().join(format!("{role}.metrics"))
    }
    /// Where a role says that it is alive.
    pub fn pulse_socket(&self, role: &str) -> PathBuf {
        self.run().join(format!("{role}.pulse"))
    }
    /// Cameras, credentials and configuration revisions.
    pub fn registry(&self) -> PathBuf {
        self.0.join("registry.db")
    }
    /// Holds the folder for this process as long as the result lives.
    pub fn lock(&self) -> anyhow::Result<File> {
        let path = self.0.join("lock");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .with_context(|| format!("open {}", path.display()))?;
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            bail!(
                "{} is in use by another xueliang: stop it, or give this one another state_dir",
                self.0.display()
            );
        }
        Ok(file)
    }
}
