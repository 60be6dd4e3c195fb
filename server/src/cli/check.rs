//! `xueliang check`: everything that is wrong with a configuration, in one go.

use std::{collections::BTreeMap, net::ToSocketAddrs, path::PathBuf, process::ExitCode, time::Duration};

use anyhow::{Context, bail};
use clap::Args;
use xueliang_base::{
    config::{Config, CredentialSource, base_dir},
    detection::Meaning,
    id::ModelName,
};
use xueliang_inference::{
    attention::{Attention, AttentionParams, Granted},
    capability,
    model::Model,
};

use crate::node::looks::need;

/// Arguments of `check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Configuration file.
    #[arg(long, short)]
    config: PathBuf,
    /// Alerts with evidence that a camera is expected to raise a day, for the need of disk.
    #[arg(long, default_value_t = 5.0)]
    alerts_per_day: f64,
    /// Bits per second of a camera's stream, in millions, for the need of disk.
    #[arg(long, default_value_t = 2.0)]
    megabits: f64,
    /// Also resolve host names and look whether the addresses lie in the allowed networks.
    #[arg(long)]
    resolve: bool,
}

/// Bytes of a redacted still and a preview of 40 pictures at 640 pixels, measured on the demonstration footage.
const STILL_BYTES: f64 = 60_000.0;
const PREVIEW_BYTES: f64 = 40.0 * 35_000.0;

/// Loaded models: what each can see.
pub type Sees = Vec<(ModelName, Vec<Meaning>)>;

/// Loads the manifests of all models; faults with their paths.
pub fn load_models(config: &Config) -> (Vec<Model>, Vec<(String, String)>) {
    let mut models = Vec::new();
    let mut faults = Vec::new();
    for (index, folder) in config.models.iter().enumerate() {
        match Model::load(folder) {
            Ok(model) => models.push(model),
            Err(error) => faults.push((format!("models[{index}]"), error.to_string())),
        }
    }
    (models, faults)
}

/// What each loaded model can see.
pub fn sees(models: &[Model]) -> Sees {
    models.iter().map(|model| (model.name().clone(), model.meanings())).collect()
}

/// Refuses a configuration whose models are broken or whose rules no loaded model can serve.
pub fn refuse_unserved(config: &Config) -> anyhow::Result<()> {
    let (models, mut faults) = load_models(config);
    if faults.is_empty() {
        faults = capability::faults(config, &sees(&models));
    }
    if faults.is_empty() {
        return Ok(());
    }
    let text: Vec<_> = faults.iter().map(|(path, message)| format!("{path}: {message}")).collect();
    bail!("the configuration cannot be served:\n{}", text.join("\n"))
}

/// Prints faults, or coverage and disk.
pub fn run(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    let text =
        std::fs::read_to_string(&args.config).with_context(|| format!("read {}", args.config.display()))?;
    let folder = base_dir(&args.config).canonicalize().context("find the configuration's folder")?;
    let (config, mut faults) = match Config::parse(&text, &folder) {
        Ok(config) => (Some(config), Vec::new()),
        Err(error) => {
            (error.partial.map(|config| *config), error.faults.iter().map(ToString::to_string).collect())
        }
    };
    if let Some(config) = &config {
        faults.extend(
            further_faults(config, args.resolve).iter().map(|(path, message)| format!("{path}: {message}")),
        );
    }
    let Some(config) = config.filter(|_| faults.is_empty()) else {
        for fault in &faults {
            println!("{fault}");
        }
        println!("{} faults; nothing was started or changed", faults.len());
        return Ok(ExitCode::FAILURE);
    };
    println!(
        "{}: no faults; cameras: {}, models: {}\n",
        args.config.display(),
        config.cameras.len(),
        config.models.len()
    );
    print_coverage(&config);
    print_disk(&config, args);
    Ok(ExitCode::SUCCESS)
}

/// What the text alone cannot tell: models, credentials, addresses.
fn further_faults(config: &Config, resolve: bool) -> Vec<(String, String)> {
    let (models, mut faults) = load_models(config);
    // A model that cannot be loaded is one fault, not one for each rule that it would have served.
    if faults.is_empty() {
        faults.extend(capability::faults(config, &sees(&models)));
    }
    faults.extend(credential_faults(config));
    faults.extend(network_faults(config, resolve));
    faults
}

