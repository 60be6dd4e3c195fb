use std::path::Path;

use super::*;

const GOOD: &str = r#"
site = "Test town"
state_dir = "state"
networks = ["127.0.0.0/8"]
models = ["models/default"]

[credentials.gate]
file = "gate.secret"

[[division]]
code = "330282"
name = "Cixi"
[[division]]
code = "330282-1"
name = "Hushan"
parent = "330282"

[[camera]]
id = "gate-1"
name = "North gate"
division = "330282-1"
url = "rtsp://127.0.0.1:8554/gate-1"
credentials = "gate"
expected_on = "20:00-06:00"
[[camera.zone]]
id = "pond"
polygon = [[0.1, 0.5], [0.9, 0.5], [0.9, 0.9], [0.1, 0.9]]
[[camera.rule]]
kind = "WATER_ZONE_ENTRY"
zone = "pond"
dwell = "2s"
"#;

fn faults(text: &str) -> Vec<String> {
    let error = Config::parse(text, Path::new("/etc/xueliang")).unwrap_err();
    error.faults.iter().map(ToString::to_string).collect()
}

#[test]
fn a_good_configuration_becomes_what_it_says() {
    let config = Config::parse(GOOD, Path::new("/etc/xueliang")).unwrap();
    assert_eq!(config.state_dir, Path::new("/etc/xueliang/state"));
    let camera = &config.cameras[0];
    assert_eq!(camera.rules.len(), 6, "one rule of its own and five about the camera itself");
    assert_eq!(camera.rules[0].timing.dwell, Duration::from_secs(2));
    assert_eq!(camera.rules[0].level, Level::SEVERE);
    let path: Vec<_> = config.division_path(&camera.division).iter().map(ToString::to_string).collect();
    assert_eq!(path, ["330282", "330282-1"]);
    let hours = camera.expected_on.unwrap();
    assert!(hours.contains(23 * 60) && hours.contains(0) && !hours.contains(12 * 60));
}

#[test]
fn a_revision_survives_json() {
    let config = Config::parse(GOOD, Path::new("/etc/xueliang")).unwrap();
    let json = serde_json::to_string(&config).unwrap();
    assert_eq!(serde_json::from_str::<Config>(&json).unwrap(), config);
}

#[test]
fn what_reads_a_camera_is_chosen_by_itself_unless_it_is_said() {
    let source = |url: &str, more: &str| {
        let text =
            GOOD.replace("url = \"rtsp://127.0.0.1:8554/gate-1\"", &format!("url = \"{url}\"\n{more}"));
        Config::parse(&text, Path::new("/etc")).map(|config| config.cameras[0].stream.source)
    };
    let plain = "rtsp://127.0.0.1/gate-1";
    assert_eq!(source(plain, "").unwrap(), StreamSource::Auto);
    assert_eq!(source(plain, "source = \"gstreamer\"").unwrap(), StreamSource::Gstreamer);
    assert_eq!(source(plain, "source = \"retina\"").unwrap(), StreamSource::Retina);
    for (url, more, said) in [
        (plain, "source = \"vlc\"", "\"auto\", \"gstreamer\" or \"retina\""),
        (plain, "source = \"retina\"\ntransport = \"udp\"", "over TCP only"),
        ("rtsps://127.0.0.1/gate-1", "source = \"retina\"", "over TCP only"),
    ] {
        let error = source(url, more).unwrap_err().to_string();
        assert!(error.contains(".source"), "{error}");
        assert!(error.contains(said), "{error}");
    }
    // A revision from before has the choice.
    let config = Config::parse(GOOD, Path::new("/etc")).unwrap();
    let mut json = serde_json::to_value(&config).unwrap();
    json["cameras"][0]["stream"].as_object_mut().unwrap().remove("source");
    assert_eq!(serde_json::from_value::<Config>(json).unwrap(), config);
}

