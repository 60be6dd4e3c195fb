//! What the page is like while a flood comes: whether it answers to keys, and what is on top.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use xueliang_proto::v1::Level;

use super::{
    super::{Table, cases::Share},
    painted::Painted,
    scene::Scene,
    town,
};

const ALERTS: u64 = 1000;
const OVER: Duration = Duration::from_secs(10);
/// What an operator does then, over and over: opens the newest pop-up, goes on to the next alert, closes it.
const KEYS: [(&str, &str); 3] = [("o", "opened"), ("j", "opened"), ("Escape", "closed")];
const BETWEEN_KEYS: Duration = Duration::from_millis(200);
const KEY_BAR_MS: f64 = 300.0;
/// After the last commit.
const CAUGHT_UP: Duration = Duration::from_secs(2);
const LOOK_EVERY: Duration = Duration::from_millis(50);

pub(super) async fn run(table: &mut Table, scene: &mut Scene, share: Share) -> anyhow::Result<()> {
    let alerts = usize::try_from(share.cut(ALERTS, 50))?;
    let flooding = tokio::spawn(scene.source.clone().flood(alerts, OVER));
    let mut painted = Painted::default();
    let (mut keys_ms, mut looks, mut out_of_order) = (Vec::new(), 0, 0);
    while !flooding.is_finished() {
        if scene.page.top().await?.pop_ups == 0 {
            sleep(LOOK_EVERY).await;
            continue;
        }
        for (key, until) in KEYS {
            keys_ms.push(scene.page.press(key, until).await?);
            sleep(BETWEEN_KEYS).await;
        }
        painted.take(&mut scene.page).await?;
        let top = scene.page.top().await?;
        looks += 1;
        out_of_order += usize::from(!top.at_top || !top.levels.is_sorted());
    }
    let all = flooding.await??;
    let last = Instant::now();
    let caught_up = loop {
        let firing = scene.page.top().await?.firing;
        if firing == alerts + town::FIRING {
            break Some(last.elapsed());
        }
        if last.elapsed() > CAUGHT_UP * 5 {
            break None;
        }
        sleep(LOOK_EVERY).await;
    };
    painted.take(&mut scene.page).await?;

    let what = format!("a flood of {alerts} alerts in {} s", OVER.as_secs());
    keys_ms.sort_by(f64::total_cmp);
    let most = keys_ms.last().copied().unwrap_or(f64::INFINITY);
    table.row(
        &format!("{what}: from key to painted, opening, going on and closing"),
        format!(
            "{:.0} ms in the middle, {most:.0} ms at most, of {} keys",
            keys_ms.get(keys_ms.len() / 2).unwrap_or(&most),
            keys_ms.len()
        ),
        "each <= 300 ms",
        most <= KEY_BAR_MS,
    );
    table.row(
        &format!("{what}: levels 1 and 2 on top of the list, in view"),
        format!("otherwise at {out_of_order} of {looks} looks"),
        "0",
        looks > 0 && out_of_order == 0,
    );
    let critical = all.iter().filter(|alert| matches!(alert.level(), Level::Level1 | Level::Level2));
    painted
        .ages(&scene.desks, critical.map(|alert| alert.alert_id.as_str()))
        .row(table, &format!("{what}: from commit to painted row, levels 1 and 2"));
    table.row(
        &format!("{what}: the page counts them all"),
        caught_up.map_or("never".to_owned(), |took| format!("{:.1} s after the last", took.as_secs_f64())),
        "<= 2 s after the last",
        caught_up.is_some_and(|took| took <= CAUGHT_UP),
    );
    scene.source.end(&all).await?;
    scene.quiet(town::FIRING).await
}
