//! Identifiers, one type each, parsed at the edge.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};

/// Why a text is not an identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not {what}: {rule}")]
pub struct IdError {
    text: String,
    what: &'static str,
    rule: &'static str,
}

const NAME_RULE: &str = "use 1 to 64 characters out of a-z, A-Z, 0-9, dot, underscore and hyphen, beginning with a letter or digit";

fn is_name(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.as_bytes()[0].is_ascii_alphanumeric()
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

macro_rules! name_id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                if is_name(text) {
                    Ok(Self(text.into()))
                } else {
                    Err(IdError { text: text.to_owned(), what: $what, rule: NAME_RULE })
                }
            }
        }
        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                text.parse()
            }
        }
        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0.as_ref().to_owned()
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name_id!(
    /// A camera (point). A 20-digit GB/T 28181 code is a valid one.
    CameraId,
    "a camera id"
);
name_id!(
    /// A zone, unique within its camera.
    ZoneId,
    "a zone name"
);
name_id!(
    /// A rule, unique within its camera.
    RuleId,
    "a rule name"
);
name_id!(
    /// A division of the administrative tree; statutory codes are digits, functional nodes may be words.
    DivisionCode,
    "a division code"
);
name_id!(
    /// A node: one process that runs cameras.
    NodeId,
    "a node id"
);
name_id!(
    /// A model, as its manifest names it.
    ModelName,
    "a model name"
);
name_id!(
    /// An external system that publishes alerts.
    PublisherName,
    "a publisher's name"
);
name_id!(
    /// What cameras hang on: a recorder, switch or line. Unlike any camera's id.
    UpstreamId,
    "an upstream's id"
);
name_id!(
    /// The name of a set of camera credentials.
    CredentialName,
    "a credential name"
);

name_id!(
    /// A sink: another system that alerts are sent on to.
    SinkName,
    "a sink name"
);

/// An alert's identity, minted once by the node (UUID version 7: sorts by time of minting).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AlertId(uuid::Uuid);

impl AlertId {
    /// Mints a new id.
    pub fn mint() -> Self {
        Self(uuid::Uuid::now_v7())
    }
}
impl FromStr for AlertId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        uuid::Uuid::parse_str(text).map(Self).map_err(|_| IdError {
            text: text.to_owned(),
            what: "an alert id",
            rule: "it is a UUID as List and Subscribe print it",
        })
    }
}
impl fmt::Display for AlertId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

macro_rules! number_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub u64);
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number_id!(
    /// A look, counted from 1 in the life of one node process.
    LookId
);
number_id!(
    /// An applied configuration; grows by one with every change, never reused.
    ConfigRevision
);
number_id!(
    /// A state of one alert; grows by one with every change of that alert.
    AlertRevision
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_refuses_what_could_break_a_path_or_a_label() {
        for bad in ["", " ", "../etc", "a/b", "-a", "a b", "名", &"x".repeat(65)] {
            assert!(bad.parse::<CameraId>().is_err(), "{bad:?}");
        }
        for good in ["gate-1", "33028200001320000001", "a.b_c"] {
            assert_eq!(good.parse::<CameraId>().unwrap().as_str(), good);
        }
    }

    #[test]
    fn alert_ids_sort_by_minting() {
        let ids: Vec<_> = (0..100).map(|_| AlertId::mint()).collect();
        assert!(ids.is_sorted());
        assert_eq!(ids[0].to_string().parse::<AlertId>().unwrap(), ids[0]);
    }
}