#[test]
fn a_sub_stream_signs_in_and_is_read_as_the_main_one_unless_it_is_said() {
    let read = |main: &str, sub: &str| {
        let sub = format!("expected_on = \"20:00-06:00\"\n{main}\nsub_stream = {{ {sub} }}");
        let text = GOOD.replace("expected_on = \"20:00-06:00\"", &sub);
        Config::parse(&text, Path::new("/etc")).map(|config| config.cameras[0].clone())
    };
    let camera =
        read("first_unit_timeout = \"40s\"\nsource = \"retina\"", "url = \"rtsp://127.0.0.1/2\"").unwrap();
    let sub = camera.sub_stream.clone().unwrap();
    assert_eq!(sub.url.path(), "/2");
    assert_eq!(Stream { url: camera.stream.url.clone(), ..sub }, camera.stream, "all else is the main one's");
    let udp = read("source = \"retina\"", "url = \"rtsp://127.0.0.1/2\", transport = \"udp\"").unwrap();
    let udp = udp.sub_stream.unwrap();
    assert_eq!((udp.transport, udp.source), (Transport::Udp, StreamSource::Auto));
    for (sub, at, said) in [
        ("transport = \"udp\"", "", "url is missing"),
        ("url = \"rtsp://127.0.0.1:8554/gate-1\"", ".url", "is the camera's main stream"),
        ("url = \"rtsp://a:b@127.0.0.1/2\"", ".url", "[credentials.NAME]"),
        ("url = \"rtsp://127.0.0.1/2\", credentials = \"gate\"", ".credentials", "unknown key"),
        ("url = \"rtsps://127.0.0.1/2\", source = \"retina\"", ".source", "over TCP only"),
    ] {
        let error = read("", sub).unwrap_err().to_string();
        assert!(error.contains(&format!("camera[gate-1].sub_stream{at}: ")), "{error}");
        assert!(error.contains(said), "{error}");
    }
    // Where the gates are off, there are no glances to read it for.
    let rest = |gate| RestOptions { gate, ..RestOptions::default() };
    assert!(camera.glanced(&rest(Gate::Off)).is_none());
    assert!(camera.glanced(&rest(Gate::Shadow)).is_some());
    let off = Camera { gate: Some(Gate::Off), ..camera };
    assert!(off.glanced(&rest(Gate::Enforce)).is_none());
}

#[test]
fn what_counts_as_late_is_set_within_reason_and_a_revision_of_before_has_the_usual_bound() {
    let late = |text: &str| {
        Config::parse(&format!("{GOOD}\n[alerts]\nlate_after = {text}\n"), Path::new("/etc/xueliang"))
            .map(|config| config.alerts.late_after)
    };
    assert_eq!(late("\"1500ms\"").unwrap(), Duration::from_millis(1500));
    for wrong in ["\"10ms\"", "\"2h\"", "5"] {
        assert!(late(wrong).unwrap_err().to_string().contains("alerts.late_after"), "{wrong}");
    }
    let config = Config::parse(GOOD, Path::new("/etc/xueliang")).unwrap();
    let mut json = serde_json::to_value(&config).unwrap();
    json.as_object_mut().unwrap().remove("alerts").unwrap();
    let before: Config = serde_json::from_value(json).unwrap();
    assert_eq!(before.alerts.late_after, Duration::from_secs(5));
}

#[test]
fn floods_have_limits_that_can_be_set_and_none_is_off() {
    let read = |text: &str| Config::parse(&format!("{GOOD}\n[alerts]\n{text}\n"), Path::new("/etc/xueliang"));
    let limits = |text: &str| {
        let alerts = read(text).unwrap().alerts;
        let (window, quiet) = (alerts.flood_window.as_secs(), alerts.flood_quiet.as_secs());
        (alerts.flood_per_camera, alerts.flood_per_division, window, quiet)
    };
    assert_eq!(limits(""), (5, 20, 60, 300));
    let all = "flood_per_camera = 0\nflood_per_division = 500\nflood_window = \"2m\"\nflood_quiet = \"2m\"";
    assert_eq!(limits(all), (0, 500, 120, 120));
    for (wrong, said) in [
        ("flood_per_division = 501", "alerts.flood_per_division"),
        ("flood_per_camera = -1", "alerts.flood_per_camera"),
        ("flood_window = \"1s\"", "alerts.flood_window"),
        ("flood_quiet = \"30s\"", "is shorter than flood_window"),
    ] {
        let fault = read(wrong).unwrap_err().to_string();
        assert!(fault.contains(said), "{wrong}: {fault}");
    }
}

