//! How commands that ask a running service reach it: where it is, what vouches for it, as whom they call, and what to do when
//! that leads nowhere. No secret is an argument: process lists show those to everybody.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, anyhow, ensure};
use clap::Args;
use xueliang_client::{Access, AccessError, Connection, Response, Status, Trouble};

/// Where the service listens unless something else is said.
const USUAL: &str = "http://127.0.0.1:8750";

/// Where the service is and as whom to call it.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Reaching the service")]
pub struct Reach {
    /// Address of the service: https://NAME:PORT, http://ADDRESS:PORT within this machine, or unix:/PATH. Or XUELIANG_API;
    /// where neither is given, the socket in the state folder of --config, or http://127.0.0.1:8750 where the command takes
    /// no configuration.
    #[arg(long, value_name = "ADDRESS")]
    api: Option<String>,
    /// PEM file of the authority that vouches for the service; this machine's authorities where it is left out. Or
    /// XUELIANG_CA_FILE.
    #[arg(long = "ca", value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// PEM file of a certificate to show, where the service asks its clients for one. Or XUELIANG_CERT_FILE.
    #[arg(long = "cert", value_name = "FILE")]
    cert_file: Option<PathBuf>,
    /// PEM file of that certificate's key. Or XUELIANG_CERT_KEY_FILE.
    #[arg(long = "cert-key", value_name = "FILE")]
    cert_key_file: Option<PathBuf>,
    /// File that says as whom to call: the key of a machine account, or the token that `xueliang sign-in` put there. Or
    /// XUELIANG_KEY_FILE, or the key itself in XUELIANG_KEY.
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// The environment says nothing about it.
    #[arg(skip)]
    alone: bool,
}

impl Reach {
    /// At an address of this machine, as whoever that makes of those who name nobody: whatever the environment says of
    /// another service.
    pub fn at(address: impl Into<String>) -> Self {
        Self { api: Some(address.into()), alone: true, ..Self::default() }
    }
    /// The same, at an address of this machine where neither the command nor the environment says of another.
    pub fn or_at(self, address: impl Into<String>) -> Self {
        match self.filled().api {
            Some(_) => self,
            None => Self { api: Some(address.into()), alone: true, ..self },
        }
    }
    /// What was left out, from the environment.
    fn filled(&self) -> Self {
        if self.alone {
            return self.clone();
        }
        self.filled_from(|name| std::env::var_os(name))
    }
    fn filled_from(&self, variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let variable = |name: &str| set(variable(name));
        let path =
            |given: &Option<PathBuf>, name| given.clone().or_else(|| variable(name).map(PathBuf::from));
        let api = || variable("XUELIANG_API").and_then(|text| text.into_string().ok());
        Self {
            api: self.api.clone().or_else(api),
            ca_file: path(&self.ca_file, "XUELIANG_CA_FILE"),
            cert_file: path(&self.cert_file, "XUELIANG_CERT_FILE"),
            cert_key_file: path(&self.cert_key_file, "XUELIANG_CERT_KEY_FILE"),
            key_file: path(&self.key_file, "XUELIANG_KEY_FILE"),
            alone: false,
        }
    }
    /// The address that is called.
    pub fn address(&self) -> String {
        self.filled().api.unwrap_or_else(|| USUAL.to_owned())
    }
    /// The file that says as whom to call, if one was named.
    pub fn key_file(&self) -> Option<PathBuf> {
        self.filled().key_file
    }
    /// The way in, as nobody yet.
    pub fn nameless(&self) -> anyhow::Result<Access> {
        let given = self.filled();
        let mut access = Access::to(self.address());
        if let Some(path) = &given.ca_file {
            access = access.trusting(pem(path, "CERTIFICATE")?);
        }
        match (&given.cert_file, &given.cert_key_file) {
            (None, None) => {}
            (Some(certificate), Some(key)) => {
                access = access.showing(pem(certificate, "CERTIFICATE")?, pem(key, "PRIVATE KEY")?);
            }
            _ => return Err(anyhow!("--cert and --cert-key go together: name both files, or neither")),
        }
        Ok(access)
    }
    /// The connection, made with the first call.
    pub fn connect(&self) -> anyhow::Result<Connection> {
        self.connected(|name| std::env::var_os(name))
    }
    fn connected(&self, variable: impl Fn(&str) -> Option<OsString>) -> anyhow::Result<Connection> {
        let mut access = self.nameless()?;
        match self.key_file() {
            Some(path) => {
                let key = fs::read_to_string(&path).with_context(|| {
                    format!("read {}: name the file that holds your key with --key-file", path.display())
                })?;
                access = access.bearing(&key).with_context(|| format!("use {}", path.display()))?;
            }
            None if self.alone => {}
            None => {
                if let Some(key) = set(variable("XUELIANG_KEY")) {
                    let key = key.into_string().map_err(|_| anyhow!("XUELIANG_KEY is no text"))?;
                    access = access.bearing(&key).context("use XUELIANG_KEY")?;
                }
            }
        }
        access.connect().map_err(|fault| match fault {
            AccessError::NoAuthorities => anyhow!("{fault} with --ca FILE"),
            fault => fault.into(),
        })
    }
    /// What a call answered, or what to tell whoever called.
    pub fn told<T>(&self, answer: Result<Response<T>, Status>) -> anyhow::Result<T> {
        answer.map(Response::into_inner).map_err(|status| self.refused(&status))
    }
    /// What to tell whoever called, of a call that came to nothing.
    pub fn refused(&self, status: &Status) -> anyhow::Error {
        self.explained(Trouble::of(status), status)
    }
    /// What to tell whoever called, of a stream that had been open.
    pub fn broken(&self, status: &Status) -> anyhow::Error {
        self.explained(Trouble::of(status).once_open(), status)
    }
    fn explained(&self, trouble: Trouble, status: &Status) -> anyhow::Error {
        let address = self.address();
        match advice(trouble, &address) {
            Some(advice) => anyhow!("{address}: {}", advice.replace("{said}", status.message())),
            None => anyhow!("{}", status.message()),
        }
    }
}

