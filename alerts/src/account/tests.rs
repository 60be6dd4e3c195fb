//! Accounts over a whole bus: what is promised holds over restarts, for open streams, and whatever the caller tries.

mod audit;
mod factor;
mod name;

use std::time::Duration;

use xueliang_base::{cursor::Cursor, error::ErrorKind, time::Clock as _};
use xueliang_proto::v1::{CloseReason, subscribe_response::Item};

use super::*;
use crate::{
    bus::Subscribe,
    rights::{Principal, PrincipalKind},
    store::{STORE_FILE, accounts::AccountChangeQuery},
    testing::{Bench, Console, close, critical},
};

const PASSWORD: &str = "Nine-lamps-by-the-river";
const OTHER: &str = "Ten-lamps-by-the-road";
const HOUR: Duration = Duration::from_secs(3600);

fn options() -> AccountOptions {
    AccountOptions { cost: Cost { memory_kib: 64, passes: 1 }, ..AccountOptions::default() }
}

struct Desk {
    bench: Bench,
    accounts: Accounts,
    options: AccountOptions,
}

impl Desk {
    async fn with(options: AccountOptions) -> Self {
        let bench = Bench::new();
        let accounts = Accounts::open(&bench.bus, bench.folder.path(), options.clone()).await.unwrap();
        Self { bench, accounts, options }
    }
    async fn new() -> Self {
        Self::with(options()).await
    }
    /// As after a crash: nothing is saved on the way out. Consoles must be gone, since they hold the bus.
    async fn reopen(self) -> Self {
        let Self { bench, accounts, options } = self;
        drop(accounts);
        let Bench { folder, clock, bus, options: bus_options } = bench;
        close(bus).await;
        let bus = crate::bus::Bus::open(folder.path(), clock.clone(), bus_options.clone()).unwrap();
        let bench = Bench { folder, clock, bus, options: bus_options };
        let accounts = Accounts::open(&bench.bus, bench.folder.path(), options.clone()).await.unwrap();
        Self { bench, accounts, options }
    }
    fn local(&self) -> Principal {
        Principal::new("local", PrincipalKind::Operator)
    }
    /// An account with its password.
    async fn made(&self, name: &str, roles: &[Role]) {
        let (_, handed) = self.accounts.create(&self.local(), &wire(name, roles)).await.unwrap();
        self.set_up(&handed.token, PASSWORD).await.unwrap();
    }
    async fn set_up(&self, token: &str, password: &str) -> Result<Profile> {
        let request = v1::SetUpRequest {
            token: token.to_owned(),
            password: password.to_owned(),
            name: "root".to_owned(),
            display_name: "Root".to_owned(),
            unit: "Town".to_owned(),
        };
        self.accounts.set_up(&request).await
    }
    async fn try_sign_in(&self, name: &str, password: &str, code: &str) -> Result<SignedIn> {
        let address = Some("192.0.2.1".parse().unwrap());
        self.accounts.sign_in(Wanted { name, password, code, address }).await
    }
    /// The token of a new session.
    async fn sign_in(&self, name: &str) -> String {
        match self.try_sign_in(name, PASSWORD, "").await.unwrap() {
            SignedIn::Session { token, .. } => token,
            SignedIn::CodeNeeded => panic!("no code was asked for"),
        }
    }
    fn caller(&self, token: &str) -> Caller {
        self.accounts.caller(token).expect("the token counts")
    }
    /// A console of whoever has this token.
    async fn console(&self, token: &str) -> Console {
        let principal = self.caller(token).principal;
        let wanted =
            Subscribe { cursor: Some(Cursor::start(self.bench.bus.store().epoch())), ..Subscribe::default() };
        let stream = self.bench.bus.subscribe(&principal, wanted).await.unwrap();
        let mut console = Console { bus: self.bench.bus.clone(), principal, stream };
        assert!(matches!(console.item().await, Some(Item::Opened(_))));
        console
    }
    async fn log(&self) -> Vec<(String, String, String)> {
        let query = AccountChangeQuery { limit: 1000, ..AccountChangeQuery::default() };
        let mut all = self.bench.bus.store().account_changes(query).await.unwrap();
        all.reverse();
        all.into_iter().map(|one| (one.account, one.action, one.actor)).collect()
    }
}

