//! Growing waits after failures to sign in, for each name and for each address. Pure: time is a parameter.
//!
//! Counters lie in a table of fixed size, found by a keyed hash: nobody can flush it by trying many names, and whether a
//! name exists makes no difference. Two names that share a counter share its wait, which gives an attacker nothing: a
//! name that is known can be made to wait directly. Who is signed in already is not touched.

use std::{
    hash::{BuildHasher as _, RandomState},
    net::IpAddr,
    time::Duration,
};

use xueliang_base::time::Mono;

/// Failures of a name that cost no wait: typing errors.
const FREE_OF_NAME: u32 = 5;
/// Likewise of an address: a whole unit may sit behind one.
const FREE_OF_ADDRESS: u32 = 30;
/// The first wait; each further failure doubles it.
const FIRST_WAIT: Duration = Duration::from_secs(15);
/// The longest wait.
const LONGEST_WAIT: Duration = Duration::from_secs(15 * 60);
/// Failures are forgotten after so long without another.
const FORGET: Duration = Duration::from_secs(3600);
/// Counters for names, and as many for addresses.
const COUNTERS: usize = 8192;

#[derive(Debug, Clone, Copy, Default)]
struct Counter {
    failures: u32,
    last: Mono,
    /// No try before.
    until: Mono,
}

impl Counter {
    fn wait(&self, now: Mono) -> Option<Duration> {
        (self.until > now).then(|| self.until.since(now))
    }
    fn fail(&mut self, free: u32, now: Mono) {
        if now.since(self.last) >= FORGET {
            self.failures = 0;
        }
        self.failures = self.failures.saturating_add(1);
        self.last = now;
        if let Some(beyond) = self.failures.checked_sub(free) {
            let doubled = FIRST_WAIT.saturating_mul(1_u32 << beyond.min(16));
            self.until = now.plus(doubled.min(LONGEST_WAIT));
        }
    }
}

/// All counters.
pub(super) struct Lockout {
    hasher: RandomState,
    names: Vec<Counter>,
    addresses: Vec<Counter>,
}

impl Lockout {
    pub(super) fn new() -> Self {
        let counters = || vec![Counter::default(); COUNTERS];
        Self { hasher: RandomState::new(), names: counters(), addresses: counters() }
    }
    fn places(&self, name: &str, address: Option<IpAddr>) -> (usize, Option<usize>) {
        let place = |hash: u64| usize::try_from(hash % COUNTERS as u64).unwrap_or(0);
        let of = |address: IpAddr| match address.to_canonical() {
            // A subscriber has a whole /64.
            IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) >> 64 << 64).into()),
            v4 @ IpAddr::V4(_) => v4,
        };
        let address = address.map(|address| place(self.hasher.hash_one(("address", of(address)))));
        (place(self.hasher.hash_one(("name", name))), address)
    }
    /// Lets a try pass and counts it as failed until [`Lockout::passed`] says otherwise, so that many tries at once are no
    /// way around; or says how long to wait.
    pub(super) fn begin(&mut self, name: &str, address: Option<IpAddr>, now: Mono) -> Result<(), Duration> {
        let (name, address) = self.places(name, address);
        let waits = [self.names[name].wait(now), address.and_then(|place| self.addresses[place].wait(now))];
        if let Some(wait) = waits.into_iter().flatten().max() {
            return Err(wait);
        }
        self.names[name].fail(FREE_OF_NAME, now);
        if let Some(place) = address {
            self.addresses[place].fail(FREE_OF_ADDRESS, now);
        }
        Ok(())
    }
    /// A try was right as far as it went: `whole` where it signed in, which forgives all failures of the name. Those of the
    /// address stay but for this one: an account of one's own is no way to try others.
    pub(super) fn passed(&mut self, name: &str, address: Option<IpAddr>, whole: bool) {
        let (name, address) = self.places(name, address);
        // A wait that other failures earned stays.
        let forgive = |counter: &mut Counter, free: u32| {
            counter.failures = counter.failures.saturating_sub(1);
            if counter.failures < free {
                counter.until = Mono(0);
            }
        };
        if whole {
            self.names[name] = Counter::default();
        } else {
            forgive(&mut self.names[name], FREE_OF_NAME);
        }
        if let Some(place) = address {
            forgive(&mut self.addresses[place], FREE_OF_ADDRESS);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }
    const START: Mono = Mono(1_000_000_000_000_000);

    #[test]
    fn waits_of_a_name_grow_to_their_bound_and_are_forgotten() {
        let mut lockout = Lockout::new();
        let mut now = START;
        for failure in 0..FREE_OF_NAME {
            assert_eq!(lockout.begin("ana", address(&format!("192.0.2.{failure}")), now), Ok(()));
        }
        let mut waits = Vec::new();
        for failure in 0..9 {
            let from = address(&format!("198.51.100.{failure}"));
            let wait = lockout.begin("ana", from, now).unwrap_err();
            assert_eq!(lockout.begin("ana", from, now), Err(wait), "a try in vain costs nothing");
            assert_eq!(lockout.begin("ben", None, now), Ok(()), "others are not touched");
            lockout.passed("ben", None, true);
            waits.push(wait.as_secs());
            now = now.plus(wait);
            assert_eq!(lockout.begin("ana", from, now), Ok(()));
        }
        assert_eq!(waits, [15, 30, 60, 120, 240, 480, 900, 900, 900]);
        now = now.plus(FORGET);
        for _ in 0..FREE_OF_NAME {
            assert_eq!(lockout.begin("ana", None, now), Ok(()));
        }
        assert!(lockout.begin("ana", None, now).is_err());
    }

    #[test]
    fn who_signs_in_is_forgiven_and_an_address_keeps_its_failures() {
        let mut lockout = Lockout::new();
        let from = address("192.0.2.7");
        for round in 0..FREE_OF_ADDRESS {
            assert_eq!(lockout.begin(&format!("name-{round}"), from, START), Ok(()), "{round}");
            // An account of the attacker's own, in between.
            if round + 1 < FREE_OF_ADDRESS {
                assert_eq!(lockout.begin("own", from, START), Ok(()));
                lockout.passed("own", from, true);
            }
        }
        assert!(lockout.begin("another", from, START).is_err());
        assert_eq!(lockout.begin("another", address("192.0.2.8"), START), Ok(()));
        // Half a sign-in, again and again, costs nothing and forgives nothing.
        for _ in 0..4 {
            assert_eq!(lockout.begin("cleo", None, START), Ok(()));
        }
        for _ in 0..20 {
            assert_eq!(lockout.begin("cleo", None, START), Ok(()));
            lockout.passed("cleo", None, false);
        }
        assert_eq!(lockout.begin("cleo", None, START), Ok(()));
        assert!(lockout.begin("cleo", None, START).is_err());
    }

    #[test]
    fn an_address_of_the_sixth_version_is_its_whole_network() {
        let mut lockout = Lockout::new();
        for host in 0..FREE_OF_ADDRESS {
            let from = address(&format!("2001:db8::{host:x}"));
            assert_eq!(lockout.begin(&format!("name-{host}"), from, START), Ok(()));
        }
        assert!(lockout.begin("x", address("2001:db8::ffff"), START).is_err());
        assert!(lockout.begin("x", address("2001:db8:0:1::1"), START).is_ok());
    }
}
