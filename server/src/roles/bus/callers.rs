//! Who calls at the public listeners: an account by its session or key, an external publisher by its token, or, where the
//! listener says so, the operator of this machine.

use std::{collections::BTreeMap, fs, path::Path, sync::Arc, sync::atomic::Ordering};

use anyhow::{Context, bail};
use tonic::codegen::http::{HeaderMap, header::AUTHORIZATION};
use tracing::error;
use xueliang_alerts::{
    account::{Accounts, Caller},
    error::Error,
    external::External,
    rights::{Principal, PrincipalKind},
};
use xueliang_base::{
    alert::Sha256,
    config::{Config, SignIn},
    id::PublisherName,
};

/// Fewest characters of a token.
const LEAST: usize = 32;

/// What a listener makes of whoever names nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nameless {
    /// Whoever can connect is the operator of this machine.
    Operator,
    /// Nobody, who may sign in and do little else.
    Nobody,
}

impl Nameless {
    /// As a configuration has it for its listeners.
    pub fn of(config: &Config) -> Self {
        match config.api.sign_in {
            SignIn::Required => Self::Nobody,
            SignIn::None => Self::Operator,
        }
    }
}

/// Tokens of external publishers, as their digests (a comparison tells nobody how much of a guess was right), and accounts.
#[derive(Clone)]
pub struct Callers {
    tokens: Arc<BTreeMap<Sha256, Principal>>,
    external: Arc<External>,
    accounts: Accounts,
}

impl Callers {
    /// Those of a configuration in force. A publisher whose token cannot be read now may not publish.
    pub fn of(config: &Config, external: Arc<External>, accounts: Accounts) -> Self {
        let mut tokens = BTreeMap::new();
        for publisher in &config.publishers {
            match read_token(&publisher.token_file) {
                Ok(token) => {
                    let divisions = Some(publisher.divisions.clone());
                    let named = Principal::new(publisher.name.as_str(), PrincipalKind::Publisher);
                    tokens.insert(token, Principal { divisions, ..named });
                }
                Err(fault) => {
                    error!(publisher = %publisher.name, error = format!("{fault:#}"), "it may not publish");
                }
            }
        }
        Self { tokens: Arc::new(tokens), external, accounts }
    }
    /// Who calls, by what its headers say; `None` for nobody. Refuses one who cannot be who they say.
    pub fn who(&self, headers: &HeaderMap, nameless: Nameless) -> Result<Option<Caller>, Error> {
        let without_session = |principal| Ok(Some(Caller { principal, session: None }));
        let Some(said) = headers.get(AUTHORIZATION) else {
            return match nameless {
                Nameless::Operator => without_session(Principal::new("local", PrincipalKind::Operator)),
                Nameless::Nobody => Ok(None),
            };
        };
        let token = said.to_str().ok().and_then(|said| said.split_once(' '));
        let token = token.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        let token = token.map(|(_, token)| token.trim()).unwrap_or_default();
        if let Some(publisher) = self.tokens.get(&Sha256::of(token.as_bytes())) {
            return without_session(publisher.clone());
        }
        self.accounts.caller(token).map(Some).ok_or_else(|| {
            self.external.unknown_tokens.fetch_add(1, Ordering::Relaxed);
            Error::NotSignedIn(
                "this token is nobody's: sign in again, or send `authorization: Bearer TOKEN` with what a publisher's \
                 token_file holds"
                    .to_owned(),
            )
        })
    }
}

/// The digest of a token that a file holds.
fn read_token(path: &Path) -> anyhow::Result<Sha256> {
    let text = fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    let token = text.trim();
    // What it holds is not repeated in messages.
    if token.len() < LEAST || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        bail!(
            "{} must hold one line, a token of at least {LEAST} letters, digits and signs: `openssl rand -hex 32` makes \
             one",
            path.display()
        );
    }
    Ok(Sha256::of(token.as_bytes()))
}