fn wire(name: &str, roles: &[Role]) -> v1::Account {
    v1::Account {
        name: name.to_owned(),
        display_name: format!("Account {name}"),
        unit: "Centre".to_owned(),
        roles: roles.iter().map(|role| v1::Role::from(*role).into()).collect(),
        divisions: vec!["3301".to_owned()],
        ..v1::Account::default()
    }
}

/// Why a stream ends.
async fn closed(console: &mut Console) -> CloseReason {
    loop {
        match console.news().await {
            Item::Closed(closed) => return closed.reason(),
            Item::Delivery(_) => panic!("nothing is delivered any more"),
            _ => {}
        }
    }
}

#[test]
fn an_account_is_asked_for_with_a_bounded_number_of_divisions_and_one_that_has_more_is_still_read() {
    let many = |count: usize| v1::Account {
        divisions: (0..count).map(|code| format!("{code}")).collect(),
        ..wire("ana", &[Role::Judge])
    };
    assert!(Profile::wanted(&many(512)).is_ok());
    let refused = Profile::wanted(&many(513)).unwrap_err().to_string();
    assert!(refused.starts_with("divisions: ") && refused.contains("at most 512"), "{refused}");
    assert_eq!(Profile::stored(&many(1000)).unwrap().divisions.unwrap().len(), 1000);
}

#[tokio::test]
async fn a_new_service_is_set_up_once_with_its_token_and_has_no_default_password() {
    let desk = Desk::new().await;
    for (name, password) in [("admin", "admin"), ("root", "root"), ("local", PASSWORD)] {
        let refused = desk.try_sign_in(name, password, "").await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Unauthenticated);
    }
    let old = desk.accounts.first_token().await.unwrap().unwrap();
    // A later start makes another one.
    let desk = desk.reopen().await;
    let token = desk.accounts.first_token().await.unwrap().unwrap();
    for wrong in [&old, "", "xlo_guess"] {
        assert_eq!(desk.set_up(wrong, PASSWORD).await.unwrap_err().kind(), ErrorKind::Unauthenticated);
    }
    assert_eq!(desk.set_up(&token, "short").await.unwrap_err().kind(), ErrorKind::InvalidInput);
    let stored = std::fs::read(desk.bench.folder.path().join(STORE_FILE)).unwrap();
    let log = std::fs::read(desk.bench.folder.path().join(format!("{STORE_FILE}-wal"))).unwrap();
    let holds = |file: &[u8], text: &str| file.windows(text.len()).any(|part| part == text.as_bytes());
    assert!(!holds(&stored, &token) && !holds(&log, &token), "only its digest is kept");

    let root = desk.set_up(&token, PASSWORD).await.unwrap();
    assert_eq!(root.roles, [Role::SecurityAdmin].into());
    let again = desk.set_up(&token, PASSWORD).await.unwrap_err();
    assert_eq!(again.kind(), ErrorKind::Unauthenticated, "{again}");
    assert_eq!(desk.accounts.first_token().await.unwrap(), None);
    let desk = desk.reopen().await;
    let session = desk.sign_in("root").await;
    let rights = desk.caller(&session).principal.rights;
    assert_eq!(rights, [Right::ManageAccounts, Right::ReadAccounts, Right::RotateKeys].into());

    // And one that nobody used in time is too old.
    let late = Desk::new().await;
    let token = late.accounts.first_token().await.unwrap().unwrap();
    late.bench.clock.advance(options().ticket_life);
    assert_eq!(late.set_up(&token, PASSWORD).await.unwrap_err().kind(), ErrorKind::Unauthenticated);
}

