//! `xueliang check`: everything that is wrong with a configuration, in one go.

use std::{
    collections::BTreeMap,
    net::ToSocketAddrs,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context, bail};
use clap::Args;
use xueliang_alerts::{
    evidence::{KEY_POINT_DAYS, Usage},
    sink::Secret,
};
use xueliang_base::{
    config::{AlertOptions, Camera, Config, CredentialSource, Retention, Sink, base_dir},
    detection::Meaning,
    id::ModelName,
    time::{Clock as _, SystemClock},
};
use xueliang_inference::{
    capability,
    model::Model,
    session::{init_runtime, ort::OrtDetector},
};

use super::runtime;
use crate::roles::bus::{callers::token_faults, evidence_options, tls};

mod acquire;
mod coverage;

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
    /// Seconds between a camera's keyframes, for the coverage: what your cameras are set to.
    #[arg(long, default_value_t = 2.0, value_parser = positive)]
    keyframes: f64,
    /// Pictures a second of a camera's stream, for the coverage.
    #[arg(long, default_value_t = 25.0, value_parser = positive)]
    fps: f64,
    /// Open the models, report what is wrong with them, and nothing else.
    #[arg(long, hide = true)]
    only_models: bool,
}

fn positive(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(value) if (0.01..=1000.0).contains(&value) => Ok(value),
        _ => Err("use a number from 0.01 to 1000".to_owned()),
    }
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

/// What opening the models in ONNX Runtime showed.
#[derive(Debug, Default)]
struct Opened {
    /// Time of one picture, preparing and running, as measured here.
    costs: BTreeMap<ModelName, Duration>,
    /// With their paths.
    faults: Vec<(String, String)>,
    /// Why they could not be opened at all.
    note: Option<String>,
}

/// Opens every model as a look worker does: operators, shapes, and the golden picture.
fn open_models(config: &Config, models: &[Model]) -> Opened {
    let mut opened = Opened::default();
    if models.is_empty() {
        return opened;
    }
    if let Err(error) = runtime::find().and_then(|library| Ok(init_runtime(&library)?)) {
        opened.note = Some(format!("the models were read but not opened: {error:#}"));
        return opened;
    }
    let clock = SystemClock::shared();
    for model in models {
        let tried = OrtDetector::load(model, config.analysis.device, clock.clone())
            .and_then(|mut detector| detector.golden_cost());
        match tried {
            Ok(cost) => {
                opened.costs.insert(model.name().clone(), cost);
            }
            Err(error) => {
                let index = config.models.iter().position(|folder| folder == model.folder()).unwrap_or(0);
                opened.faults.push((format!("models[{index}]"), error.to_string()));
            }
        }
    }
    opened
}

/// Rules that these models cannot serve.
fn rule_faults(config: &Config, models: &[Model]) -> Vec<(String, String)> {
    let sees = sees(models);
    let most: Vec<(ModelName, usize)> =
        models.iter().filter_map(|model| Some((model.name().clone(), model.most()?))).collect();
    let mut faults = capability::faults(config, &sees);
    faults.extend(capability::crowd_faults(config, &sees, &most));
    faults
}

/// Refuses a configuration whose models cannot be opened. That needs ONNX Runtime, which the supervisor does not keep in
/// its memory: a process of its own looks, and ends.
pub fn refuse_unopenable(config: &Path) -> anyhow::Result<()> {
    let output = std::process::Command::new(std::env::current_exe().context("find this program's own file")?)
        .args(["check", "--only-models", "--config"])
        .arg(config)
        .output()
        .context("open the models")?;
    if output.status.success() {
        return Ok(());
    }
    bail!("the configuration cannot be served:\n{}", String::from_utf8_lossy(&output.stdout).trim_end())
}

