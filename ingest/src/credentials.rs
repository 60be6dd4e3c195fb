//! A camera's user and password. They never show: not in `Debug`, not in `Display`, not in an error.

use std::fmt;

/// A user and a password.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Credentials {
    user: String,
    password: String,
}

impl Credentials {
    /// Takes both.
    pub fn new(user: impl Into<String>, password: impl Into<String>) -> Self {
        Self { user: user.into(), password: password.into() }
    }
    /// User and password in the clear, for the local socket that hands them to a node; never for anything printed.
    pub fn expose(&self) -> (&str, &str) {
        (&self.user, &self.password)
    }
    /// For the element that signs in, and for the store; nobody else.
    pub(crate) fn user(&self) -> &str {
        &self.user
    }
    /// For the element that signs in, and for the store; nobody else.
    pub(crate) fn password(&self) -> &str {
        &self.password
    }
    /// The text without the user and the password, wherever they stand in it.
    pub(crate) fn redact(&self, text: &str) -> String {
        let mut text = text.to_owned();
        // One or two characters would tear up any text, and hide nothing.
        for secret in [&self.password, &self.user].into_iter().filter(|secret| secret.len() > 2) {
            text = text.replace(secret.as_str(), "[redacted]");
        }
        text
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials([redacted])")
    }
}

impl fmt::Display for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_prints_shows_a_secret() {
        let secret = Credentials::new("canary-user", "canary-password");
        assert!(!format!("{secret:?} {secret} {secret:#?}").contains("canary"));
        let text = secret.redact("rtsp://canary-user:canary-password@10.0.0.1/");
        assert!(!text.contains("canary"), "{text}");
    }
}