#[test]
fn cameras_near_an_alert_are_those_within_150_m_unless_something_else_is_said() {
    let read = |text: &str| Config::parse(&format!("{GOOD}\n[alerts]\n{text}\n"), Path::new("/etc/xueliang"));
    assert_eq!(read("").unwrap().alerts.nearby_m, 150);
    assert_eq!(read("nearby_m = 0").unwrap().alerts.nearby_m, 0);
    let fault = read("nearby_m = 1001").unwrap_err().to_string();
    assert!(fault.contains("alerts.nearby_m"), "{fault}");
}

#[test]
fn the_audit_is_sealed_every_ten_minutes_unless_something_else_is_said() {
    let read = |section: &str| {
        let text = GOOD.replacen("[[division]]", &format!("{section}\n[[division]]"), 1);
        Config::parse(&text, Path::new("/etc"))
    };
    assert_eq!(read("").unwrap().audit, AuditSealing { heads: None, every: Duration::from_secs(600) });
    let said = read("[audit]\nheads = \"heads\"\nevery = \"1m\"").unwrap().audit;
    assert_eq!(said, AuditSealing { heads: Some("/etc/heads".into()), every: Duration::from_secs(60) });
    let fault = read("[audit]\nevery = \"1s\"").unwrap_err().to_string();
    assert!(fault.contains("audit.every"), "{fault}");
}

#[test]
fn all_faults_are_reported_in_one_go_with_path_and_line() {
    let bad = GOOD
        .replace("site = \"Test town\"", "sit = \"Test town\"")
        .replace("rtsp://127.0.0.1:8554/gate-1", "http://camera/x")
        .replace("[0.9, 0.9], [0.1, 0.9]", "[0.1, 0.9], [0.9, 0.9]")
        .replace("zone = \"pond\"", "zone = \"pool\"")
        .replace("dwell = \"2s\"", "dwell = 2")
        .replace("credentials = \"gate\"", "credentials = \"gato\"")
        .replace("division = \"330282-1\"", "division = \"440000\"");
    let faults = faults(&bad);
    let all = faults.join("\n");
    for expected in [
        "line 2: sit: unknown key, did you mean \"site\"?",
        "site is missing",
        "camera[gate-1].url: has scheme http",
        "camera[gate-1].zone[pond].polygon: edges",
        "camera[gate-1].rule[0].zone: pool is not a zone of this camera",
        "camera[gate-1].rule[0].dwell: is a number: write a time with its unit",
    ] {
        assert!(all.contains(expected), "{expected:?} not in:\n{all}");
    }
}

#[test]
fn a_password_in_a_url_is_refused_and_not_repeated() {
    let faults = faults(&GOOD.replace("rtsp://127", "rtsp://admin:hunter2@127")).join("\n");
    assert!(faults.contains("[credentials.NAME]"), "{faults}");
    assert!(!faults.contains("hunter2"), "{faults}");
}

#[test]
fn only_loopback_may_listen() {
    let faults = faults(&format!("{GOOD}\n[listen]\napi = \"0.0.0.0:8750\"\n")).join("\n");
    assert!(faults.contains("is not loopback"), "{faults}");
}

