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

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
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
    /// Takes back a try that was no failure. What others failed meanwhile stays, with the wait that it earned.
    fn forgive(&mut self, tried: Tried, free: u32) {
        self.failures = self.failures.saturating_sub(1);
        if self.last == tried.at {
            (self.last, self.until) = (tried.last, tried.until);
        } else if self.failures < free {
            self.until = Mono(0);
        }
    }
}

/// What a try found at its counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Tried {
    place: usize,
    at: Mono,
    /// As they were before it.
    last: Mono,
    until: Mono,
}

/// A try that counts as failed until [`Lockout::passed`] takes it back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Try {
    name: Tried,
    address: Option<Tried>,
}

/// All counters.
pub(crate) struct Lockout {
    hasher: RandomState,
    names: Vec<Counter>,
    addresses: Vec<Counter>,
}

impl Lockout {
    pub(crate) fn new() -> Self {
        let counters = || vec![Counter::default(); COUNTERS];
        Self { hasher: RandomState::new(), names: counters(), addresses: counters() }
    }
    fn places(&self, name: &str, address: Option<IpAddr>) -> (usize, Option<usize>) {
        let place = |hash: u64| usize::try_from(hash % COUNTERS as u64).unwrap_or(0);
        let of = |address: IpAddr| match address {
            // A subscriber has a whole /64.
            IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) >> 64 << 64).into()),
            v4 @ IpAddr::V4(_) => v4,
        };
        // A proxy on this machine stands for everyone behind it: one of them could make all others wait.
        let address = address.map(|address| address.to_canonical()).filter(|address| !address.is_loopback());
        let address = address.map(|address| place(self.hasher.hash_one(("address", of(address)))));
        (place(self.hasher.hash_one(("name", name))), address)
    }
    /// Lets a try pass and counts it as failed until [`Lockout::passed`] says otherwise, so that many tries at once are no
    /// way around; or says how long to wait.
    pub(crate) fn begin(&mut self, name: &str, address: Option<IpAddr>, now: Mono) -> Result<Try, Duration> {
        let (name, address) = self.places(name, address);
        let waits = [self.names[name].wait(now), address.and_then(|place| self.addresses[place].wait(now))];
        if let Some(wait) = waits.into_iter().flatten().max() {
            return Err(wait);
        }
        let fail = |counters: &mut [Counter], place: usize, free: u32| {
            let Counter { last, until, .. } = counters[place];
            counters[place].fail(free, now);
            Tried { place, at: now, last, until }
        };
        Ok(Try {
            name: fail(&mut self.names, name, FREE_OF_NAME),
            address: address.map(|place| fail(&mut self.addresses, place, FREE_OF_ADDRESS)),
        })
    }
    /// A try was right as far as it went: `whole` where it signed in, which forgives all failures of the name. Those of the
    /// address stay but for this one, and are forgotten at their time: an account of one's own is no way to try others.
    pub(super) fn passed(&mut self, tried: Try, whole: bool) {
        let Try { name, address } = tried;
        if whole {
            self.names[name.place] = Counter::default();
        } else {
            self.names[name.place].forgive(name, FREE_OF_NAME);
        }
        if let Some(address) = address {
            self.addresses[address.place].forgive(address, FREE_OF_ADDRESS);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }
    fn fails(lockout: &mut Lockout, name: &str, from: Option<IpAddr>, now: Mono) {
        assert!(lockout.begin(name, from, now).is_ok(), "{name} at {now:?}");
    }
    fn passes(lockout: &mut Lockout, name: &str, from: Option<IpAddr>, now: Mono, whole: bool) {
        let tried = lockout.begin(name, from, now).unwrap();
        lockout.passed(tried, whole);
    }
    const START: Mono = Mono(1_000_000_000_000_000);

    #[test]
    fn waits_of_a_name_grow_to_their_bound_and_are_forgotten() {
        let mut lockout = Lockout::new();
        let mut now = START;
        for failure in 0..FREE_OF_NAME {
            fails(&mut lockout, "ana", address(&format!("192.0.2.{failure}")), now);
        }
        let mut waits = Vec::new();
        for failure in 0..9 {
            let from = address(&format!("198.51.100.{failure}"));
            let wait = lockout.begin("ana", from, now).unwrap_err();
            assert_eq!(lockout.begin("ana", from, now), Err(wait), "a try in vain costs nothing");
            // Others are not touched.
            passes(&mut lockout, "ben", None, now, true);
            waits.push(wait.as_secs());
            now = now.plus(wait);
            fails(&mut lockout, "ana", from, now);
        }
        assert_eq!(waits, [15, 30, 60, 120, 240, 480, 900, 900, 900]);
        now = now.plus(FORGET);
        for _ in 0..FREE_OF_NAME {
            fails(&mut lockout, "ana", None, now);
        }
        assert!(lockout.begin("ana", None, now).is_err());
    }

    #[test]
    fn who_signs_in_is_forgiven_and_an_address_keeps_its_failures() {
        let mut lockout = Lockout::new();
        let from = address("192.0.2.7");
        for round in 0..FREE_OF_ADDRESS {
            fails(&mut lockout, &format!("name-{round}"), from, START);
            // An account of the attacker's own, in between.
            if round + 1 < FREE_OF_ADDRESS {
                passes(&mut lockout, "own", from, START, true);
            }
        }
        assert!(lockout.begin("another", from, START).is_err());
        fails(&mut lockout, "another", address("192.0.2.8"), START);
        // Half a sign-in, again and again, costs nothing and forgives nothing.
        let mut lockout = Lockout::new();
        for _ in 0..4 {
            fails(&mut lockout, "cleo", None, START);
        }
        for _ in 0..20 {
            passes(&mut lockout, "cleo", None, START, false);
        }
        fails(&mut lockout, "cleo", None, START);
        assert!(lockout.begin("cleo", None, START).is_err());
    }

    #[test]
    fn an_address_of_the_sixth_version_is_its_whole_network() {
        let mut lockout = Lockout::new();
        for host in 0..FREE_OF_ADDRESS {
            let from = address(&format!("2001:db8::{host:x}"));
            fails(&mut lockout, &format!("name-{host}"), from, START);
        }
        assert!(lockout.begin("x", address("2001:db8::ffff"), START).is_err());
        assert!(lockout.begin("x", address("2001:db8:0:1::1"), START).is_ok());
    }

    #[test]
    fn failures_of_an_address_are_forgotten_at_their_time_however_many_sign_in_from_there() {
        let mut lockout = Lockout::new();
        let from = address("192.0.2.7");
        for round in 0..FREE_OF_ADDRESS - 1 {
            fails(&mut lockout, &format!("name-{round}"), from, START);
        }
        // One more would wait, and who signs in does not take it for one that failed.
        let mut now = START;
        for round in 0..12 {
            now = now.plus(FORGET / 12);
            passes(&mut lockout, &format!("unit-{round}"), from, now, round % 2 == 0);
        }
        for round in 0..FREE_OF_ADDRESS {
            fails(&mut lockout, &format!("later-{round}"), from, now);
        }
        let wait = lockout.begin("unit-0", from, now).unwrap_err();
        // A wait is served once: who signs in after it makes nobody wait.
        now = now.plus(wait);
        for round in 0..3 {
            passes(&mut lockout, &format!("unit-{round}"), from, now, true);
        }
    }

    #[test]
    fn a_failure_beside_one_who_signs_in_is_remembered_from_its_own_time() {
        let mut lockout = Lockout::new();
        let from = address("192.0.2.7");
        for round in 0..FREE_OF_ADDRESS - 2 {
            fails(&mut lockout, &format!("name-{round}"), from, START);
        }
        let second = Duration::from_secs(1);
        let right = lockout.begin("unit", from, START.plus(FORGET - 2 * second)).unwrap();
        fails(&mut lockout, "wrong", from, START.plus(FORGET - second));
        lockout.passed(right, true);
        let later = START.plus(FORGET + second);
        fails(&mut lockout, "last", from, later);
        assert!(lockout.begin("unit", from, later).is_err());
    }

    #[test]
    fn this_machine_is_no_address_and_names_wait_all_the_same() {
        for from in ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"] {
            let mut lockout = Lockout::new();
            for _ in 0..FREE_OF_NAME {
                fails(&mut lockout, "ana", address(from), START);
            }
            assert!(lockout.begin("ana", address(from), START).is_err(), "{from}");
            assert!(lockout.addresses.iter().all(|one| *one == Counter::default()), "{from}");
        }
    }
}
