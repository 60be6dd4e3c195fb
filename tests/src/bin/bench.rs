//! Figures that the project promises: `make bench-NAME`. A row each, exit 1 when one is short.

use std::process::ExitCode;

use xueliang_tests::bench;

fn main() -> ExitCode {
    // Before anything loads ONNX Runtime; see `docs/licences.md` on its telemetry.
    if std::env::var_os("ORT_DISABLE_TELEMETRY").is_none() {
        eprintln!("bench: set ORT_DISABLE_TELEMETRY=1, as `make bench-NAME` does");
        return ExitCode::FAILURE;
    }
    let name = std::env::args().nth(1).unwrap_or_default();
    if name == bench::sessions::MEASURE {
        return measure_sessions();
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("bench: {error}");
            return ExitCode::FAILURE;
        }
    };
    let outcome = match name.as_str() {
        "activity" => bench::activity::run(),
        "attention" => runtime.block_on(bench::attention::run(std::env::args().nth(2).as_deref())),
        "main" => runtime.block_on(bench::main::run(std::env::args().nth(2).as_deref())),
        "bus" => runtime.block_on(bench::bus::run(std::env::args().nth(2).as_deref())),
        "cases" => runtime.block_on(bench::cases::run(
            std::env::args().nth(2).as_deref(),
            std::env::args().nth(3).as_deref(),
        )),
        "console" => runtime.block_on(bench::console::run(
            std::env::args().nth(2).as_deref(),
            std::env::args().nth(3).as_deref(),
        )),
        "costs" => runtime.block_on(bench::costs::run(std::env::args().nth(2).as_deref())),
        "glance" => bench::glance::run(),
        "plan" => bench::plan::run(),
        "sessions" => runtime.block_on(bench::sessions::run(std::env::args().nth(2).as_deref())),
        _ => {
            println!(
                "benches: activity (what encoded sizes and quantisers tell of movement), attention (what attention saves, \
                 and what it costs in hazards seen; or some of its parts, with commas: {}), main (accuracy, replay, first \
                 alert, ages, overload; or ages alone), bus (publish to console; or one of its parts by name: {}), cases (what \
                 people's work takes; or one of its parts by name: {}; a number behind it measures a share of its sizes), console (the \
                 operators' page in a browser; or one of its parts by name: {}; likewise), costs (what things cost \
                 on this machine, for `xueliang plan`; to .cache/costs.toml or the file that is named), glance (what the \
                 pixel tier finds, and when it wakes in vain), plan (what a decision and a plan of 22,000 cameras take), \
                 sessions (what a camera costs at rest)",
                bench::attention::PARTS.join(", "),
                bench::bus::PARTS.join(", "),
                bench::cases::PARTS.join(", "),
                bench::console::PARTS.join(", ")
            );
            println!(
                "XUELIANG_DEV_DATA names a folder with eval/, models/ and clips/; rows that need it say `no data` without it"
            );
            return if name == "--help" || name.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
        }
    };
    match outcome {
        Ok(table) => table.finish(),
        Err(error) => {
            eprintln!("bench {name}: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// This program, as it measures the sessions of one driver.
fn measure_sessions() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(2).collect();
    let measured = match &arguments[..] {
        [source, url, cameras] => {
            cameras.parse().map_err(Into::into).and_then(|n| bench::sessions::measure(source, url, n))
        }
        _ => Err(anyhow::anyhow!("a source, a place and a number of cameras were expected")),
    };
    match measured {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench sessions: {error:#}");
            ExitCode::FAILURE
        }
    }
}