#[tokio::test]
async fn nothing_tells_whether_a_name_exists_and_waits_hold_whoever_knows_the_password() {
    let desk = Desk::new().await;
    desk.made("ana", &[Role::Judge]).await;
    desk.made("gone", &[Role::Judge]).await;
    desk.accounts.disable(&desk.local(), "gone", "left the unit", false).await.unwrap();
    let (_, handed) = desk.accounts.create(&desk.local(), &wire("fresh", &[Role::Judge])).await.unwrap();
    assert!(handed.token.starts_with("xlo_"));
    // Wrong, right but out of use, without a password, and of nobody: word for word the same, wait for wait.
    let mut told = Vec::new();
    for (name, password) in [("ana", OTHER), ("gone", PASSWORD), ("fresh", PASSWORD), ("nobody", PASSWORD)] {
        let mut answers = Vec::new();
        for _ in 0..7 {
            // From many addresses, so that only the name counts.
            let wanted = Wanted { name, password, ..Wanted::default() };
            answers.push(desk.accounts.sign_in(wanted).await.unwrap_err());
        }
        told.push(answers);
    }
    assert!(told.iter().all(|answers| *answers == told[0]), "{told:?}");
    let kinds: Vec<_> = told[0].iter().map(Error::kind).collect();
    assert_eq!(kinds[..5], [ErrorKind::Unauthenticated; 5]);
    assert_eq!(kinds[5..], [ErrorKind::Exhausted; 2]);
    // The right password does not help, and costs no more.
    let Error::TooMany { retry_after, .. } = desk.try_sign_in("ana", PASSWORD, "").await.unwrap_err() else {
        panic!("it waits");
    };
    desk.bench.clock.advance(retry_after);
    desk.sign_in("ana").await;
    // What was refused stands in the log, for names that there are.
    desk.accounts.tend().await;
    let refused: Vec<_> = desk.log().await.into_iter().filter(|one| one.1 == "sign_in_refused").collect();
    assert_eq!(refused.iter().filter(|one| one.0 == "ana").count(), 5);
    assert!(refused.iter().all(|one| one.0 != "nobody"), "{refused:?}");
}

#[tokio::test]
async fn rights_that_are_taken_are_gone_from_calls_at_once_and_from_open_streams() {
    let desk = Desk::new().await;
    desk.made("ana", &[Role::Judge, Role::Leader]).await;
    desk.made("ben", &[Role::Judge]).await;
    let (ana, ben) = (desk.sign_in("ana").await, desk.sign_in("ben").await);
    assert!(desk.caller(&ana).principal.may(Right::Lead));
    let mut consoles = [desk.console(&ana).await, desk.console(&ben).await];

    // Narrowed: the stream ends, and may come back with what is left.
    let (before, _) = desk.accounts.of("ana").unwrap();
    let mut less = v1::Account { revision: before.revision, ..wire("ana", &[Role::Judge]) };
    less.divisions = vec!["3302".to_owned()];
    desk.accounts.update(&desk.local(), &less).await.unwrap();
    desk.bench.commit(&[critical()]).await;
    assert_eq!(closed(&mut consoles[0]).await, CloseReason::RightsChanged);
    let principal = desk.caller(&ana).principal;
    assert!(!principal.may(Right::Lead) && principal.may(Right::Judge));
    assert_eq!(principal.divisions, Some(vec!["3302".parse().unwrap()]));
    assert_eq!(desk.bench.bus.rights().of(&principal), principal);
    consoles[0] = desk.console(&ana).await;
    // Two changes at once: one is told of the other.
    let stale = desk.accounts.update(&desk.local(), &less).await.unwrap_err();
    assert_eq!(stale.kind(), ErrorKind::Conflict);

    // Out of use: cut, and the session is gone for good.
    desk.accounts.disable(&desk.local(), "ana", "left the unit", false).await.unwrap();
    assert_eq!(closed(&mut consoles[0]).await, CloseReason::RightsChanged);
    assert_eq!(desk.accounts.caller(&ana), None);
    assert!(desk.bench.bus.subscribe(&principal, Subscribe::default()).await.is_err(), "held to nothing");
    desk.accounts.disable(&desk.local(), "ana", "is back again", true).await.unwrap();
    assert_eq!(desk.accounts.caller(&ana), None);
    desk.sign_in("ana").await;

    // The other one was never touched.
    assert!(desk.accounts.caller(&ben).is_some());
    let mut alert = critical();
    alert.place.division_path = ["33", "3301"].map(|code| code.parse().unwrap()).into();
    desk.bench.commit(std::slice::from_ref(&alert)).await;
    let wanted = crate::testing::key_of(&alert);
    while crate::testing::key(&consoles[1].delivery().await) != wanted {}
}