/// Refuses a configuration whose models are broken or whose rules no loaded model can serve.
pub fn refuse_unserved(config: &Config) -> anyhow::Result<()> {
    let (models, mut faults) = load_models(config);
    if faults.is_empty() {
        faults = rule_faults(config, &models);
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
    let (models, unread) = config.as_ref().map(load_models).unwrap_or_default();
    let mut opened = config.as_ref().map(|config| open_models(config, &models)).unwrap_or_default();
    if let Some(note) = &opened.note {
        eprintln!("note: {note}");
    }
    let model_faults: Vec<(String, String)> = unread.into_iter().chain(opened.faults.drain(..)).collect();
    if args.only_models {
        model_faults.iter().for_each(|(path, message)| println!("{path}: {message}"));
        return Ok(if model_faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    if let Some(config) = &config {
        // A model that cannot be loaded is one fault, not one for each rule that it would have served.
        let rules = if model_faults.is_empty() { rule_faults(config, &models) } else { Vec::new() };
        let further = model_faults.into_iter().chain(rules).chain(credential_faults(config));
        let further = further.chain(token_faults(config)).chain(tls_faults(config));
        let further = further.chain(network_faults(config, args.resolve)).chain(sink_faults(config));
        let further = further.chain(calendar_fault(config));
        faults.extend(further.map(|(path, message)| format!("{path}: {message}")));
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
    coverage::print(&config, &models, &opened.costs, args);
    print_sub_streams(&config);
    print_disk(&config, args);
    print_upstreams(&config);
    acquire::print(&config);
    print_publishers(&config);
    println!("Deliveries of alerts are marked late above an age of {:?}", config.alerts.late_after);
    print_floods(&config.alerts);
    Ok(ExitCode::SUCCESS)
}

fn print_floods(alerts: &AlertOptions) {
    let AlertOptions { flood_per_camera: camera, flood_per_division: division, flood_window: within, .. } =
        alerts;
    for (limit, place) in [(camera, "camera"), (division, "division")] {
        match limit {
            0 => println!("However many alerts of one kind come at one {place}, each is shown"),
            limit => println!(
                "More than {limit} alerts of one kind at one {place} within {within:?} become one line"
            ),
        }
    }
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

fn sink_faults(config: &Config) -> Vec<(String, String)> {
    let fault = |sink: &Sink| {
        let fault = Secret::read_blocking(&sink.secret_file).err()?;
        Some((format!("sink[{}].secret_file", sink.id), fault))
    };
    config.sinks.iter().filter_map(fault).collect()
}

fn tls_faults(config: &Config) -> Option<(String, String)> {
    let fault = tls::read(config.api.tls.as_ref()?).err()?;
    Some(("api.tls".to_owned(), format!("{fault:#}")))
}

fn calendar_fault(config: &Config) -> Option<(String, String)> {
    crate::roles::bus::cases::calendar(config).err().map(|fault| ("cases.calendar".to_owned(), fault))
}

fn network_faults(config: &Config, resolve: bool) -> Vec<(String, String)> {
    let mut faults = Vec::new();
    let streams = config.cameras.iter().flat_map(|camera| {
        let sub = camera.sub_stream.as_ref();
        let sub = sub.map(|sub| (format!("camera[{}].sub_stream.url", camera.id), sub));
        std::iter::once((format!("camera[{}].url", camera.id), &camera.stream)).chain(sub)
    });
    let cameras =
        streams.map(|(path, stream)| (path, &stream.url, stream.url.port().unwrap_or(554), &config.networks));
    let sinks = config.sinks.iter().map(|sink| {
        let port = sink.url.port_or_known_default().unwrap_or(443);
        (format!("sink[{}].url", sink.id), &sink.url, port, &sink.networks)
    });
    for (path, url, port, networks) in cameras.chain(sinks) {
        let Some(host) = url.host_str() else { continue };
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
            if !networks.iter().any(|network| network.contains(&ip)) {
                faults.push((
                    path.clone(),
                    format!("{ip} lies in none of the allowed networks: add it to networks"),
                ));
            }
        }
    }
    faults
}

/// Bytes of evidence that the cameras need at the rate told, each as long as its class is kept.
fn disk_need(config: &Config, args: &CheckArgs, clip: f64) -> f64 {
    let days = |camera: &Camera| match camera.retention {
        Retention::Ordinary => config.evidence.keep_days,
        Retention::KeyPoint => config.evidence.keep_days.max(KEY_POINT_DAYS),
    };
    // A camera with privacy masks keeps no original footage.
    let clip = |camera: &Camera| if camera.masks.is_empty() { clip } else { 0.0 };
    let need = |camera: &Camera| f64::from(days(camera)) * (STILL_BYTES + PREVIEW_BYTES + clip(camera));
    args.alerts_per_day * config.cameras.iter().map(need).sum::<f64>()
}

/// What evidence takes now, and how long that lasts: from the files, whether the service runs or not.
fn print_usage(config: &Config) {
    let options = evidence_options(config);
    let usage = match Usage::in_files(&config.state_dir, &options, SystemClock.wall()) {
        Ok(Some(usage)) => usage,
        // Nothing runs there yet.
        Ok(None) => return,
        Err(error) => return println!("  what evidence takes now cannot be read: {error}"),
    };
    let gigabytes = |bytes: u64| bytes as f64 / 1e9;
    println!(
        "  now {:.1} of {:.1} GB ({:.0} %) in {} pieces, {} alerts held; {}",
        gigabytes(usage.used_bytes),
        gigabytes(usage.room_bytes),
        usage.share() * 100.0,
        usage.pieces,
        usage.held_alerts,
        usage.days_left.map_or("it does not run out".to_owned(), |days| format!("{days:.1} days left"))
    );
    println!(
        "  the disk has {:.1} GB free, of which {:.1} GB are reserved for the record and the spool",
        gigabytes(usage.disk_free_bytes),
        gigabytes(usage.reserve_bytes)
    );
}

fn print_disk(config: &Config, args: &CheckArgs) {
    let evidence = &config.evidence;
    let seconds = (evidence.before + evidence.after).as_secs_f64();
    let clip = seconds * args.megabits * 1e6 / 8.0;
    let need = disk_need(config, args, clip);
    let key_points = config.cameras.iter().filter(|camera| camera.retention == Retention::KeyPoint).count();
    let longer = match key_points {
        0 => String::new(),
        count => format!(", {} days at {count} key points,", evidence.keep_days.max(KEY_POINT_DAYS)),
    };
    println!(
        "Disk for {} days of evidence{longer} at {} alerts a camera a day and {} Mbit/s: {:.1} GB; the budget is {:.1} GB{}",
        evidence.keep_days,
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
    print_usage(config);
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

/// Share of a core that glances at every picture of a sub-stream take, at 15 pictures a second of 352x288 and of 704x576, with
/// the way to a worker and back, and glances at keyframes of a main stream of 1280x720, every 4 s: `make bench-glance` on the
/// reference machine.
const SUB_STREAM: [(&str, f64); 3] =
    [("352x288", 0.010), ("704x576", 0.022), ("glances at main keyframes of 1280x720", 0.003)];

fn print_sub_streams(config: &Config) {
    let rest = &config.analysis.rest;
    let with: Vec<&Camera> = config.cameras.iter().filter(|camera| camera.sub_stream.is_some()).collect();
    let unread = with.iter().filter(|camera| camera.glanced(rest).is_none());
    let read = with.len() - unread.clone().count();
    if read > 0 {
        let [small, large, main] = SUB_STREAM.map(|(what, share)| (what, 100.0 * share * read as f64));
        println!(
            "Sub-streams: {read} are glanced at, each picture of them, in time that looks leave. At 15 pictures a second that \
             takes {:.1} % of a core at {}, {:.1} % at {} ({}: {:.1} %); each must show the same field of view as its main stream",
            small.1, small.0, large.1, large.0, main.0, main.1
        );
    }
    for camera in unread {
        println!("Sub-stream of camera {}: not read, for its gates are off", camera.id);
    }
}

fn print_upstreams(config: &Config) {
    for one in &config.upstreams {
        let cameras = config.behind(&one.id).len();
        let above = one.upstream.as_ref().map_or(String::new(), |id| format!(", hangs on {id}"));
        let few = if cameras < 2 { ": too few to tell when it is down, two are needed" } else { "" };
        println!("Upstream {} ({}): {cameras} cameras{above}{few}", one.id, one.name);
    }
}

fn print_publishers(config: &Config) {
    for one in &config.publishers {
        let cameras = config.cameras.iter().filter(|camera| {
            config.division_path(&camera.division).iter().any(|code| one.divisions.contains(code))
        });
        let words = |items: &mut dyn Iterator<Item = String>| items.collect::<Vec<_>>().join(", ");
        println!(
            "Publisher {}: {} in {} ({} cameras, {} devices), {} states a second, token read from {}",
            one.name,
            words(&mut one.kinds.iter().map(ToString::to_string)),
            words(&mut one.divisions.iter().map(ToString::to_string)),
            cameras.count(),
            one.devices.len(),
            one.max_per_second,
            one.token_file.display()
        );
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Passes the loader: a graph with the names that the manifest says. No runtime takes it: it has no opset.
    const ONNX: &[u8] =
        b"\x08\x08:&\x0a\x13\x0a\x06images\x12\x03out\x22\x04ReluZ\x08\x0a\x06imagesb\x05\x0a\x03out";

    fn config(folder: &Path) -> Config {
        let text = format!(
            "site = \"t\"\nstate_dir = \"s\"\nnetworks = [\"127.0.0.0/8\"]\nmodels = [{:?}]\n\
             [[division]]\ncode = \"330282\"\nname = \"n\"\n\
             [[camera]]\nid = \"c\"\nname = \"n\"\ndivision = \"330282\"\nurl = \"rtsp://127.0.0.1/x\"\n",
            folder.display().to_string()
        );
        Config::parse(&text, Path::new("/")).unwrap()
    }

    #[test]
    fn a_sink_outside_its_networks_or_without_a_good_secret_is_a_fault_with_its_path() {
        let folder = tempfile::tempdir().unwrap();
        let secret = folder.path().join("city.secret");
        fs::write(&secret, "a line of thirty-two bytes or so\nand another\n").unwrap();
        let text = format!(
            "site = \"t\"\nstate_dir = \"s\"\nnetworks = [\"10.0.0.0/8\"]\nmodels = []\n\
             [[division]]\ncode = \"330282\"\nname = \"n\"\n\
             [[camera]]\nid = \"c\"\nname = \"n\"\ndivision = \"330282\"\nurl = \"rtsp://10.0.0.1/x\"\n\
             [[sink]]\nid = \"city\"\nurl = \"https://10.9.9.9/hook\"\nnetworks = [\"192.168.0.0/16\"]\n\
             secret_file = {:?}\n",
            secret.display().to_string()
        );
        let mut config = Config::parse(&text, Path::new("/")).unwrap();
        let [(path, fault)] = &network_faults(&config, false)[..] else { panic!("one fault") };
        assert!(path == "sink[city].url" && fault.starts_with("10.9.9.9 lies in none"), "{path}: {fault}");
        let [(path, fault)] = &sink_faults(&config)[..] else { panic!("one fault") };
        assert!(path == "sink[city].secret_file" && fault.contains("one line"), "{path}: {fault}");
        fs::write(&secret, "a line of thirty-two bytes or so\n").unwrap();
        config.sinks[0].networks = vec!["10.9.0.0/16".parse().unwrap()];
        assert_eq!(network_faults(&config, false), []);
        assert_eq!(sink_faults(&config), []);
    }

    #[test]
    fn a_key_point_needs_its_disk_for_ninety_days() {
        let args = CheckArgs {
            config: PathBuf::new(),
            alerts_per_day: 2.0,
            megabits: 1.0,
            resolve: false,
            keyframes: 2.0,
            fps: 25.0,
            only_models: false,
        };
        let folder = tempfile::tempdir().unwrap();
        let mut config = config(folder.path());
        let ordinary = disk_need(&config, &args, 1e6);
        assert!((ordinary - 60.0 * (STILL_BYTES + PREVIEW_BYTES + 1e6)).abs() < 1.0);
        config.cameras[0].retention = Retention::KeyPoint;
        assert!((disk_need(&config, &args, 1e6) - 3.0 * ordinary).abs() < 1.0);
        config.evidence.keep_days = 120;
        assert!((disk_need(&config, &args, 1e6) - 4.0 * ordinary).abs() < 1.0);
    }

    #[test]
    fn a_model_that_onnx_runtime_refuses_is_a_fault_with_its_path() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("model.onnx"), ONNX).unwrap();
        let manifest = "schema = 1\nname = \"toy\"\nversion = \"1\"\nfamily = \"centernet\"\nlicence = \"MIT\"\n\
             origin = \"made up\"\n\
             sha256 = \"a917ee722b2229d475aa5372ad039909ebe4b2e9e2642d9c76893c9f2cecabc3\"\n\
             [input]\nname = \"images\"\nlayout = \"nhwc\"\ntype = \"u8\"\nwidth = 64\nheight = 32\n\
             colour = \"rgb\"\nfit = \"stretch\"\n[output]\ndetections = \"out\"\n[threshold]\nscore = 0.4\n\
             [[class]]\nindex = 0\nname = \"person\"\nmeaning = \"person\"\n";
        fs::write(folder.path().join("manifest.toml"), manifest).unwrap();
        let config = config(folder.path());
        let (models, faults) = load_models(&config);
        assert!(faults.is_empty(), "{faults:?}");
        let opened = open_models(&config, &models);
        assert_eq!(opened.note, None);
        assert_eq!(opened.faults.len(), 1, "{opened:?}");
        assert_eq!(opened.faults[0].0, "models[0]");
        assert!(opened.faults[0].1.contains("ONNX Runtime refuses it"), "{opened:?}");
    }
}
