//! How soon the page can be used, in a browser that was never there, and how soon its pages stand there.

use super::{
    super::Table,
    scene::{JUDGE, Scene},
};

const TURNS: usize = 5;
const BAR_MS: f64 = 2000.0;

/// Keys in their order, what is painted then, and what a judge calls it.
const PAGES: [(&str, &str, &str); 8] = [
    ("3", "cases", "cases"),
    ("6", "history", "past cases"),
    ("7", "statistics", "statistics"),
    ("4", "cameras", "cameras"),
    ("5", "map", "map"),
    ("1", "hazards", "back to the list"),
    ("j", "selected", "selecting an alert"),
    ("Enter", "told", "opening it, with its case and what its place saw"),
];

pub(super) async fn run(table: &mut Table, scene: &mut Scene) -> anyhow::Result<()> {
    let (mut live, mut form, mut entered) = (Vec::new(), Vec::new(), Vec::new());
    let mut pages: [Vec<f64>; PAGES.len()] = Default::default();
    for _ in 0..TURNS {
        let url = scene.url();
        let signed = scene.page.sign_in(&url, JUDGE.0, JUDGE.1).await?;
        form.push(signed.form_ms);
        entered.push(signed.live_ms);
        live.push(scene.open().await?);
        for ((key, until, _), took) in PAGES.into_iter().zip(&mut pages) {
            took.push(scene.page.press(key, until).await?);
        }
    }
    row(table, "opening the page with a session: live, with its alerts", &live);
    row(table, "opening the page without one: the form to sign in", &form);
    row(table, "signing in: from Enter until it is live", &entered);
    for ((key, _, what), took) in PAGES.into_iter().zip(&pages) {
        row(table, &format!("key {key}: {what}"), took);
    }
    Ok(())
}

fn row(table: &mut Table, figure: &str, took_ms: &[f64]) {
    let mut sorted = took_ms.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (middle, most) = (sorted[sorted.len() / 2], sorted[sorted.len() - 1]);
    let measured = format!("{middle:.0} ms in the middle, {most:.0} ms at most, of {} turns", sorted.len());
    table.row(figure, measured, "each <= 2000 ms", most <= BAR_MS);
}
