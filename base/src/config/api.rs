//! `[api]`: who may call the service, and over what.

use std::{
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use toml::de::DeValue;

use super::{
    Listen,
    reader::{Section, duration, list, text, whole},
};

const MINUTE: Duration = Duration::from_secs(60);

/// Who may call the service, and over what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiOptions {
    /// Whether callers over `listen.api` must be signed in.
    pub sign_in: SignIn,
    /// A session that nothing calls with for so long ends.
    pub session_idle: Duration,
    /// A session ends after so long, used or not.
    pub session_longest: Duration,
    /// Days after which a password must be changed; 0: never.
    pub password_days: u32,
    /// TLS of `listen.api`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<ApiTls>,
    /// Proxies whose `x-forwarded-for` says from where somebody signs in; none: nobody's does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub proxies: Vec<IpNet>,
}

impl Default for ApiOptions {
    fn default() -> Self {
        Self {
            sign_in: SignIn::Required,
            session_idle: 30 * MINUTE,
            // A shift.
            session_longest: 12 * 60 * MINUTE,
            password_days: 90,
            tls: None,
            proxies: Vec::new(),
        }
    }
}

/// Whether callers must be signed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SignIn {
    /// They must.
    Required,
    /// Whoever can connect is the operator of this machine: for demonstrations and tests, on loopback only.
    None,
}

/// Files of TLS, PEM.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiTls {
    /// The certificate, with those between it and its root.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// Certificates that vouch for clients; `None`: clients show none.
    pub client_ca: Option<PathBuf>,
}

pub(super) fn read(root: &Section<'_>, base_dir: &Path) -> ApiOptions {
    let d = ApiOptions::default();
    root.section("api", |s| ApiOptions {
        sign_in: s.or("sign_in", d.sign_in, |v| match text(v)?.as_str() {
            "required" => Ok(SignIn::Required),
            "none" => Ok(SignIn::None),
            other => Err(format!("{other:?}: use \"required\" or \"none\"")),
        }),
        session_idle: s.or("session_idle", d.session_idle, duration(MINUTE, 24 * 60 * MINUTE)),
        session_longest: s.or("session_longest", d.session_longest, duration(MINUTE, 7 * 24 * 60 * MINUTE)),
        password_days: s.opt("password_days", whole(0, 3650)).map_or(d.password_days, |n| n as u32),
        tls: s
            .section("tls", |t| {
                let file = |key: &'static str| t.req(key, text).map(|path| base_dir.join(path));
                let (certificate, key) = (file("certificate"), file("key"));
                let client_ca = t.opt("client_ca", text).map(|path| base_dir.join(path));
                Some(ApiTls { certificate: certificate?, key: key?, client_ca })
            })
            .flatten(),
        proxies: s.or("proxies", Vec::new(), |v| list(v, proxy)),
    })
    .unwrap_or_default()
}

/// One address, or a network of them. Not all there are: whoever connects could say to come from anywhere.
fn proxy(value: &DeValue<'_>) -> Result<IpNet, String> {
    let written = text(value)?;
    let one = written.parse::<IpAddr>().map(IpNet::from);
    let network = one.or_else(|_| written.parse::<IpNet>());
    match network.map_err(|_| {
        format!("{written:?}: write an address, as \"10.0.0.7\", or a network, as \"10.0.0.0/28\"")
    })? {
        all if all.prefix_len() < 8 => Err(format!("{all}: name the proxies, not everyone who can connect")),
        network => Ok(network),
    }
}

/// Reads `[listen]`. What is not loopback is for those who are signed in, over TLS.
pub(super) fn read_listen(root: &Section<'_>, api: &ApiOptions) -> Listen {
    let d = Listen {
        api: ([127, 0, 0, 1], 8750).into(),
        admin: ([127, 0, 0, 1], 8751).into(),
        console: default_console(),
    };
    let open = api.sign_in == SignIn::Required && api.tls.is_some();
    root.section("listen", |s| Listen {
        api: s.or("api", d.api, |v| match address(v)? {
            address if address.ip().is_loopback() || open => Ok(address),
            address => Err(format!(
                "{address} is not loopback: what others can reach needs [api.tls] and sign_in = \"required\""
            )),
        }),
        admin: s.or("admin", d.admin, |v| match address(v)? {
            address if address.ip().is_loopback() => Ok(address),
            address => {
                Err(format!("{address} is not loopback: the admin listener has no sign-in and no TLS"))
            }
        }),
        console: s.or("console", d.console, |v| match address(v)? {
            address if address.ip().is_loopback() => Ok(address),
            address => Err(format!(
                "{address} is not loopback: the operators' page is served without TLS, put a proxy with TLS before it"
            )),
        }),
    })
    .unwrap_or(d)
}

/// Also of revisions that were made before there was a page.
pub(super) fn default_console() -> SocketAddr {
    ([127, 0, 0, 1], 8752).into()
}

fn address(value: &DeValue<'_>) -> Result<SocketAddr, String> {
    text(value)?.parse().map_err(|_| "write an address and port, as \"127.0.0.1:8750\"".to_owned())
}
