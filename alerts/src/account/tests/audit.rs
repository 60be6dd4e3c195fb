//! What was done with accounts stands in the audit, under its chain.

use super::*;
use crate::store::{
    tests::{audited, unsay},
    verify_audit,
};

#[tokio::test]
async fn who_gave_whom_which_role_is_audited_without_secrets_and_a_change_of_it_shows() {
    let desk = Desk::new().await;
    let folder = desk.bench.folder.path();
    let (_, handed) = desk.accounts.create(&desk.local(), &wire("ana", &[Role::GridWorker])).await.unwrap();
    desk.set_up(&handed.token, PASSWORD).await.unwrap();
    let session = desk.sign_in("ana").await;
    let (before, _) = desk.accounts.of("ana").unwrap();
    let end = desk.bench.clock.wall().plus(HOUR);
    let more = v1::Account {
        revision: before.revision,
        whole_town: true,
        divisions: Vec::new(),
        valid_until_unix_us: end.0,
        ..wire("ana", &[Role::Judge, Role::Leader])
    };
    desk.accounts.update(&desk.local(), &more).await.unwrap();
    assert!(desk.try_sign_in("ana", OTHER, "").await.is_err());
    desk.accounts.tend().await;
    desk.accounts.disable(&desk.local(), "ana", "left the unit", false).await.unwrap();
    let again = desk.accounts.reset(&desk.local(), "ana").await.unwrap();
    let machine = v1::Account { machine: true, ..wire("city", &[Role::ExternalPlatform]) };
    let (_, key) = desk.accounts.create(&desk.local(), &machine).await.unwrap();

    let all = audited(folder);
    let told: Vec<_> = all.iter().map(|(who, what, of)| [who.as_str(), what, of]).collect();
    let rest = "unit Centre; display name Account ana";
    let grid = format!("roles grid-worker; divisions 3301; {rest}");
    let leads = format!("roles judge, leader; whole town; {rest}; valid until {end}");
    let expected = [
        ["local", "created", &format!("account ana; revision 1; {grid}")],
        ["ana", "set_up", &format!("account ana; revision 2; {grid}; set up")],
        ["ana", "signed_in", "account ana; 192.0.2.1"],
        ["local", "updated", &format!("account ana; revision 3; {leads}; set up")],
        ["ana", "sign_in_refused", "account ana; password 192.0.2.1"],
        ["local", "disabled", &format!("account ana; left the unit; revision 4; {leads}; disabled; set up")],
        ["local", "reset", &format!("account ana; revision 5; {leads}; disabled")],
        [
            "local",
            "created",
            "account city; revision 1; roles external-platform; divisions 3301; unit Centre; \
             display name Account city; machine; set up",
        ],
    ];
    assert_eq!(told, expected);
    let secrets = [&handed.token, &session, &again.token, &key.token, PASSWORD, OTHER];
    assert!(told.iter().flatten().all(|text| secrets.iter().all(|secret| !text.contains(*secret))));
    // As many as the log has, and all of them are under the chain.
    assert_eq!(desk.log().await.len(), all.len());
    let report = verify_audit(folder, &[], None).unwrap();
    assert!(report.holds() && report.entries == all.len() as u64, "{report:?}");

    // A role that was given is not unsaid.
    assert_eq!(unsay(folder, "updated", "leader", "handler"), 1);
    let report = verify_audit(folder, &[], None).unwrap();
    assert!(!report.holds(), "{report:?}");
}
