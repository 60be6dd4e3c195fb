//! The command line.

use std::{io::Write, os::unix::process::CommandExt, path::PathBuf, process::ExitCode};

use clap::{Args, Parser, Subcommand, ValueEnum};
use tokio::signal::unix::{Signal, SignalKind, signal};
use xueliang_base::telemetry::{self, LogFormat};

mod account;
mod audit;
mod backup;
mod cameras;
mod check;
mod custodians;
mod demo;
mod divisions;
mod explain;
mod kinds;
mod plan;
pub(crate) mod reach;
mod register;
mod replay;
mod run;
mod runtime;
mod sheet;
mod sign_in;
mod simulate;
mod watch;

pub use check::refuse_unserved;
pub use run::{read_config, read_config_text};

/// Watches a town's cameras for hazards and puts them in front of the people on duty, in time.
///
/// Xueliang reads street cameras over RTSP, lets ONNX models look, and sends hazards (fire, a blocked fire lane,
/// someone in a dangerous zone, dangerous crowding, a wrong-way vehicle, a left object, a covered or dead camera …)
/// to consoles over gRPC. It flags events, never people: it cannot identify anyone, and no option changes that.
///
/// Start with `xueliang check --config FILE`, then `xueliang run --config FILE`, and follow the alerts in another
/// terminal with `xueliang watch`. `xueliang demo` shows all of it with simulated cameras.
#[derive(Debug, Parser)]
#[command(name = "xueliang", version, max_term_width = 110)]
struct Cli {
    /// How log lines look; they go to standard error. XUELIANG_LOG sets levels, as `info,xueliang_ingest=debug`.
    #[arg(long, global = true, value_enum, default_value_t = Format::Text)]
    log_format: Format,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl Format {
    fn word(self) -> &'static str {
        match self {
            Format::Text => "text",
            Format::Json => "json",
        }
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the service on the cameras of a configuration, until Ctrl-C.
    Run(run::RunArgs),
    /// Report every fault of a configuration, its coverage and its need of disk. Starts nothing.
    Check(check::CheckArgs),
    /// Follow alerts in the terminal.
    Watch(watch::WatchArgs),
    /// Run a recording through the same models, tracks and rules as live video.
    Replay(replay::ReplayArgs),
    /// Tell what a town of cameras takes: cores, memory, uplinks, and what its rules get for them. Starts nothing.
    Plan(plan::PlanArgs),
    /// Serve files as RTSP cameras, with faults on command.
    Simulate(simulate::SimulateArgs),
    /// Show everything at work: simulated cameras, the service and its alerts, until Ctrl-C.
    Demo(demo::DemoArgs),
    /// Copy the store of a running or stopped service to a folder, verified.
    Backup(backup::BackupArgs),
    /// Put a backup in the place of the store of a stopped service; consoles are told of the new epoch.
    Restore(backup::RestoreArgs),
    /// Tell what a camera did in a stretch of time, and why there was, or was not, an alert.
    Explain(explain::ExplainArgs),
    /// Have a camera connected and looked at for a while that is not all the time.
    Cameras(cameras::CamerasArgs),
    /// Sign in at a service, and keep the session's token in a file for the commands that call it.
    SignIn(sign_in::SignInArgs),
    /// Make, list and reset accounts of the running service.
    Account(account::AccountArgs),
    /// List the division tree, and import the grids of a township from a CSV file.
    Divisions(divisions::DivisionsArgs),
    /// Import, list and tell custodians (责任人) of camera points: contacts of duty holders, masked and encrypted.
    Custodians(custodians::CustodiansArgs),
    /// Write a compliance sheet: filing of points (备案), points without sign, retention, capability, impact assessment.
    Sheet(sheet::SheetArgs),
    /// List which consoles were sent an alert, showed and acknowledged it, and when.
    Audit(audit::AuditArgs),
    /// Read the register of calls for footage, or take it out as a file.
    Register(register::RegisterArgs),
    /// List the kinds of hazard and what each needs.
    Kinds(kinds::KindsArgs),
    /// Role: the record and the alert bus. Started by `run`.
    #[command(hide = true)]
    Bus(BusArgs),
    /// Role: sessions, attention, rules. Started by `run`.
    #[command(hide = true)]
    Node(NodeArgs),
    /// Role: decoders and models. Started by a node.
    #[command(hide = true)]
    Worker(WorkerArgs),
}

/// Arguments of the bus role.
#[derive(Debug, Args)]
struct BusArgs {
    /// Configuration to import.
    #[arg(long)]
    config: PathBuf,
    /// State folder of the service.
    #[arg(long)]
    state_dir: PathBuf,
}

/// Arguments of the node role.
#[derive(Debug, Args)]
struct NodeArgs {
    /// Name of this node.
    #[arg(long)]
    node: xueliang_base::id::NodeId,
    /// State folder of the service.
    #[arg(long)]
    state_dir: PathBuf,
    /// ONNX Runtime's shared library.
    #[arg(long)]
    runtime: PathBuf,
}

/// Arguments of the worker role.
#[derive(Debug, Args)]
struct WorkerArgs {
    /// What it works for; shown in process lists.
    #[arg(long)]
    purpose: String,
    /// Added to its nice value.
    #[arg(long, default_value_t = 0, allow_hyphen_values = true)]
    nice: i32,
}

/// Parses the arguments and runs the command.
pub fn main() -> ExitCode {
    with_environment();
    let cli = Cli::parse();
    let format = if cli.log_format == Format::Json { LogFormat::Json } else { LogFormat::Text };
    let quiet = matches!(
        cli.command,
        Command::Watch(_)
            | Command::Account(_)
            | Command::SignIn(_)
            | Command::Audit(_)
            | Command::Explain(_)
            | Command::Cameras(_)
            | Command::Custodians(_)
            | Command::Divisions(_)
            | Command::Register(_)
            | Command::Sheet(_)
            | Command::Replay(_)
            | Command::Check(_)
            | Command::Plan(_)
    );
    // What the retina crate warns of, sessions say once, in words for people.
    telemetry::start(format, if quiet { "warn,retina=error" } else { "info,retina=error" });
    // A role's log is what people and their collectors read; so is that of a service that logs for collectors.
    let logs = match cli.command {
        Command::Bus(_) | Command::Node(_) | Command::Worker(_) => true,
        Command::Run(_) => cli.log_format == Format::Json,
        _ => false,
    };
    let result = match cli.command {
        Command::Run(args) => run::run(args, cli.log_format.word()),
        Command::Check(args) => check::run(&args),
        Command::Watch(args) => watch::run(args),
        Command::Replay(args) => replay::run(&args),
        Command::Plan(args) => plan::run(&args),
        Command::Simulate(args) => simulate::run(args),
        Command::Demo(args) => demo::run(args),
        Command::Backup(args) => backup::backup(&args),
        Command::Restore(args) => backup::restore(&args),
        Command::Account(args) => account::run(args),
        Command::SignIn(args) => sign_in::run(args),
        Command::Audit(args) => audit::run(args),
        Command::Explain(args) => explain::run(args),
        Command::Cameras(args) => cameras::run(args),
        Command::Custodians(args) => custodians::run(args),
        Command::Divisions(args) => divisions::run(args),
        Command::Register(args) => register::run(args),
        Command::Sheet(args) => sheet::run(args),
        Command::Kinds(args) => kinds::run(&args),
        Command::Bus(args) => role(crate::roles::bus::run(args.config, args.state_dir)),
        Command::Node(args) => role(async {
            crate::roles::node::run(args.node, args.state_dir, args.runtime, cli.log_format.word()).await?;
            Ok(ExitCode::SUCCESS)
        }),
        Command::Worker(args) => crate::supervisor::belong_to_parent()
            .and_then(|()| crate::roles::worker::run(args.nice))
            .map(|()| ExitCode::SUCCESS),
    };
    result.unwrap_or_else(|error| {
        if logs {
            tracing::error!(error = format!("{error:#}"), "ends");
        } else {
            // Whoever closed the terminal needs no message.
            let _closed = writeln!(std::io::stderr(), "xueliang: {error:#}");
        }
        ExitCode::FAILURE
    })
}

/// What must be in the environment before libraries load, for this program and all that it starts.
///
/// ONNX Runtime's published builds report their use to their maker unless told not to: a town's cameras are nobody
/// else's business. glibc gives each thread an arena of its own, and a node has four threads a camera: reconnects would
/// leave its memory in pieces. So would evidence: once a clip of some megabytes was freed, glibc takes the next ones of
/// that size out of its heap as well, where what lies behind them keeps them from being given back. Workers get another threshold.
const ENVIRONMENT: [(&str, &str); 3] =
    [("ORT_DISABLE_TELEMETRY", "1"), ("MALLOC_ARENA_MAX", "2"), ("MALLOC_MMAP_THRESHOLD_", "1048576")];

/// The program starts itself once more with that environment.
fn with_environment() {
    let missing: Vec<_> = ENVIRONMENT.iter().filter(|(name, _)| std::env::var_os(name).is_none()).collect();
    if missing.is_empty() {
        return;
    }
    let Ok(program) = std::env::current_exe() else { return };
    let mut again = std::process::Command::new(program);
    again.args(std::env::args_os().skip(1)).envs(missing.into_iter().copied());
    let error = again.exec();
    eprintln!("xueliang: cannot start again with {ENVIRONMENT:?}: {error}");
}

fn role(work: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    crate::supervisor::belong_to_parent()?;
    block_on(work)
}

/// What asks a command in the foreground to end: Ctrl-C, SIGTERM, or the terminal being closed.
struct Asked([Signal; 3]);

impl Asked {
    /// Listens from now on, for as long as the process lives.
    fn listen() -> std::io::Result<Self> {
        use SignalKind as Kind;
        Ok(Self([signal(Kind::interrupt())?, signal(Kind::terminate())?, signal(Kind::hangup())?]))
    }
    /// Waits until it is asked.
    async fn wait(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}

/// Writes to standard output. Whoever stops reading, as `| head` does, has seen enough: that is no error.
fn print(text: impl std::fmt::Display) -> anyhow::Result<()> {
    print_to(&mut std::io::stdout(), text)
}

fn print_to(out: &mut impl Write, text: impl std::fmt::Display) -> anyhow::Result<()> {
    match write!(out, "{text}").and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// Runs a future on a runtime of two threads: enough for timers and sockets, since work over 1 ms has threads of
/// its own.
fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(2).thread_name(crate::roles::tasks::THREAD).enable_all().build()?.block_on(work)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clap::CommandFactory as _;

    use super::*;

    /// All commands, each with those within it.
    fn all(command: &clap::Command, within: &str, names: &mut BTreeSet<String>) {
        for one in command.get_subcommands() {
            let name = format!("{within} {}", one.get_name()).trim().to_owned();
            all(one, &name, names);
            names.insert(name);
        }
    }

    #[test]
    fn whoever_reads_no_further_makes_no_command_fail_and_a_full_disk_does() {
        struct Gone(std::io::ErrorKind);
        impl Write for Gone {
            fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
                Err(self.0.into())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        assert!(print_to(&mut Gone(std::io::ErrorKind::BrokenPipe), "a line\n").is_ok());
        assert!(print_to(&mut Gone(std::io::ErrorKind::StorageFull), "a line\n").is_err());
        let mut out = Vec::new();
        print_to(&mut out, "a line\n").unwrap();
        assert_eq!(out, b"a line\n");
    }

    #[test]
    fn it_is_said_of_every_command_whether_it_gives_pictures_of_the_record_and_none_does() {
        let mut names = BTreeSet::new();
        all(&Cli::command(), "", &mut names);
        // Pictures of the record leave by calls of the gateway, which are registered. What stands here prints words, or works
        // on files that whoever runs it has already: recordings, the store of a stopped service.
        let without = [
            "account",
            "account add",
            "account list",
            "account reset",
            "account set-up",
            "audit",
            "audit verify",
            "backup",
            "bus",
            "cameras",
            "cameras look",
            "check",
            "custodians",
            "custodians import",
            "custodians list",
            "custodians reveal",
            "custodians rotate-key",
            "demo",
            "divisions",
            "divisions import",
            "divisions list",
            "explain",
            "kinds",
            "node",
            "plan",
            "register",
            "register export",
            "register list",
            "replay",
            "restore",
            "run",
            "sheet",
            "sheet assessment",
            "sheet capability",
            "sheet filed",
            "sheet filing",
            "sheet retention",
            "sheet signs",
            "sign-in",
            "simulate",
            "watch",
            "worker",
        ];
        let without: BTreeSet<String> = without.map(str::to_owned).into();
        let new: Vec<_> = names.difference(&without).collect();
        assert!(new.is_empty(), "say here what of the record these give, and that it is registered: {new:?}");
        let gone: Vec<_> = without.difference(&names).collect();
        assert!(gone.is_empty(), "there is no command {gone:?}");
    }
}