#[test]
fn what_is_not_loopback_needs_tls_and_sign_in_and_the_admin_listener_stays() {
    let tls = "[api.tls]\ncertificate = \"town.pem\"\nkey = \"town.key\"\nclient_ca = \"ca.pem\"\n";
    let listen = "[listen]\napi = \"0.0.0.0:8750\"\n";
    let good = format!("{GOOD}\n[api]\nsession_idle = \"10m\"\npassword_days = 0\n{tls}{listen}");
    let config = Config::parse(&good, Path::new("/etc")).unwrap();
    assert_eq!(config.listen.api, ([0, 0, 0, 0], 8750).into());
    let expected = ApiOptions {
        session_idle: Duration::from_secs(600),
        password_days: 0,
        tls: Some(ApiTls {
            certificate: "/etc/town.pem".into(),
            key: "/etc/town.key".into(),
            client_ca: Some("/etc/ca.pem".into()),
        }),
        ..ApiOptions::default()
    };
    assert_eq!(config.api, expected);
    let behind = format!("{GOOD}\n[api]\nproxies = [\"10.0.0.7\", \"fd00::/64\"]\n");
    let behind = Config::parse(&behind, Path::new("/")).unwrap().api.proxies;
    assert_eq!(behind.iter().map(ToString::to_string).collect::<Vec<_>>(), ["10.0.0.7/32", "fd00::/64"]);
    for (everyone, says) in
        [("0.0.0.0/0", "not everyone"), ("::/0", "not everyone"), ("proxy.test", "an address")]
    {
        let told = faults(&format!("{GOOD}\n[api]\nproxies = [\"{everyone}\"]\n")).join("\n");
        assert!(told.contains(says), "{everyone}: {told}");
    }
    let open = faults(&format!("{GOOD}\n[api]\nsign_in = \"none\"\n{tls}{listen}")).join("\n");
    assert!(open.contains("sign_in = \"required\""), "{open}");
    let admin = faults(&format!("{GOOD}\n[api]\n{tls}[listen]\nadmin = \"0.0.0.0:8751\"\n")).join("\n");
    assert!(admin.contains("the admin listener has no sign-in"), "{admin}");
    let half = faults(&format!("{GOOD}\n[api.tls]\nkey = \"town.key\"\n")).join("\n");
    assert!(half.contains("certificate is missing"), "{half}");
    // A revision of before there was sign-in is read as one that asks for it.
    let mut json = serde_json::to_value(Config::parse(GOOD, Path::new("/")).unwrap()).unwrap();
    json.as_object_mut().unwrap().remove("api");
    let old: Config = serde_json::from_value(json).unwrap();
    assert_eq!(old.api.sign_in, SignIn::Required);
}

#[test]
fn presence_alone_is_no_kind_and_level_1_is_for_people() {
    let text = faults(&GOOD.replace("WATER_ZONE_ENTRY", "PERSON_PRESENT")).join("\n");
    assert!(text.contains("is no kind of hazard"), "{text}");
    let text = faults(&GOOD.replace("dwell = \"2s\"", "level = 1")).join("\n");
    assert!(text.contains("level 1 is set by people"), "{text}");
}

#[test]
fn density_without_an_area_and_direction_without_an_arrow_are_refused() {
    let text = faults(&GOOD.replace("WATER_ZONE_ENTRY", "CROWD_DENSITY")).join("\n");
    assert!(text.contains("area_m2"), "{text}");
    let text = faults(&GOOD.replace("WATER_ZONE_ENTRY", "WRONG_WAY")).join("\n");
    assert!(text.contains("direction_deg"), "{text}");
}

#[test]
fn rubbish_is_an_error_with_a_line_and_never_a_panic() {
    for rubbish in ["", "\0", "[[[", "site = ", "camera = 3", "[camera]\nid = 1", "networks = [1, 2"] {
        assert!(Config::parse(rubbish, Path::new(".")).is_err(), "{rubbish:?}");
    }
}

#[test]
fn a_ring_that_does_not_hold_the_footage_of_an_alert_is_refused() {
    let told = |more: &str| faults(&format!("{GOOD}\n{more}\n")).join("\n");
    let text = told("[evidence]\nbefore = \"20s\"");
    assert!(text.contains("ring_seconds of 30s") && text.contains("at least 34 s"), "{text}");
    let enough = format!("{GOOD}\n[analysis]\nring_seconds = \"34s\"\n[evidence]\nbefore = \"20s\"\n");
    assert!(Config::parse(&enough, Path::new("/etc/xueliang")).is_ok());
    assert!(told("[analysis]\nring_seconds = \"5s\"").contains("at least 24 s"));
}

