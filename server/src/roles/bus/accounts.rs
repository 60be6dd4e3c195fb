//! The accounts of the bus: what the configuration says about them, and the one-time token of a service without any.

use std::{
    collections::BTreeMap,
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    time::Duration,
};

use anyhow::Context as _;
use tracing::warn;
use xueliang_alerts::{
    account::{AccountOptions, Accounts},
    bus::Bus,
};
use xueliang_base::config::{Config, SignIn};

use crate::state::StateDir;

/// What the configuration says about accounts.
fn options(config: &Config) -> AccountOptions {
    let mut reserved: BTreeMap<String, &'static str> = BTreeMap::new();
    reserved.insert("local".to_owned(), "the operator of this machine");
    reserved.insert("bus".to_owned(), "the bus");
    reserved.insert(config.node.to_string(), "the node");
    reserved.extend(config.publishers.iter().map(|one| (one.name.to_string(), "a publisher")));
    reserved.extend(config.sinks.iter().map(|one| (one.id.to_string(), "a sink")));
    let days = u64::from(config.api.password_days);
    AccountOptions {
        idle: config.api.session_idle,
        longest: config.api.session_longest,
        password_age: (days > 0).then(|| Duration::from_secs(days * 24 * 3600)),
        reserved,
        proxies: config.api.proxies.clone(),
        ..AccountOptions::default()
    }
}

/// Reads the accounts. Where sign-in is asked for and there is none, a one-time token is left for whoever runs the service: in
/// a file that only they can read, since logs are collected and read by others.
pub async fn open(state: &StateDir, config: &Config, bus: &Bus) -> anyhow::Result<Accounts> {
    let accounts = Accounts::open(bus, state.root(), options(config)).await?;
    let path = state.set_up_token();
    if config.api.sign_in == SignIn::Required
        && let Some(token) = accounts.first_token().await?
    {
        write(&path, &token).with_context(|| format!("write {}", path.display()))?;
        warn!(
            token_file = %path.display(),
            "there is no account yet: set the first one up with the one-time token in this file, within a day \
             (`xueliang account set-up`), or make one with `xueliang account add`"
        );
    } else if let Err(error) = fs::remove_file(&path)
        && error.kind() != io::ErrorKind::NotFound
    {
        warn!(%error, path = %path.display(), "a one-time token that no longer counts is left over: remove it");
    }
    Ok(accounts)
}

fn write(path: &Path, token: &str) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    writeln!(file, "{token}")?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use xueliang_alerts::{
        bus::BusOptions,
        rights::{Principal, PrincipalKind},
    };
    use xueliang_base::time::SystemClock;
    use xueliang_proto::v1;

    use super::*;

    fn config(more: &str) -> Config {
        let text = format!(
            "site = \"t\"\nstate_dir = \"s\"\nnetworks = [\"127.0.0.0/8\"]\n{more}\n\
             [[division]]\ncode = \"33\"\nname = \"n\"\n\
             [[camera]]\nid = \"c\"\nname = \"n\"\ndivision = \"33\"\nurl = \"rtsp://127.0.0.1/x\"\n"
        );
        Config::parse(&text, Path::new("/")).unwrap()
    }

    #[tokio::test]
    async fn the_first_token_lies_with_its_owner_alone_until_there_is_an_account() {
        let folder = tempfile::tempdir().unwrap();
        let state = StateDir::at(folder.path());
        let bus = Bus::open(folder.path(), SystemClock::shared(), BusOptions::default()).unwrap();
        open(&state, &config("[api]\nsign_in = \"none\""), &bus).await.unwrap();
        assert!(!state.set_up_token().exists(), "nobody signs in");
        let mut tokens = Vec::new();
        for _ in 0..2 {
            open(&state, &config(""), &bus).await.unwrap();
            let mode = fs::metadata(state.set_up_token()).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
            tokens.push(fs::read_to_string(state.set_up_token()).unwrap());
        }
        assert_ne!(tokens[0], tokens[1]);
        let accounts = open(&state, &config(""), &bus).await.unwrap();
        let root = v1::Account {
            name: "root".into(),
            display_name: "Root".into(),
            unit: "Town".into(),
            roles: vec![v1::Role::SecurityAdmin.into()],
            whole_town: true,
            ..v1::Account::default()
        };
        let local = Principal::new("local", PrincipalKind::Operator);
        for name in ["node-1", "local", "bus"] {
            let taken = v1::Account { name: name.into(), ..root.clone() };
            assert!(accounts.create(&local, &taken).await.is_err(), "{name}");
        }
        accounts.create(&local, &root).await.unwrap();
        open(&state, &config(""), &bus).await.unwrap();
        assert!(!state.set_up_token().exists());
    }
}
