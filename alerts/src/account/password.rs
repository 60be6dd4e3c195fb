//! Passwords: which are good enough, and their hashes (argon2id, RFC 9106).

use argon2::{
    Algorithm, Argon2, Params, PasswordHash, PasswordHasher as _, PasswordVerifier as _, Version,
    password_hash::SaltString,
};

use super::token;
use crate::error::{Error, Result};

/// What one hash takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// Memory, KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
}

impl Default for Cost {
    fn default() -> Self {
        // What OWASP's sheet on storing passwords asks of argon2id at least (2023): some 20 ms here.
        Self { memory_kib: 19 * 1024, passes: 2 }
    }
}

/// Bytes that are looked at: more would only cost time.
pub(super) const LONGEST: usize = 256;
/// Fewest characters.
const SHORTEST: usize = 12;

/// Refuses a password that is too easy: GB/T 22239 asks for complexity and length.
pub(super) fn check(password: &str, name: &str) -> Result<()> {
    let refuse = |text: &str| Err(Error::Invalid(format!("password: {text}")));
    if password.chars().count() < SHORTEST {
        return refuse("use at least 12 characters");
    }
    if password.len() > LONGEST {
        return refuse("use at most 256 bytes");
    }
    let kinds: [fn(char) -> bool; 4] = [
        |c| c.is_lowercase() || (c.is_alphabetic() && !c.is_uppercase()),
        char::is_uppercase,
        |c| c.is_numeric(),
        |c| !c.is_alphanumeric(),
    ];
    if kinds.iter().filter(|kind| password.chars().any(kind)).count() < 3 {
        return refuse("mix three of small letters, capitals, digits and signs");
    }
    let distinct: std::collections::BTreeSet<char> = password.chars().collect();
    if distinct.len() < 6 {
        return refuse("use at least six different characters");
    }
    if password.to_lowercase().contains(&name.to_lowercase()) {
        return refuse("it must not hold the account's name");
    }
    Ok(())
}

fn hasher(cost: Cost) -> Result<Argon2<'static>> {
    let params = Params::new(cost.memory_kib, cost.passes, 1, None);
    let params = params.map_err(|error| Error::Internal(format!("the cost of hashing: {error}")))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

/// The hash of a password, as a PHC string. Takes some 20 ms and 19 MiB: not to be called on a thread that others need.
pub(super) fn hash(password: &str, cost: Cost) -> Result<String> {
    let fault = |error| Error::Internal(format!("hash a password: {error}"));
    let salt = SaltString::encode_b64(&token::random::<16>()?).map_err(fault)?;
    Ok(hasher(cost)?.hash_password(password.as_bytes(), &salt).map_err(fault)?.to_string())
}

/// Whether a password is that of a hash. Takes as long as hashing it.
pub(super) fn is(password: &str, hash: &str) -> bool {
    let Ok(hash) = PasswordHash::new(hash) else { return false };
    // The cost stands in the hash.
    Argon2::default().verify_password(password.as_bytes(), &hash).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn easy_passwords_are_refused_with_what_to_change() {
        for (password, part) in [
            ("Short-1", "12 characters"),
            ("alllowercaseletters", "mix three"),
            ("lettersand12345", "mix three"),
            ("Aa1Aa1Aa1Aa1Aa1", "six different"),
            ("The-Ana.Li-77-gate", "account's name"),
        ] {
            let refused = check(password, "ana.li").unwrap_err().to_string();
            assert!(refused.contains(part) && !refused.contains(password), "{password}: {refused}");
        }
        assert!(check(&"Long-1".repeat(60), "ana").is_err());
        for good in ["Nine-lamps-by-the-river", "水边的九盏灯-夜里亮着7", "correct Horse battery 9"]
        {
            assert_eq!(check(good, "ana"), Ok(()), "{good}");
        }
    }

    #[test]
    fn a_hash_is_of_its_password_alone_and_never_twice_the_same() {
        let cost = Cost { memory_kib: 64, passes: 1 };
        let (one, other) = (hash("secret", cost).unwrap(), hash("secret", cost).unwrap());
        assert_ne!(one, other);
        assert!(one.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{one}");
        assert!(is("secret", &one) && is("secret", &other) && !is("Secret", &one));
        assert!(!is("secret", "") && !is("", &one));
    }
}
