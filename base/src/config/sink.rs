//! `[[sink]]`: where alerts are sent on to.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{
    Division,
    reader::{Section, list, parsed, text, whole},
};
use crate::{
    id::{DivisionCode, SinkName},
    kind::{Kind, Level},
};

/// Where alerts are sent on to, as signed webhooks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sink {
    /// Its name.
    pub id: SinkName,
    /// `https://`, or `http://` to this machine or a private network.
    pub url: url::Url,
    /// Networks its address must lie in.
    pub networks: Vec<ipnet::IpNet>,
    /// File of the secret that signs. Never the secret itself.
    pub secret_file: PathBuf,
    /// Certificates that vouch for it, PEM; `None`: those of this machine.
    pub ca_file: Option<PathBuf>,
    /// Subtrees of the division tree; empty: all.
    pub divisions: Vec<DivisionCode>,
    /// Kinds; empty: all.
    pub kinds: Vec<Kind>,
    /// Least severe level; `None`: all.
    pub least_level: Option<Level>,
    /// Whether the redacted still goes along.
    pub with_still: bool,
    /// Whether it is told when desks are told of cases, too. Revisions of earlier versions tell none.
    #[serde(default)]
    pub with_cases: bool,
}

pub(super) fn read(root: &Section<'_>, base_dir: &Path, divisions: &[Division]) -> Vec<Sink> {
    let mut sinks: Vec<Sink> = Vec::new();
    for sink in root.sections("sink", |s| read_one(s, base_dir)) {
        let at = format!("sink[{}]", sink.id);
        if sinks.iter().any(|other| other.id == sink.id) {
            root.fault_at("sink", format!("{at}: the id is used twice"));
        }
        for code in &sink.divisions {
            if !divisions.iter().any(|division| &division.code == code) {
                root.fault_at("sink", format!("{at}: division {code} is not declared"));
            }
        }
        sinks.push(sink);
    }
    sinks
}

fn read_one(s: &Section<'_>, base_dir: &Path) -> Option<Sink> {
    let id = s.req("id", parsed);
    let url = s.req("url", |v| {
        let written = v.as_str().ok_or("a text was expected, as \"https://city.example/alerts\"")?;
        // The text is not repeated in messages: it may hold a token.
        let url =
            url::Url::parse(written).map_err(|e| format!("is no URL ({e}), write https://HOST/PATH"))?;
        if !matches!(url.scheme(), "https" | "http") {
            return Err(format!("has scheme {}, use https://", url.scheme()));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("holds a user or password: sendings are signed with secret_file instead".to_owned());
        }
        Ok(url)
    });
    let networks = s.req("networks", |v| {
        let networks = list(v, parsed::<ipnet::IpNet>)?;
        if networks.is_empty() { Err("list the networks it is in".to_owned()) } else { Ok(networks) }
    });
    let secret_file = s.req("secret_file", text).map(|path| base_dir.join(path));
    let ca_file = s.opt("ca_file", text).map(|path| base_dir.join(path));
    let divisions = s.or("divisions", Vec::new(), |v| list(v, parsed));
    let kinds = s.or("kinds", Vec::new(), |v| list(v, parsed));
    let least_level = s.opt("least_level", |v| {
        let number = u8::try_from(whole(1, 4)(v)?).unwrap_or(4);
        Level::try_from(number).map_err(|e| e.to_string())
    });
    let with_still = s.or("content", false, |v| match text(v)?.as_str() {
        "metadata" => Ok(false),
        "metadata_and_redacted_still" => Ok(true),
        other => Err(format!("{other:?}: use \"metadata\" or \"metadata_and_redacted_still\"")),
    });
    let with_cases = s.or("cases", false, |v| match text(v)?.as_str() {
        "none" => Ok(false),
        "notices" => Ok(true),
        other => Err(format!("{other:?}: use \"none\" or \"notices\"")),
    });
    Some(Sink {
        id: id?,
        url: url?,
        networks: networks?,
        secret_file: secret_file?,
        ca_file,
        divisions,
        kinds,
        least_level,
        with_still,
        with_cases,
    })
}
