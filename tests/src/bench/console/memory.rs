//! Whether a page that stays open stays as it is, while alerts come and somebody works on it.

use std::time::Duration;

use tokio::time::{Instant, interval, sleep};

use super::{
    super::{Table, percentile},
    page::Heap,
    painted::RATE,
    scene::Scene,
};

/// What somebody does now and then: opens an alert, looks at the cases, comes back.
const KEYS: [(&str, &str); 5] =
    [("j", "selected"), ("Enter", "told"), ("Escape", "closed"), ("3", "cases"), ("1", "hazards")];
const SAMPLES: u32 = 60;
/// Most that may be in use at the end beyond what was at the begin, of a hundred.
const MORE: f64 = 5.0;

/// What is told of a page at one moment.
type Figure = fn(&Heap) -> u64;

pub(super) async fn run(table: &mut Table, scene: &mut Scene, long: Duration) -> anyhow::Result<()> {
    let publishing = tokio::spawn(scene.source.clone().steady(RATE, long));
    let began = Instant::now();
    let mut tick = interval(long / SAMPLES);
    let mut heaps = Vec::new();
    while !publishing.is_finished() {
        tick.tick().await;
        for (key, until) in KEYS {
            scene.page.press(key, until).await?;
            // As long as a look at it takes.
            sleep(Duration::from_millis(500)).await;
        }
        // The probe in the page keeps none of it.
        let _painted = scene.page.painted().await?;
        heaps.push(scene.page.heap().await?);
    }
    let alerts = publishing.await??.len();
    let what = format!("a page that is open for {:.0} min, {RATE} alerts/s", long.as_secs_f64() / 60.0);
    table.note(&what, format!("{alerts} alerts, {} rounds of {} keys", heaps.len(), KEYS.len()));
    let figures: [(&str, Figure); 4] = [
        ("memory of the page", |heap| heap.page_bytes),
        ("memory of its worker", |heap| heap.worker_bytes),
        ("nodes of its document", |heap| heap.nodes),
        ("what listens in it", |heap| heap.listeners),
    ];
    for (name, of) in figures {
        let (first, last) = ends(&heaps, of);
        let more = 100.0 * (last as f64 / first as f64 - 1.0);
        let shown = |value: u64| match name.starts_with("memory") {
            true => format!("{:.2} MiB", value as f64 / f64::from(1 << 20)),
            false => value.to_string(),
        };
        let all: Vec<String> = heaps.iter().step_by(5).map(|heap| shown(of(heap))).collect();
        table.note(&format!("{what}: {name}, every fifth sample"), all.join(", "));
        table.row(
            &format!("{what}: {name}, the last fifth beside the first"),
            format!("{} beside {} ({more:+.1} %)", shown(last), shown(first)),
            "<= 5 % more",
            more <= MORE,
        );
    }
    let (first, last) = ends(&heaps, |heap| heap.resident_bytes >> 20);
    table.note(
        &format!("{what}: resident memory of the browser's processes for it, likewise"),
        format!("{last} MiB beside {first} MiB"),
    );
    if let [first, .., last] = &heaps[..] {
        let share = 100.0 * (last.processor_s - first.processor_s) / began.elapsed().as_secs_f64();
        table.note(&format!("{what}: processor of page and worker, of one core"), format!("{share:.0} %"));
    }
    Ok(())
}

/// The middle of the first and of the last fifth.
fn ends(heaps: &[Heap], of: fn(&Heap) -> u64) -> (u64, u64) {
    let values: Vec<u64> = heaps.iter().map(of).collect();
    let fifth = values.len().div_ceil(5);
    let [mut first, mut last] = [&values[..fifth], &values[values.len() - fifth..]].map(<[u64]>::to_vec);
    (percentile(&mut first, 0.5), percentile(&mut last, 0.5))
}