fn credential_faults(config: &Config) -> Vec<(String, String)> {
    config
        .credentials
        .iter()
        .filter_map(|(name, source)| {
            crate::roles::bus::read_credentials(source)
                .err()
                .map(|error| (format!("credentials.{name}"), format!("{error:#}")))
        })
        .collect()
}

fn network_faults(config: &Config, resolve: bool) -> Vec<(String, String)> {
    let mut faults = Vec::new();
    for camera in &config.cameras {
        let path = format!("camera[{}].url", camera.id);
        let Some(host) = camera.stream.url.host_str() else { continue };
        let port = camera.stream.url.port().unwrap_or(554);
        let literal = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().ok();
        let addresses = match literal {
            Some(ip) => vec![ip],
            None if resolve => match (host, port).to_socket_addrs() {
                Ok(found) => found.map(|address| address.ip()).collect(),
                Err(error) => {
                    faults.push((path, format!("host {host} cannot be resolved: {error}")));
                    continue;
                }
            },
            None => continue,
        };
        for ip in addresses {
            if !config.networks.iter().any(|network| network.contains(&ip)) {
                faults.push((
                    path.clone(),
                    format!("{ip} lies in none of the allowed networks: add it to networks"),
                ));
            }
        }
    }
    faults
}

fn print_coverage(config: &Config) {
    let workers = crate::roles::node::worker_count(&config.analysis);
    let mut attention = Attention::new(AttentionParams {
        workers,
        leases_per_worker: config.analysis.leases_per_worker,
        max_age: config.analysis.max_age,
        look_deadline: config.analysis.look_deadline,
        ..AttentionParams::default()
    });
    for camera in &config.cameras {
        attention.set_camera(need(camera));
    }
    println!("Coverage with {workers} workers, at the costs assumed before the first looks:");
    for camera in &config.cameras {
        println!("  {} ({})", camera.id, camera.name);
        let rows: BTreeMap<_, _> =
            attention.coverage(&camera.id).into_iter().map(|row| (row.rule.clone(), row)).collect();
        for rule in &camera.rules {
            let zone = rule.zone.as_ref().map_or_else(|| "whole picture".to_owned(), ToString::to_string);
            let granted = match rows.get(&rule.id) {
                None => "guaranteed: needs no look".to_owned(),
                Some(row) => match &row.granted {
                    Granted::Guaranteed => format!("guaranteed, looked at every {:?}", row.expected_interval),
                    Granted::BestEffort(why) => {
                        format!(
                            "best effort ({}), about every {:?}",
                            crate::node::report::why(*why),
                            row.expected_interval
                        )
                    }
                    Granted::NotCovered(why) => format!("not covered: {}", crate::node::report::why(*why)),
                },
            };
            println!("    {:<18} {zone:<14} blind at most {:?}: {granted}", rule.kind.code(), rule.blind_max);
        }
    }
    println!();
}

fn print_disk(config: &Config, args: &CheckArgs) {
    let evidence = &config.evidence;
    let seconds = (evidence.before + evidence.after).as_secs_f64();
    let clip = seconds * args.megabits * 1e6 / 8.0;
    let days = Duration::from_secs(u64::from(evidence.keep_days) * 86_400).as_secs_f64() / 86_400.0;
    let cameras = config.cameras.len() as f64;
    let masked = config.cameras.iter().filter(|camera| !camera.masks.is_empty()).count() as f64;
    let per_alert = STILL_BYTES + PREVIEW_BYTES;
    let need = args.alerts_per_day * days * (cameras * per_alert + (cameras - masked) * clip);
    println!(
        "Disk for {days} days of evidence at {} alerts a camera a day and {} Mbit/s: {:.1} GB; the budget is {:.1} GB{}",
        args.alerts_per_day,
        args.megabits,
        need / 1e9,
        evidence.max_bytes as f64 / 1e9,
        if need > evidence.max_bytes as f64 {
            " — too small: raise evidence.max or shorten before and after"
        } else {
            ""
        }
    );
    println!(
        "  (a still {STILL_BYTES} B, a preview {PREVIEW_BYTES} B, {seconds} s of original footage {clip:.0} B;"
    );
    println!("   cameras with privacy masks keep no original footage)");
    for (name, source) in &config.credentials {
        if let CredentialSource::File(path) = source {
            println!("Credentials {name} are read from {}", path.display());
        }
    }
}
