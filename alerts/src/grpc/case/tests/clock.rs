//! What the clock says of cases, and that it never runs back.

use super::*;
use crate::bus::Subscribe;

#[tokio::test]
async fn the_clock_opens_what_nobody_touches_and_tells_desk_after_desk() {
    let bench = Bench::new();
    let (severe, slight) = (critical(), minor());
    bench.commit(&[severe.clone(), slight.clone()]).await;
    let tick = async |bench: &Bench, seconds| {
        bench.clock.advance(Duration::from_secs(seconds));
        bench.bus.tick_cases().await;
    };
    tick(&bench, 47).await;
    assert_eq!(get(&bench, &severe).await.case.unwrap().revision, 0);
    tick(&bench, 13).await;
    let told = get(&bench, &severe).await;
    let (case, last) = (told.case.unwrap(), told.history.last().unwrap().clone());
    assert!(case.overdue && case.was_overdue && case.escalations == 1);
    let Some(What::Escalate(escalation)) = last.action.unwrap().what else {
        panic!("{told:?}", told = told.history)
    };
    assert_eq!(escalation.cause(), v1::EscalationCause::NotDisplayed);
    assert_eq!(escalation.desk, case.subject.unwrap().division_path.last().unwrap().clone());
    assert_eq!(get(&bench, &slight).await.case.unwrap().revision, 0, "its limit is half an hour");
    // Whoever did not know of the clock's entries may act all the same.
    claim(&bench, &account("ana", "desk"), &severe).await.unwrap();
    let entries = get(&bench, &severe).await.history.len();
    tick(&bench, 100).await;
    assert_eq!(get(&bench, &severe).await.history.len(), entries, "somebody judges it");
    let bench = bench.reopen().await;
    tick(&bench, 200).await;
    let Some(What::Escalate(next)) =
        get(&bench, &severe).await.history.last().unwrap().action.clone().unwrap().what
    else {
        panic!("the claim has ended, nobody judged")
    };
    assert_ne!(next.desk, escalation.desk);
    tick(&bench, 1500).await;
    assert!(get(&bench, &slight).await.case.unwrap().overdue);
    let counts = bench.bus.counts().case_escalations.load(std::sync::atomic::Ordering::Relaxed);
    assert!(counts >= 2, "{counts}");
}

#[tokio::test]
async fn an_alert_that_a_console_displays_is_not_called_undisplayed_and_one_that_rises_is_timed_anew() {
    let bench = Bench::new();
    let mut console = bench.console("wall", Subscribe::default()).await;
    let severe = critical();
    console.snapshot().await;
    bench.commit(std::slice::from_ref(&severe)).await;
    let delivery = console.delivery().await;
    console.acknowledge(&delivery.cursor).unwrap();
    bench.bus.save_deliveries().await.unwrap();
    let rising = major();
    bench.commit(std::slice::from_ref(&rising)).await;
    let ana = account("ana", "desk");
    act(&bench, &ana, of(&rising), 0, What::Urge(v1::CaseUrge {})).await.unwrap();
    let mut risen = next_state(&rising);
    risen.level = xueliang_base::kind::Level::SEVERE;
    bench.commit(&[risen]).await;
    bench.clock.advance(Duration::from_secs(61));
    bench.bus.tick_cases().await;
    let causes = |told: &v1::GetCaseResponse| -> Vec<_> {
        let what = told.history.iter().filter_map(|one| one.action.as_ref()?.what.clone());
        what.filter_map(|what| if let What::Escalate(one) = what { Some(one.cause()) } else { None })
            .collect()
    };
    assert_eq!(causes(&get(&bench, &severe).await), [v1::EscalationCause::NotClaimed]);
    let told = get(&bench, &rising).await;
    assert_eq!(told.case.as_ref().unwrap().level(), v1::Level::Level2);
    assert_eq!(causes(&told), [v1::EscalationCause::NotDisplayed], "a minute is over for its level");
}

#[tokio::test]
async fn a_clock_that_is_set_back_turns_no_history_back() {
    let bench = Bench::new();
    let alert = major();
    bench.commit(std::slice::from_ref(&alert)).await;
    let ana = account("ana", "desk");
    bench.clock.advance(Duration::from_secs(60));
    claim(&bench, &ana, &alert).await.unwrap();
    let clock: &ManualClock = &bench.clock;
    clock.step_wall(NOW.minus(Duration::from_secs(3600)));
    act(&bench, &ana, of(&alert), 2, What::Confirm(v1::CaseConfirm {})).await.unwrap();
    let times: Vec<_> = get(&bench, &alert).await.history.iter().map(|one| one.at_unix_us).collect();
    assert!(times.is_sorted(), "{times:?}");
}

#[tokio::test]
async fn a_severe_case_that_was_touched_is_looked_at_before_what_is_slight() {
    let bench = Bench::new();
    let (severe, slight) = (critical(), minor());
    bench.commit(std::slice::from_ref(&slight)).await;
    bench.clock.advance(Duration::from_secs(1300));
    bench.commit(std::slice::from_ref(&severe)).await;
    bench.clock.advance(Duration::from_secs(65));
    bench.bus.tick_cases().await;
    bench.clock.advance(Duration::from_secs(135));
    let due = bench.bus.store().cases_due(9).await.unwrap();
    let alerts: Vec<_> = due.iter().map(|one| one.to_judge).collect();
    assert_eq!(alerts, [Some(severe.id), Some(slight.id)], "{due:?}");
}