#[tokio::test]
async fn sessions_end_unused_at_their_age_by_sign_out_and_by_others_and_their_streams_with_them() {
    let desk = Desk::new().await;
    desk.made("ana", &[Role::Judge]).await;
    let token = desk.sign_in("ana").await;
    let mut console = desk.console(&token).await;
    for _ in 0..23 {
        desk.bench.clock.advance(HOUR / 2 - Duration::from_secs(1));
        desk.accounts.tend().await;
        assert!(desk.accounts.caller(&token).is_some(), "it is used");
    }
    desk.bench.clock.advance(HOUR);
    desk.accounts.tend().await;
    assert_eq!(closed(&mut console).await, CloseReason::RightsChanged);
    drop(console);
    assert_eq!(desk.accounts.caller(&token), None, "twelve hours old");

    let (idle, own, revoked) =
        (desk.sign_in("ana").await, desk.sign_in("ana").await, desk.sign_in("ana").await);
    let mut console = desk.console(&revoked).await;
    let caller = desk.caller(&own);
    let listed = desk.accounts.list_sessions(&caller, "");
    assert_eq!(listed.len(), 3);
    // Another sees and ends none of them; whoever manages accounts sees all.
    desk.made("ben", &[Role::Judge]).await;
    let ben = desk.caller(&desk.sign_in("ben").await);
    assert_eq!(desk.accounts.list_sessions(&ben, "ana"), []);
    let refused = desk.accounts.revoke(&ben, listed[0].row.id).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::NotFound);
    let local = Caller { principal: desk.local(), session: None };
    assert_eq!(desk.accounts.list_sessions(&local, "").len(), 4);
    desk.accounts.revoke(&local, listed[2].row.id).await.unwrap();
    assert_eq!(closed(&mut console).await, CloseReason::RightsChanged);
    drop(console);
    assert_eq!(desk.accounts.caller(&revoked), None);
    desk.accounts.sign_out(&caller).await.unwrap();
    assert_eq!(desk.accounts.caller(&own), None);

    // The one that is left: used, saved, and older after a restart by the time that the restart took.
    desk.bench.clock.advance(HOUR / 4);
    assert!(desk.accounts.caller(&idle).is_some());
    let desk = desk.reopen().await;
    assert!(desk.accounts.caller(&idle).is_some());
    let desk = desk.reopen().await;
    desk.bench.clock.advance(HOUR);
    assert_eq!(desk.accounts.caller(&idle), None);
    // Of more sessions than an account may have, the oldest ends.
    let mut tokens = Vec::new();
    for _ in 0..=options().sessions {
        tokens.push(desk.sign_in("ana").await);
    }
    assert_eq!(desk.accounts.caller(&tokens[0]), None);
    assert!(tokens[1..].iter().all(|token| desk.accounts.caller(token).is_some()));
}

