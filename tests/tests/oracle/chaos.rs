//! A console behind a network that fails: it misses nothing, and nobody else notices.

use std::sync::{Arc, Mutex};

use rand::{Rng, SeedableRng, rngs::SmallRng, seq::IndexedRandom};
use tokio::time::{Instant, sleep};
use xueliang_proto::v1::{PublishOutcome, PublishRequest};
use xueliang_tests::service::until;

use super::{
    Duration, MINUTE,
    consoles::read,
    proxy::{Proxy, Weather},
    seed,
    seen::Seen,
    site::{Client, Site, fresh, publication},
};

/// Publishes new critical alerts until aborted; what was acknowledged, with the moment it was sent.
async fn publish(mut client: Client, published: Arc<Mutex<Vec<String>>>, every: Duration) {
    loop {
        let alert = fresh(2);
        let request = PublishRequest { publications: vec![publication(&alert)] };
        if let Ok(answer) = client.publish(request).await {
            assert_eq!(answer.into_inner().results[0].outcome(), PublishOutcome::Committed);
            published.lock().unwrap().push(alert.id.to_string());
        }
        sleep(every).await;
    }
}

fn all_seen(published: &Mutex<Vec<String>>, seen: &Mutex<Seen>) -> Option<()> {
    let seen = seen.lock().unwrap();
    published.lock().unwrap().iter().all(|id| seen.delivered.contains(&(id.clone(), 1))).then_some(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_the_network_does_a_console_misses_nothing_and_delays_nobody() {
    let mut dice = SmallRng::seed_from_u64(seed());
    let site = Site::new();
    let _bus = site.start(None);
    let proxy = Proxy::to(site.port()).await;
    let (behind, direct) = (Arc::<Mutex<Seen>>::default(), Arc::<Mutex<Seen>>::default());
    let published = Arc::<Mutex<Vec<String>>>::default();
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(read(proxy.api(), "behind", 64, behind.clone()));
    tasks.spawn(read(site.api(), "direct", 64, direct.clone()));
    until("both are at work", MINUTE, async || {
        [&behind, &direct].iter().all(|seen| !seen.lock().unwrap().cursor.is_empty()).then_some(())
    })
    .await
    .unwrap_or_else(|error| panic!("{error}\n{}", site.log()));
    let publishing = tasks.spawn(publish(site.publisher(), published.clone(), Duration::from_millis(10)));

    let kinds = [
        Weather::Stalled,
        Weather::HalfOpen,
        Weather::Delayed(Duration::from_millis(300)),
        Weather::Slow(20_000),
        Weather::Cut,
    ];
    let end = Instant::now() + Duration::from_secs(25);
    while Instant::now() < end {
        let weather = *kinds.choose(&mut dice).unwrap();
        println!("{weather:?}");
        proxy.set(weather);
        sleep(Duration::from_millis(dice.random_range(200..4000))).await;
        proxy.set(Weather::Fair);
        sleep(Duration::from_millis(dice.random_range(100..1500))).await;
    }
    publishing.abort();
    until("the console has caught up", MINUTE, async || all_seen(&published, &behind)).await.unwrap();
    until("the other had no reason not to", MINUTE, async || all_seen(&published, &direct)).await.unwrap();
    let states = published.lock().unwrap().len();
    println!("{states} alerts");
    assert!(states > 500, "the publisher waits for nobody: {states}");
    for (name, seen) in [("behind", &behind), ("direct", &direct)] {
        let seen = seen.lock().unwrap();
        assert_eq!((&seen.faults[..], seen.gaps), (&[][..], 0), "{name}");
    }
    let worst = direct.lock().unwrap().worst_age_us;
    assert!(worst < 1_500_000, "the direct console's worst age was {worst} us");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_peer_is_found_within_ten_seconds() {
    let site = Site::new();
    let _bus = site.start(None);
    let proxy = Proxy::to(site.port()).await;
    let seen = Arc::<Mutex<Seen>>::default();
    let reading = tokio::spawn(read(proxy.api(), "peer", 64, seen.clone()));
    let open = async || site.metric("xueliang_bus_subscriptions{").await;
    until("its stream is open", MINUTE, async || (open().await == Some(1.0)).then_some(())).await.unwrap();
    proxy.set(Weather::HalfOpen);
    let began = Instant::now();
    until("its stream is closed", MINUTE, async || (open().await == Some(0.0)).then_some(())).await.unwrap();
    // The gauge is renewed once a second.
    assert!(began.elapsed() < Duration::from_secs(11), "{:?}", began.elapsed());
    reading.abort();
}
