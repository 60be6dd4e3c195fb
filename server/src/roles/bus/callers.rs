//! Who calls at the public listener: the operator of this machine, or an external publisher by its token.

use std::{collections::BTreeMap, fs, path::Path, sync::Arc, sync::atomic::Ordering};

use anyhow::{Context, bail};
use tonic::{Request, Status, metadata::MetadataMap};
use tracing::error;
use xueliang_alerts::{
    external::External,
    rights::{Principal, PrincipalKind},
};
use xueliang_base::{alert::Sha256, config::Config, id::PublisherName};

/// Fewest characters of a token.
const LEAST: usize = 32;

/// Tokens of external publishers, as their digests: a comparison tells nobody how much of a guess was right.
#[derive(Debug, Clone)]
pub struct Callers {
    tokens: Arc<BTreeMap<Sha256, PublisherName>>,
    external: Arc<External>,
}

impl Callers {
    /// Those of a configuration in force. A publisher whose token cannot be read now may not publish.
    pub fn of(config: &Config, external: Arc<External>) -> Self {
        let mut tokens = BTreeMap::new();
        for publisher in &config.publishers {
            match read_token(&publisher.token_file) {
                Ok(token) => drop(tokens.insert(token, publisher.name.clone())),
                Err(fault) => {
                    error!(publisher = %publisher.name, error = format!("{fault:#}"), "it may not publish");
                }
            }
        }
        Self { tokens: Arc::new(tokens), external }
    }
    /// Puts the caller into a request, or refuses one who cannot be who they say.
    pub fn sign_in<T>(&self, mut request: Request<T>) -> Result<Request<T>, Status> {
        let principal = self.principal(request.metadata())?;
        request.extensions_mut().insert(principal);
        Ok(request)
    }
    fn principal(&self, metadata: &MetadataMap) -> Result<Principal, Status> {
        let Some(said) = metadata.get("authorization") else {
            // Until sign-in exists, whoever can connect to loopback is the operator of this machine.
            return Ok(Principal::new("local", PrincipalKind::Operator));
        };
        let token = said.to_str().ok().and_then(|said| said.split_once(' '));
        let token = token.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        let name = token.and_then(|(_, token)| self.tokens.get(&Sha256::of(token.trim().as_bytes())));
        let Some(name) = name else {
            self.external.unknown_tokens.fetch_add(1, Ordering::Relaxed);
            return Err(Status::unauthenticated(
                "this token is no publisher's: send `authorization: Bearer TOKEN` with what its token_file holds, or no \
                 authorization at all",
            ));
        };
        Ok(Principal::new(name.as_str(), PrincipalKind::Publisher))
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
    use xueliang_base::id::ConfigRevision;

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

    fn who(callers: &Callers, authorization: Option<&str>) -> Result<Principal, Status> {
        let mut request = Request::new(());
        if let Some(said) = authorization {
            request.metadata_mut().insert("authorization", said.parse().unwrap());
        }
        callers.sign_in(request).map(|request| request.extensions().get::<Principal>().unwrap().clone())
    }

    #[test]
    fn a_token_makes_its_publisher_and_a_wrong_one_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(folder.path());
        fs::write(folder.path().join("box-7.token"), format!("{TOKEN}\n")).unwrap();
        let external = Arc::new(External::of(&config, ConfigRevision(1)));
        let callers = Callers::of(&config, Arc::clone(&external));
        let publisher = who(&callers, Some(&format!("Bearer {TOKEN}"))).unwrap();
        assert_eq!(publisher, Principal::new("box-7", PrincipalKind::Publisher));
        assert_eq!(who(&callers, None).unwrap(), Principal::new("local", PrincipalKind::Operator));
        let wrong = TOKEN.replace('f', "e");
        for said in
            [format!("Bearer {wrong}"), format!("Basic {TOKEN}"), TOKEN.to_owned(), "Bearer ".to_owned()]
        {
            let refused = who(&callers, Some(&said)).unwrap_err();
            assert_eq!(refused.code(), tonic::Code::Unauthenticated);
            assert!(!refused.message().contains(&wrong), "{refused}");
        }
        assert_eq!(external.unknown_tokens.load(Ordering::Relaxed), 4);
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