#[tokio::test]
async fn the_three_administrators_stay_apart_and_nobody_changes_their_own_account() {
    let desk = Desk::new().await;
    desk.made("keeper", &[Role::SecurityAdmin]).await;
    let keeper = desk.caller(&desk.sign_in("keeper").await).principal;
    let administrators = [Role::SystemAdmin, Role::SecurityAdmin, Role::AuditAdmin];
    for (index, one) in administrators.into_iter().enumerate() {
        for other in administrators.into_iter().chain([Role::Judge, Role::Leader]) {
            if one != other {
                let refused = desk.accounts.create(&keeper, &wire("both", &[one, other])).await.unwrap_err();
                assert_eq!(refused.kind(), ErrorKind::InvalidInput, "{one:?} {other:?}");
            }
        }
        let name = format!("admin-{index}");
        desk.accounts.create(&keeper, &wire(&name, &[one])).await.unwrap();
        // Nor one after the other by a change.
        let both = v1::Account { revision: 1, ..wire(&name, &[one, Role::Judge]) };
        assert_eq!(desk.accounts.update(&keeper, &both).await.unwrap_err().kind(), ErrorKind::InvalidInput);
    }
    let own = v1::Account { revision: 2, ..wire("keeper", &[Role::AuditAdmin]) };
    let own = [
        desk.accounts.update(&keeper, &own).await.map(drop),
        desk.accounts.disable(&keeper, "keeper", "for a while", false).await.map(drop),
        desk.accounts.reset(&keeper, "keeper").await.map(drop),
    ];
    assert!(own.iter().all(|answer| answer.as_ref().unwrap_err().kind() == ErrorKind::Forbidden), "{own:?}");
    // Whoever has no right to manage has none to any of it.
    desk.made("ana", &[Role::Judge]).await;
    let ana = desk.caller(&desk.sign_in("ana").await).principal;
    let denied = [
        desk.accounts.create(&ana, &wire("x1", &[Role::Judge])).await.map(drop),
        desk.accounts.update(&ana, &wire("keeper", &[Role::Judge])).await.map(drop),
        desk.accounts.disable(&ana, "keeper", "for a while", false).await.map(drop),
        desk.accounts.reset(&ana, "keeper").await.map(drop),
        desk.accounts.list(&ana, "", 9).map(drop),
    ];
    assert!(denied.iter().all(|answer| answer.as_ref().unwrap_err().kind() == ErrorKind::Forbidden));
}

#[tokio::test]
async fn an_old_password_lets_nothing_through_but_its_change() {
    let desk = Desk::new().await;
    desk.made("ana", &[Role::Judge]).await;
    let token = desk.sign_in("ana").await;
    // Here the session outlives the password.
    let options = AccountOptions { idle: 9999 * HOUR, longest: 9999 * HOUR, ..options() };
    let desk = Desk { options, ..desk }.reopen().await;
    let mut console = desk.console(&token).await;
    desk.bench.clock.advance(90 * 24 * HOUR);
    desk.accounts.tend().await;
    assert_eq!(closed(&mut console).await, CloseReason::RightsChanged);
    let caller = desk.caller(&token);
    assert_eq!(caller.principal.rights, BTreeSet::new());
    assert!(desk.accounts.of("ana").unwrap().1);
    let other = desk.sign_in("ana").await;
    for (old, new, kind) in [
        (OTHER, OTHER, ErrorKind::Forbidden),
        (PASSWORD, PASSWORD, ErrorKind::InvalidInput),
        (PASSWORD, "short", ErrorKind::InvalidInput),
    ] {
        let refused = desk.accounts.change_password(&caller, old, new).await.unwrap_err();
        assert_eq!(refused.kind(), kind, "{refused}");
    }
    desk.accounts.change_password(&caller, PASSWORD, OTHER).await.unwrap();
    assert!(desk.caller(&token).principal.may(Right::Judge));
    assert_eq!(desk.accounts.caller(&other), None, "its other sessions have ended");
    assert!(desk.try_sign_in("ana", PASSWORD, "").await.is_err());
    assert!(desk.try_sign_in("ana", OTHER, "").await.is_ok());
}

#[tokio::test]
async fn accounts_end_at_their_time_and_with_their_training() {
    let desk = Desk::new().await;
    let end = desk.bench.clock.wall().plus(2 * HOUR);
    let contractor = wire("vendor", &[Role::Contractor]);
    assert!(desk.accounts.create(&desk.local(), &contractor).await.is_err(), "it needs an end");
    let valid = v1::Account { valid_until_unix_us: end.0, ..contractor };
    let trained = v1::Account { trained_until_unix_us: end.0, ..wire("ana", &[Role::Judge]) };
    let mut tokens = Vec::new();
    for account in [valid, trained] {
        let (_, handed) = desk.accounts.create(&desk.local(), &account).await.unwrap();
        desk.set_up(&handed.token, PASSWORD).await.unwrap();
        tokens.push(desk.sign_in(&account.name).await);
    }
    let mut console = desk.console(&tokens[1]).await;
    for _ in 0..6 {
        assert!(tokens.iter().all(|token| desk.accounts.caller(token).is_some()));
        desk.bench.clock.advance(HOUR / 3);
    }
    desk.accounts.tend().await;
    assert_eq!(closed(&mut console).await, CloseReason::RightsChanged);
    assert!(tokens.iter().all(|token| desk.accounts.caller(token).is_none()));
    assert!(desk.try_sign_in("ana", PASSWORD, "").await.is_err());
}