/// What to do about trouble with the service at an address; `None` where the service said it.
pub fn advice(trouble: Trouble, address: &str) -> Option<&'static str> {
    // To any other address nobody speaks without TLS where it is wanted.
    let plain = address.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("http:"));
    Some(match trouble {
        Trouble::WantsTls if !plain => return None,
        Trouble::Nobody => {
            "no service answers there: start it with `xueliang run --config FILE`, or say where it is with --api or \
             XUELIANG_API"
        }
        Trouble::Untrusted => {
            "nobody who is trusted vouches for its certificate: name the authority that does with --ca FILE, and find out \
             who answers there if that is the right one"
        }
        Trouble::OutOfDate => {
            "its certificate is out of date: whoever runs the service is to renew it (a running service takes a new one by \
             itself); also look at this machine's clock"
        }
        Trouble::OtherName => {
            "its certificate is for another name: write the name that stands in the certificate after https://"
        }
        Trouble::WantsCertificate => {
            "it asks for a certificate that its client authority has signed: name one with --cert FILE and --cert-key FILE"
        }
        Trouble::WantsTls => {
            "it closed the connection at once: if it speaks TLS, write https:// instead of http://"
        }
        Trouble::NoTls => "it does not speak TLS: write http:// within this machine, or set api.tls there",
        Trouble::NotSignedIn => {
            "{said}; sign in with `xueliang sign-in NAME --key-file FILE`, or name the file of a machine account's key with \
             --key-file"
        }
        Trouble::NotPermitted => "{said}; a security administrator gives rights (`docs/accounts.md`)",
        Trouble::Other => return None,
    })
}

/// What a variable of the environment says; an empty one says nothing.
fn set(value: Option<OsString>) -> Option<OsString> {
    value.filter(|value| !value.is_empty())
}

/// A PEM file that holds what it is named for.
fn pem(path: &Path, what: &str) -> anyhow::Result<Vec<u8>> {
    let text = fs::read(path).with_context(|| format!("read {}", path.display()))?;
    let holds = String::from_utf8_lossy(&text).contains(&format!("{what}-----"));
    ensure!(holds, "{} holds no {}: it must be PEM", path.display(), what.to_lowercase());
    Ok(text)
}

#[cfg(test)]
mod tests;