#[test]
fn evidence_is_kept_at_least_thirty_days() {
    let text = faults(&format!("{GOOD}\n[evidence]\nkeep_days = 7\n")).join("\n");
    assert!(text.contains("at least 30 days"), "{text}");
}

const BOX: &str = r#"
[[publisher]]
name = "box-7"
token_file = "box-7.token"
divisions = ["330282"]
kinds = ["FIRE_FLAME", "ROAD_FLOOD"]
[[publisher.device]]
id = "box-7-quay"
name = "Quay, thermal camera"
division = "330282-1"
"#;

#[test]
fn a_publisher_is_what_it_says_and_older_revisions_have_none() {
    let config = Config::parse(&format!("{GOOD}{BOX}"), Path::new("/etc/xueliang")).unwrap();
    let one = &config.publishers[0];
    assert_eq!(one.token_file, Path::new("/etc/xueliang/box-7.token"));
    assert_eq!(
        (one.max_per_second, one.kinds.len(), one.devices[0].name.as_str()),
        (10, 2, "Quay, thermal camera")
    );
    let json = serde_json::to_string(&config).unwrap();
    assert_eq!(serde_json::from_str::<Config>(&json).unwrap(), config);
    let without = serde_json::to_string(&Config::parse(GOOD, Path::new("/")).unwrap()).unwrap();
    assert!(!without.contains("publishers"), "an unchanged configuration stays the revision it was");
}

#[test]
fn a_publisher_takes_no_name_of_ours_and_no_place_or_kind_that_is_not_its_own() {
    let told = |from: &str, to: &str| faults(&format!("{GOOD}{}", BOX.replace(from, to))).join("\n");
    for (from, to, expected) in [
        ("name = \"box-7\"", "name = \"node-1\"", "node-1 is a name of our own"),
        ("name = \"box-7\"", "name = \"bus\"", "bus is a name of our own"),
        ("\"FIRE_FLAME\"", "\"FACE\"", "is no kind of hazard"),
        ("\"FIRE_FLAME\"", "\"MANUAL_REPORT\"", "MANUAL_REPORT is for people"),
        ("[\"FIRE_FLAME\", \"ROAD_FLOOD\"]", "[]", "names nothing"),
        ("[\"330282\"]", "[\"44\"]", "division 44 is not declared"),
        ("division = \"330282-1\"", "division = \"44\"", "lies in none of this publisher's divisions"),
        (
            "id = \"box-7-quay\"",
            "id = \"gate-1\"",
            "gate-1: the id is that of a camera, an upstream or another device",
        ),
        ("id = \"box-7-quay\"", "id = \"store\"", "store: stands for a part of this service"),
        ("token_file", "token", "publisher[box-7]: token_file is missing"),
    ] {
        let all = told(from, to);
        assert!(all.contains(expected), "{expected:?} not in:\n{all}");
    }
    let twice = faults(&format!("{GOOD}{BOX}{BOX}")).join("\n");
    assert!(twice.contains("the name is used twice") && twice.contains("another device"), "{twice}");
}

#[test]
fn a_key_point_and_the_bounds_of_feed_and_disk_are_read() {
    let text = GOOD.replace("expected_on", "retention = \"key_point\"\nexpected_on")
        + "\n[evidence]\nreserve = \"2GB\"\n[feed]\nkeep_days = 7\nmax_records = 20000\n";
    let config = Config::parse(&text, Path::new("/etc/xueliang")).unwrap();
    assert_eq!(config.cameras[0].retention, Retention::KeyPoint);
    assert_eq!(config.evidence.reserve_bytes, Some(2_000_000_000));
    assert_eq!(config.feed, FeedBudget { keep_days: 7, max_records: 20_000 });
    let told = faults(&(text.replace("key_point", "for_ever").replace("keep_days = 7", "keep_days = 6")));
    let told = told.join("\n");
    assert!(told.contains("use \"ordinary\"") && told.contains("at least 7 days"), "{told}");
}