#[tokio::test]
async fn a_crash_between_any_two_steps_loses_nothing_and_lets_nothing_be_used_twice() {
    let mut desk = Desk::new().await;
    let first = desk.accounts.first_token().await.unwrap().unwrap();
    desk = desk.reopen().await;
    desk.set_up(&first, PASSWORD).await.unwrap();
    desk = desk.reopen().await;
    assert!(desk.set_up(&first, OTHER).await.is_err());
    let root = desk.sign_in("root").await;
    desk = desk.reopen().await;
    let by = desk.caller(&root).principal;
    let (_, handed) = desk.accounts.create(&by, &wire("ana", &[Role::Judge])).await.unwrap();
    desk = desk.reopen().await;
    assert!(desk.try_sign_in("ana", PASSWORD, "").await.is_err());
    desk.set_up(&handed.token, PASSWORD).await.unwrap();
    desk = desk.reopen().await;
    assert!(desk.set_up(&handed.token, OTHER).await.is_err());
    let ana = desk.sign_in("ana").await;
    desk = desk.reopen().await;
    assert!(desk.caller(&ana).principal.may(Right::Judge));
    let again = desk.accounts.reset(&by, "ana").await.unwrap();
    desk = desk.reopen().await;
    assert!(desk.accounts.caller(&ana).is_none() && desk.try_sign_in("ana", PASSWORD, "").await.is_err());
    // Two links for one account: the later one counts.
    let latest = desk.accounts.reset(&by, "ana").await.unwrap();
    desk = desk.reopen().await;
    assert!(desk.set_up(&again.token, OTHER).await.is_err());
    desk.set_up(&latest.token, PASSWORD).await.unwrap();
    let words: Vec<_> = desk.log().await.into_iter().map(|(account, action, _)| (account, action)).collect();
    let expected = [
        ("root", "set_up"),
        ("root", "signed_in"),
        ("ana", "created"),
        ("ana", "set_up"),
        ("ana", "signed_in"),
        ("ana", "reset"),
        ("ana", "reset"),
        ("ana", "set_up"),
    ];
    assert_eq!(words, expected.map(|(account, action)| (account.to_owned(), action.to_owned())));

    // Nobody unmakes an account or its past.
    for sql in
        ["DELETE FROM account", "DELETE FROM account_change", "UPDATE account_change SET actor = 'someone'"]
    {
        let refused = crate::store::tests::refusal(desk.bench.folder.path(), sql);
        assert!(refused.contains("never deleted") || refused.contains("append-only"), "{sql}: {refused}");
    }
}

#[tokio::test]
async fn what_is_put_back_from_a_backup_has_its_accounts_and_none_of_its_sessions_and_links() {
    let desk = Desk::new().await;
    desk.made("ana", &[Role::Judge]).await;
    let session = desk.sign_in("ana").await;
    let (_, handed) = desk.accounts.create(&desk.local(), &wire("ben", &[Role::Judge])).await.unwrap();
    let outside = tempfile::tempdir().unwrap();
    let (copy, state) = (outside.path().join("copy"), outside.path().join("state"));
    desk.bench.bus.store().backup(copy.clone()).await.unwrap();
    // They may have been ended or used after the copy was taken.
    assert!(desk.accounts.caller(&session).is_some());
    crate::store::restore(&copy, &state).unwrap();
    let clock = desk.bench.clock.clone();
    let bus = crate::bus::Bus::open(&state, clock.clone(), crate::testing::options()).unwrap();
    let accounts = Accounts::open(&bus, &state, options()).await.unwrap();
    assert_eq!(accounts.caller(&session), None);
    let request = v1::SetUpRequest { token: handed.token, password: OTHER.into(), ..Default::default() };
    assert_eq!(accounts.set_up(&request).await.unwrap_err().kind(), ErrorKind::Unauthenticated);
    let wanted = Wanted { name: "ana", password: PASSWORD, ..Wanted::default() };
    assert!(accounts.sign_in(wanted).await.is_ok());
}
