//! Accounting of access units.

use xueliang_proto::v1;

use crate::accounting::Account;

impl From<&Account> for v1::Accounting {
    fn from(account: &Account) -> Self {
        let count = |word: &str, units: u64| v1::ReasonCount { reason: word.to_owned(), units };
        Self {
            received: account.received,
            looked_at: account.looked_at,
            referenced: account.referenced,
            skipped: account.skipped.iter().map(|(reason, units)| count(reason.word(), *units)).collect(),
            lost: account.lost.iter().map(|(reason, units)| count(reason.word(), *units)).collect(),
            in_ring: account.in_ring,
            in_flight: account.in_flight,
        }
    }
}