#[test]
fn a_revision_of_an_earlier_version_is_read_as_what_it_meant() {
    let config = Config::parse(GOOD, Path::new("/etc/xueliang")).unwrap();
    let mut json = serde_json::to_value(&config).unwrap();
    json.as_object_mut().unwrap().remove("feed");
    json["evidence"].as_object_mut().unwrap().remove("reserve_bytes");
    json["cameras"][0].as_object_mut().unwrap().remove("retention");
    assert_eq!(serde_json::from_value::<Config>(json).unwrap(), config);
}

const UPSTREAMS: &str = r#"
[[upstream]]
id = "line-3"
name = "Line to Hushan"
[[upstream]]
id = "nvr-7"
name = "Recorder in the pump house"
upstream = "line-3"
[[camera]]
id = "quay"
name = "Quay"
division = "330282"
url = "rtsp://127.0.0.1:8554/quay"
upstream = "line-3"
"#;

fn with_upstreams() -> String {
    GOOD.replace("id = \"gate-1\"", "id = \"gate-1\"\nupstream = \"nvr-7\"") + UPSTREAMS
}

#[test]
fn cameras_name_what_they_hang_on_and_that_names_what_it_hangs_on() {
    let config = Config::parse(&with_upstreams(), Path::new("/")).unwrap();
    let ids = |cameras: Vec<&Camera>| cameras.iter().map(|c| c.id.to_string()).collect::<Vec<_>>();
    let id = |id: &str| id.parse::<UpstreamId>().unwrap();
    assert_eq!(ids(config.behind(&id("nvr-7"))), ["gate-1"]);
    assert_eq!(ids(config.behind(&id("line-3"))), ["gate-1", "quay"]);
    let above: Vec<_> = config.chain(Some(&id("nvr-7"))).map(|one| one.id.to_string()).collect();
    assert_eq!(above, ["nvr-7", "line-3"]);
    // Its place is where all its cameras lie.
    let place = |of: &str| crate::alert::Place::of_upstream(&config, config.upstream(&id(of)).unwrap());
    assert_eq!((place("nvr-7").division_path.len(), place("nvr-7").division_name.as_str()), (2, "Hushan"));
    assert_eq!((place("line-3").division_path.len(), place("line-3").division_name.as_str()), (1, "Cixi"));
    assert_eq!(place("line-3").camera.as_str(), "line-3");
    let json = serde_json::to_string(&config).unwrap();
    assert_eq!(serde_json::from_str::<Config>(&json).unwrap(), config);
    let without = serde_json::to_string(&Config::parse(GOOD, Path::new("/")).unwrap()).unwrap();
    assert!(!without.contains("upstream"), "an unchanged configuration stays the revision it was");
}

#[test]
fn upstreams_that_are_unknown_doubled_or_in_a_circle_are_told_with_their_paths_in_one_go() {
    let text = with_upstreams()
        .replace("name = \"Line to Hushan\"", "name = \"Line to Hushan\"\nupstream = \"nvr-7\"")
        .replace("name = \"Recorder in the pump house\"", "nam = \"x\"")
        .replace("id = \"quay\"", "id = \"line-3\"")
        .replace(
            "url = \"rtsp://127.0.0.1:8554/quay\"\nupstream = \"line-3\"",
            "url = \"rtsp://h/q\"\nupstream = \"line-4\"",
        )
        + "[[upstream]]\nid = \"line-3\"\nname = \"Again\"\nupstream = \"line-3\"\n\
           [[upstream]]\nid = \"loop\"\nname = \"Loop\"\nupstream = \"loop\"\n";
    let all = faults(&text).join("\n");
    for expected in [
        "upstream[line-3].upstream: nvr-7 is not declared above it: declare it first, and nothing in a circle",
        "upstream[nvr-7]: name is missing",
        "upstream[nvr-7].nam: unknown key",
        "upstream[line-3]: the id is used twice",
        "upstream[loop].upstream: loop is not declared above it",
        "camera[line-3].id: is the id of an upstream",
        "camera[line-3].upstream: line-4 is not declared as an [[upstream]]",
    ] {
        assert!(all.contains(expected), "{expected:?} not in:\n{all}");
    }
    let device = BOX.replace("id = \"box-7-quay\"", "id = \"nvr-7\"");
    let all = faults(&(with_upstreams() + &device)).join("\n");
    assert!(all.contains("nvr-7: the id is that of a camera, an upstream"), "{all}");
}

