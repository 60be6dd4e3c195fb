//! Names and keys: a machine calls with its own, and a name is one principal's alone.

use super::*;

#[tokio::test]
async fn a_machine_calls_with_its_key_and_never_signs_in() {
    let desk = Desk::new().await;
    let machine = v1::Account { machine: true, ..wire("city", &[Role::ExternalPlatform]) };
    let (profile, handed) = desk.accounts.create(&desk.local(), &machine).await.unwrap();
    assert!(profile.is_set_up && handed.until.is_none() && handed.token.starts_with("xlk_"));
    let desk = desk.reopen().await;
    let caller = desk.caller(&handed.token);
    assert_eq!(caller.session, None);
    assert_eq!(caller.principal.rights, [Right::ReadAlerts, Right::ReportExternal].into());
    assert!(desk.set_up(&handed.token, PASSWORD).await.is_err());
    assert!(desk.try_sign_in("city", &handed.token, "").await.is_err());
    let mut console = desk.console(&handed.token).await;
    let again = desk.accounts.reset(&desk.local(), "city").await.unwrap();
    assert_eq!(desk.accounts.caller(&handed.token), None);
    assert!(desk.accounts.caller(&again.token).is_some());
    // Whoever has the old key loses the stream at once, too; what else changes leaves streams be.
    assert_eq!(closed(&mut console).await, CloseReason::RightsChanged);
    let mut console = desk.console(&again.token).await;
    let (before, _) = desk.accounts.of("city").unwrap();
    let renamed = v1::Account { unit: "Town".to_owned(), revision: before.revision, ..machine };
    desk.accounts.update(&desk.local(), &renamed).await.unwrap();
    let mut alert = critical();
    alert.place.division_path = ["33", "3301"].map(|code| code.parse().unwrap()).into();
    desk.bench.commit(std::slice::from_ref(&alert)).await;
    assert_eq!(crate::testing::key(&console.delivery().await), crate::testing::key_of(&alert));
    desk.accounts.disable(&desk.local(), "city", "contract is over", false).await.unwrap();
    assert_eq!(closed(&mut console).await, CloseReason::RightsChanged);
    assert_eq!(desk.accounts.caller(&again.token), None);
}

#[tokio::test]
async fn a_name_is_one_principals_alone() {
    let reserved: BTreeMap<_, _> = [("node-1".to_owned(), "the node")].into();
    let desk = Desk::with(AccountOptions { reserved: reserved.clone(), ..options() }).await;
    let refused = desk.accounts.create(&desk.local(), &wire("node-1", &[Role::Judge])).await.unwrap_err();
    assert!(refused.to_string().contains("the name of the node"), "{refused}");
    desk.made("box-7", &[Role::Judge]).await;
    let token = desk.sign_in("box-7").await;
    assert!(desk.accounts.create(&desk.local(), &wire("box-7", &[Role::Leader])).await.is_err());
    // A publisher of that name was declared since: the account waits until one of the two has another.
    let reserved = [("box-7".to_owned(), "a publisher")].into();
    let desk = Desk { options: AccountOptions { reserved, ..options() }, ..desk }.reopen().await;
    assert_eq!(desk.accounts.caller(&token), None);
    assert!(desk.try_sign_in("box-7", PASSWORD, "").await.is_err());
    // The account takes nothing from the publisher, whatever is done with it.
    let publisher = Principal::new("box-7", PrincipalKind::Publisher);
    let publishes = |desk: &Desk| desk.bench.bus.rights().check(&publisher, Right::Publish);
    assert_eq!(publishes(&desk), Ok(()));
    desk.accounts.tend().await;
    desk.accounts.disable(&desk.local(), "box-7", "the name is a publisher's", false).await.unwrap();
    desk.accounts.tend().await;
    assert_eq!(publishes(&desk), Ok(()));
    assert_eq!(desk.bench.bus.rights().of(&publisher), publisher);
}
