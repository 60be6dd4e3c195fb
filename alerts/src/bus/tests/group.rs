//! Group commit: publishers that come together share a commit, and what is wrong with one is no other's affair.

use futures::future::join_all;
use xueliang_base::{alert::Alert, time::SystemClock};

use super::*;
use crate::testing::close;

/// A state from a publisher of its own.
async fn from(bench: &Bench, name: &str, alert: &Alert) -> Result<PublishOutcome> {
    let publication = v1::Publication { alert: Some(v1::Alert::from(alert)), ..v1::Publication::default() };
    let node = Principal::new(name, PrincipalKind::Node);
    let answers = bench.bus.publish(&node, vec![publication], bench.clock.mono()).await?;
    Ok(answers[0].outcome)
}

#[tokio::test]
async fn publishers_that_come_together_share_commits_and_one_call_is_one_commit() {
    let bench = Bench::new();
    let commits = || bench.bus.store().health().commits;
    let before = commits();
    let names: Vec<_> = (0..50).map(|number| format!("node-{number}")).collect();
    for _ in 0..4 {
        let alerts: Vec<_> = names.iter().map(|_| critical()).collect();
        let all = names.iter().zip(&alerts).map(|(name, alert)| from(&bench, name, alert));
        for outcome in join_all(all).await {
            assert_eq!(outcome.unwrap(), PublishOutcome::Committed);
        }
    }
    let together = commits() - before;
    assert!(together <= 40, "{together} commits for 4 times 50 publishers");
    // One call is one commit, however many states it holds.
    bench.commit(&(0..256).map(|_| minor()).collect::<Vec<_>>()).await;
    assert_eq!(commits() - before - together, 1);
}

#[tokio::test]
async fn a_state_that_is_wrong_or_cannot_be_stored_fails_alone_within_its_group() {
    let bench = Bench::new();
    let poison = critical();
    crate::store::tests::stumble_over(bench.folder.path(), poison.id);
    let known = critical();
    bench.commit(std::slice::from_ref(&known)).await;
    let changed = Alert { count: 77, ..known };
    let good: Vec<_> = (0..40).map(|_| critical()).collect();
    let before = bench.bus.store().health().commits;
    let outcomes = join_all(good.iter().enumerate().map(async |(number, alert)| {
        let other = match number {
            10 => Some((&poison, "node-9")),
            20 => Some((&changed, "node-1")),
            30 => Some((&changed, "node-2")),
            _ => None,
        };
        let other = async {
            match other {
                Some((alert, name)) => Some(from(&bench, name, alert).await),
                None => None,
            }
        };
        tokio::join!(from(&bench, "node-5", alert), other)
    }))
    .await;
    assert!(bench.bus.store().health().commits - before < 20, "they were one group, or a few");
    let mut others = Vec::new();
    for (good, other) in outcomes {
        assert_eq!(good.unwrap(), PublishOutcome::Committed);
        others.extend(other);
    }
    assert!(matches!(others[0], Err(Error::Internal(_))), "{others:?}");
    assert_eq!(others[1], Ok(PublishOutcome::Conflict));
    assert_eq!(others[2], Ok(PublishOutcome::Invalid));
    // On disk are the good ones, whole, and of the bad ones nothing; consoles were shown no more than that.
    let store = bench.bus.store();
    assert_eq!(store.head(), 41);
    assert!(!store.exists(poison.id).await.unwrap());
    assert!(store.health().failing.is_none());
}

#[tokio::test]
async fn two_hundred_alerts_cost_far_fewer_commits_from_fifty_publishers_than_from_one() {
    // Real time, since a group is what has gathered while the disk was busy; the bound leaves a slow disk room.
    let folder = tempfile::tempdir().unwrap();
    let bus = Bus::open(folder.path(), SystemClock::shared(), options()).unwrap();
    let publish = async |name: String, count: usize| {
        for _ in 0..count {
            let publication =
                v1::Publication { alert: Some((&critical()).into()), ..v1::Publication::default() };
            let node = Principal::new(name.clone(), PrincipalKind::Node);
            let answers = bus.publish(&node, vec![publication], SystemClock.mono()).await.unwrap();
            assert_eq!(answers[0].outcome, PublishOutcome::Committed);
        }
    };
    let commits = || bus.store().health().commits;
    publish("node-0".to_owned(), 200).await;
    let alone = commits();
    join_all((0..50).map(|number| publish(format!("node-{number}"), 4))).await;
    let together = commits() - alone;
    assert!(alone >= 200 && together <= 100, "{alone} commits of one publisher, {together} of fifty");
    close(bus).await;
}