#[test]
fn an_upstream_whose_cameras_share_no_division_or_are_too_many_is_a_fault() {
    let apart = with_upstreams().replace("parent = \"330282\"", "");
    let all = faults(&apart).join("\n");
    assert!(all.contains("upstream[line-3]: its cameras lie in no common division"), "{all}");
    let camera = |n: usize| {
        format!(
            "[[camera]]\nid = \"c{n}\"\nname = \"n\"\ndivision = \"330282\"\nurl = \"rtsp://127.0.0.1/x\"\n\
             health = []\nupstream = \"nvr-7\"\n"
        )
    };
    let many: String = with_upstreams() + &(0..MAX_BEHIND).map(camera).collect::<String>();
    let all = faults(&many).join("\n");
    assert!(all.contains("upstream[nvr-7]: 4097 cameras hang on it, at most 4096 can"), "{all}");
}

#[test]
fn attention_is_on_unless_it_is_said_to_be_off_and_then_no_gate_does_anything() {
    let config = Config::parse(GOOD, Path::new("/etc/xueliang")).unwrap();
    assert!(config.analysis.rest.attention);
    assert_eq!(config.cameras[0].gate(&config.analysis.rest), Gate::Shadow);
    let off = format!("{GOOD}\n[analysis]\nattention = \"off\"\ngate = \"enforce\"\n");
    let off = Config::parse(&off, Path::new("/etc/xueliang")).unwrap();
    assert!(!off.analysis.rest.attention);
    assert_eq!(off.cameras[0].gate(&off.analysis.rest), Gate::Off);
    let wrong = Config::parse(&format!("{GOOD}\n[analysis]\nattention = \"no\"\n"), Path::new("/"));
    assert!(wrong.unwrap_err().to_string().contains("use \"on\" or \"off\""));
}