/// What is wrong with the tokens of a configuration, with their paths.
pub fn token_faults(config: &Config) -> Vec<(String, String)> {
    let mut faults = Vec::new();
    let mut seen: BTreeMap<Sha256, &PublisherName> = BTreeMap::new();
    for publisher in &config.publishers {
        let path = format!("publisher[{}].token_file", publisher.name);
        match read_token(&publisher.token_file) {
            Err(fault) => faults.push((path, format!("{fault:#}"))),
            Ok(token) => {
                if let Some(other) = seen.insert(token, &publisher.name) {
                    faults.push((path, format!("holds the token of {other}: give each its own")));
                }
            }
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use xueliang_alerts::{
        account::{AccountOptions, Cost},
        bus::{Bus, BusOptions},
    };
    use xueliang_base::{error::ErrorKind, id::ConfigRevision, time::SystemClock};
    use xueliang_proto::v1;

    use super::*;

    const TOKEN: &str = "0123456789abcdef0123456789abcdef";

    fn config(folder: &Path) -> Config {
        let publisher = |name: &str| {
            format!(
                "[[publisher]]\nname = \"{name}\"\ntoken_file = \"{name}.token\"\ndivisions = [\"33\"]\n\
                 kinds = [\"FIRE_FLAME\"]\n"
            )
        };
        let text = format!(
            "site = \"t\"\nstate_dir = \"s\"\nnetworks = [\"127.0.0.0/8\"]\n\
             [[division]]\ncode = \"33\"\nname = \"n\"\n\
             [[camera]]\nid = \"c\"\nname = \"n\"\ndivision = \"33\"\nurl = \"rtsp://127.0.0.1/x\"\n{}{}",
            publisher("box-7"),
            publisher("box-8")
        );
        Config::parse(&text, folder).unwrap()
    }

    async fn callers(folder: &Path, config: &Config) -> Callers {
        let external = Arc::new(External::of(config, ConfigRevision(1)));
        let bus = Bus::open(folder, SystemClock::shared(), BusOptions::default()).unwrap();
        let options =
            AccountOptions { cost: Cost { memory_kib: 64, passes: 1 }, ..AccountOptions::default() };
        let accounts = Accounts::open(&bus, folder, options).await.unwrap();
        Callers::of(config, external, accounts)
    }

    fn who(callers: &Callers, authorization: &str) -> Result<Option<Caller>, Error> {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, authorization.parse().unwrap());
        callers.who(&headers, Nameless::Operator)
    }

    #[tokio::test]
    async fn a_token_makes_its_publisher_or_account_and_a_wrong_one_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(folder.path());
        fs::write(folder.path().join("box-7.token"), format!("{TOKEN}\n")).unwrap();
        let callers = callers(folder.path(), &config).await;
        let publisher = who(&callers, &format!("Bearer {TOKEN}")).unwrap().unwrap();
        let divisions = Some(vec!["33".parse().unwrap()]);
        let expected = Principal { divisions, ..Principal::new("box-7", PrincipalKind::Publisher) };
        assert_eq!(publisher.principal, expected, "what it reports of is at its places, too");
        let local = Principal::new("local", PrincipalKind::Operator);
        let machine = v1::Account {
            name: "city".into(),
            display_name: "City".into(),
            unit: "City".into(),
            roles: vec![v1::Role::ExternalPlatform.into()],
            whole_town: true,
            machine: true,
            ..v1::Account::default()
        };
        let (_, handed) = callers.accounts.create(&local, &machine).await.unwrap();
        let account = who(&callers, &format!("bearer {}", handed.token)).unwrap().unwrap();
        assert_eq!((account.principal.name.as_str(), account.session), ("city", None));

        let none = HeaderMap::new();
        assert_eq!(callers.who(&none, Nameless::Operator).unwrap().unwrap().principal, local);
        assert_eq!(callers.who(&none, Nameless::Nobody).unwrap(), None);
        let wrong = TOKEN.replace('f', "e");
        // Nobody is who holds a handler's link: the guard lets it to the calls of links without asking here.
        let link = format!("Bearer xlh_{TOKEN}{TOKEN}");
        let others =
            [format!("Bearer {wrong}"), format!("Basic {TOKEN}"), TOKEN.to_owned(), "Bearer ".to_owned()];
        for said in others.into_iter().chain([link]) {
            // Never the operator, even where whoever names nobody is.
            let refused = who(&callers, &said).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::Unauthenticated);
            assert!(!refused.to_string().contains(&wrong), "{refused}");
        }
        assert_eq!(callers.external.unknown_tokens.load(Ordering::Relaxed), 5);
    }

    #[test]
    fn tokens_that_are_missing_short_or_shared_are_faults_and_never_repeated() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(folder.path());
        fs::write(folder.path().join("box-7.token"), "hunter2").unwrap();
        let faults = token_faults(&config);
        assert_eq!(faults.len(), 2, "{faults:?}");
        assert!(faults[0].0 == "publisher[box-7].token_file" && faults[0].1.contains("at least 32"));
        assert!(faults[1].1.contains("box-8.token") && !format!("{faults:?}").contains("hunter2"));
        for name in ["box-7.token", "box-8.token"] {
            fs::write(folder.path().join(name), TOKEN).unwrap();
        }
        let faults = token_faults(&config);
        assert_eq!(faults.len(), 1);
        assert!(faults[0].1.contains("holds the token of box-7"), "{faults:?}");
    }
}
