//! Why a call came to nothing, told from what the libraries below say. What to do about it is told by whoever knows how the
//! service was named: a command has options, a page has none.

use std::error::Error as _;

use tonic::{Code, Status};

/// Why a call came to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Nothing listens there.
    Nobody,
    /// No authority that is trusted vouches for the service's certificate.
    Untrusted,
    /// The service's certificate is over, or not valid yet.
    OutOfDate,
    /// The service's certificate is for another name than the one in the address.
    OtherName,
    /// The service asks for a certificate of its clients, and got none that it takes.
    WantsCertificate,
    /// The connection was closed before anything was answered: a service that speaks TLS does so to whoever speaks without.
    WantsTls,
    /// The service does not speak TLS.
    NoTls,
    /// The service does not know who calls.
    NotSignedIn,
    /// It knows, and they may not.
    NotPermitted,
    /// Whatever else; the status says it.
    Other,
}

/// Words of the libraries below by which trouble is told. Their types do not come through all layers, and
/// `each_trouble_is_told_from_all_others` holds the words to what they say.
const WORDS: [(&str, Trouble); 19] = [
    ("UnknownIssuer", Trouble::Untrusted),
    ("NotValidForName", Trouble::OtherName),
    ("not valid for name", Trouble::OtherName),
    ("certificate expired", Trouble::OutOfDate),
    ("certificate not valid yet", Trouble::OutOfDate),
    ("Expired", Trouble::OutOfDate),
    ("NotValidYet", Trouble::OutOfDate),
    // Alerts of the other side.
    ("CertificateRequired", Trouble::WantsCertificate),
    ("UnknownCA", Trouble::WantsCertificate),
    ("UnknownCa", Trouble::WantsCertificate),
    ("BadCertificate", Trouble::WantsCertificate),
    ("DecryptError", Trouble::WantsCertificate),
    ("AccessDenied", Trouble::WantsCertificate),
    ("HandshakeFailure", Trouble::WantsCertificate),
    ("InvalidContentType", Trouble::NoTls),
    ("corrupt message", Trouble::NoTls),
    ("invalid peer certificate", Trouble::Untrusted),
    ("Connection refused", Trouble::Nobody),
    ("No such file or directory", Trouble::Nobody),
];

impl Trouble {
    /// The same of a service that had answered before: it was spoken to as it wants, and has gone since.
    #[must_use]
    pub fn once_open(self) -> Self {
        if self == Self::WantsTls { Self::Other } else { self }
    }
    /// Why a call came to nothing.
    pub fn of(status: &Status) -> Self {
        match status.code() {
            Code::Unauthenticated => return Self::NotSignedIn,
            Code::PermissionDenied => return Self::NotPermitted,
            _ => {}
        }
        // Only a connection that failed has a cause on this side.
        let Some(cause) = status.source() else { return Self::Other };
        let mut told = String::new();
        let mut next = Some(cause);
        while let Some(cause) = next {
            told.push_str(&cause.to_string());
            told.push('\n');
            next = cause.source();
        }
        let known = WORDS.iter().find(|(word, _)| told.contains(word)).map(|(_, trouble)| *trouble);
        known.unwrap_or_else(|| {
            // A listener that waits for a handshake closes what begins otherwise.
            let closed = ["frame with invalid size", "connection closed", "Connection reset", "broken pipe"];
            if closed.iter().any(|word| told.contains(word)) { Self::WantsTls } else { Self::Other }
        })
    }
}