#[test]
fn cases_name_their_calendar_and_whose_they_are() {
    let town = "site = \"t\"\nstate_dir = \"s\"\nnetworks = [\"127.0.0.0/8\"]\n[[division]]\ncode = \"33\"\nname = \"n\"\n\
                [[camera]]\nid = \"gate\"\nname = \"n\"\ndivision = \"33\"\nurl = \"rtsp://127.0.0.1/x\"\n";
    let parse = |more: &str| Config::parse(&format!("{town}{more}"), Path::new("/etc/x"));
    assert_eq!(parse("").unwrap().cases, CaseOptions::default());
    let told = parse("[cases]\ncalendar = \"days.txt\"\nexternal = [\"33\"]\n").unwrap();
    assert_eq!(told.cases.calendar.as_deref(), Some(Path::new("/etc/x/days.txt")));
    assert_eq!(told.cases.external, ["33".parse().unwrap()]);
    let more = "[cases]\nmode = \"emergency\"\nclear_after = \"2h\"\n[[cases.limits]]\nprofile = \"flood\"\nlevels = [3, 4]\n\
                kinds = [\"FIRE_LANE_BLOCKED\"]\njudge = \"5 minutes\"\nstart = \"none\"\n";
    let told = parse(more).unwrap().cases;
    assert!(told.emergency && told.clear_after.as_secs() == 7200);
    let own = &told.limits[0];
    assert_eq!((own.profile.as_str(), own.levels.len(), own.kinds.len()), ("flood", 2, 1));
    assert_eq!(own.stages[0], StageLimit::Of("5 minutes".parse().unwrap()));
    assert_eq!(own.stages[1..4], [StageLimit::Usual, StageLimit::Usual, StageLimit::None]);
    for (wrong, part) in [
        ("mode = \"storm\"", "use \"routine\" or \"emergency\""),
        ("limits = [{ judge = \"5m\" }]", "is no limit"),
        ("limits = [{ levels = [5], judge = \"1 day\" }]", "use 1 to 4"),
        ("limits = [{ levels = [3] }]", "says nothing"),
        ("limits = [{ on_site = \"1 day\" }]", "on_site"),
    ] {
        let fault = parse(&format!("[cases]\n{wrong}\n")).unwrap_err().to_string();
        assert!(fault.contains(part), "{wrong}: {fault}");
    }
    // A revision from before any of this could be said.
    let old: CaseOptions = serde_json::from_str("{\"calendar\":null,\"external\":[]}").unwrap();
    assert_eq!(old, CaseOptions::default());
    let fault = parse("[cases]\nexternal = [\"44\"]\n").unwrap_err().to_string();
    assert!(fault.contains("division 44 is not declared"), "{fault}");
    let sink = |cases: &str| {
        let sink = "[[sink]]\nid = \"sms\"\nurl = \"https://127.0.0.1/\"\nnetworks = [\"127.0.0.0/8\"]\nsecret_file = \"s\"\n";
        parse(&format!("{sink}{cases}"))
    };
    assert!(!sink("").unwrap().sinks[0].with_cases);
    assert!(sink("cases = \"notices\"\n").unwrap().sinks[0].with_cases);
    assert!(sink("cases = \"all\"\n").is_err());
}

#[test]
fn what_is_filed_of_a_point_is_read_and_what_cannot_be_is_a_fault() {
    let read = |more: &str| {
        let text = GOOD.replace("[[camera.zone]]", &format!("{more}\n[[camera.zone]]"));
        Config::parse(&text, Path::new("/etc")).map(|config| config.cameras[0].clone())
    };
    let camera = read(
        "class = \"third\"\n[camera.filing]\nlegal_basis = \"7-2\"\nin_use_since = 2026-11-01\n\
         sign_since = \"2026-10-30\"\nrecorded_days = 30\nvendor = 99\ncamera_type = 3\n\
         managing_unit = \"Market\"\ndevice_code = \"33028200001320000001\"",
    )
    .unwrap();
    assert_eq!(camera.class, Some(PointClass::Third));
    assert_eq!(camera.filing.legal_basis, Some(LegalBasis::Art7Second));
    assert_eq!(camera.filing.in_use_since.map(|day| day.to_string()).as_deref(), Some("2026-11-01"));
    let json = serde_json::to_string(&camera).unwrap();
    assert_eq!(serde_json::from_str::<Camera>(&json).unwrap(), camera);
    // A camera without any of it is the same revision as before there was any.
    assert!(!serde_json::to_string(&read("").unwrap()).unwrap().contains("filing"));
    for (more, at, said) in [
        ("class = \"3\"", ".class", "\"third\" (三类)"),
        ("[camera.filing]\nlegal_basis = \"8\"", ".filing.legal_basis", "may not install a camera"),
        ("[camera.filing]\nin_use_since = \"1.11.2026\"", ".filing.in_use_since", "is no day"),
        ("[camera.filing]\nvendor = 16", ".filing.vendor", "1 to 15, or 99"),
        ("[camera.filing]\ndevice_code = \"12\"", ".filing.device_code", "write 20 digits"),
        // There is no place for a person, whatever it is called.
        ("[camera.filing]\nowner_name = \"x\"", ".filing.owner_name", "unknown key"),
    ] {
        let error = read(more).unwrap_err().to_string();
        assert!(error.contains(&format!("camera[gate-1]{at}")) && error.contains(said), "{more}: {error}");
    }
}
