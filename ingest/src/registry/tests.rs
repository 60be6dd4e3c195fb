use std::os::unix::fs::PermissionsExt;

use tempfile::TempDir;
use xueliang_base::{config::written_of, error::ErrorKind, time::ManualClock};

use super::{store::stranger, *};

const TEXT: &str = r#"
site = "Test town"
state_dir = "state"
networks = ["127.0.0.0/8"]
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
[[camera]]
id = "gate-2"
name = "South gate"
division = "330282-1"
url = "rtsp://127.0.0.1:8554/gate-2"
"#;

fn config(text: &str) -> Config {
    Config::parse(text, Path::new("/etc/xueliang")).unwrap_or_else(|e| panic!("{:?}", e.faults))
}

fn secrets(password: &str) -> BTreeMap<CredentialName, Credentials> {
    BTreeMap::from([("gate".parse().unwrap(), Credentials::new("canary-user", password))])
}

fn folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("registry.db");
    (folder, path)
}

fn open(path: &Path) -> Result<Registry, Error> {
    Registry::open(path, ManualClock::at(Wall(1_767_225_600_000_000)))
}

#[test]
fn the_same_content_is_the_same_revision_and_other_content_the_next() {
    let (_folder, path) = folder();
    let mut registry = open(&path).unwrap();
    assert_eq!(registry.current().unwrap(), None);
    let first = config(TEXT);
    assert_eq!(registry.apply(&first, &secrets("a"), "test").unwrap(), (ConfigRevision(1), true));
    assert_eq!(registry.apply(&config(TEXT), &secrets("a"), "test").unwrap(), (ConfigRevision(1), false));
    let second = config(&TEXT.replace("South gate", "Back gate"));
    assert_eq!(registry.apply(&second, &secrets("a"), "test").unwrap(), (ConfigRevision(2), true));
    // Going back is a change as well.
    assert_eq!(registry.apply(&first, &secrets("a"), "li").unwrap(), (ConfigRevision(3), true));
    drop(registry);
    let registry = open(&path).unwrap();
    assert_eq!(registry.current().unwrap(), Some((ConfigRevision(3), first)));
    let old = registry.revision(ConfigRevision(2)).unwrap().unwrap();
    assert_eq!((old.config, old.applied, old.by.as_str()), (second, Wall(1_767_225_600_000_000), "test"));
    assert_eq!(registry.revision(ConfigRevision(9)).unwrap(), None);
}

#[test]
fn a_revision_can_be_neither_changed_nor_deleted() {
    let (_folder, path) = folder();
    open(&path).unwrap().apply(&config(TEXT), &secrets("a"), "test").unwrap();
    for sql in ["UPDATE revision SET applied_by = 'me'", "DELETE FROM revision"] {
        let error = stranger(&path, sql).unwrap_err();
        assert!(error.contains("immutable"), "{error}");
    }
    // Who goes behind the triggers is found out by the checksum.
    stranger(&path, "DROP TRIGGER revision_is_never_changed").unwrap();
    stranger(&path, "UPDATE revision SET config = replace(config, 'North', 'Nord')").unwrap();
    let error = open(&path).unwrap().current().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DataLoss);
}

#[test]
fn cameras_that_are_gone_keep_their_row() {
    let (_folder, path) = folder();
    let mut registry = open(&path).unwrap();
    registry.apply(&config(TEXT), &secrets("a"), "test").unwrap();
    let without = config(TEXT.rsplit_once("[[camera]]").unwrap().0);
    registry.apply(&without, &secrets("a"), "test").unwrap();
    let rows = |sql: &str| stranger(&path, sql).unwrap().unwrap();
    assert_eq!(rows("SELECT count(*) FROM camera"), 2);
    assert_eq!(rows("SELECT count(*) FROM camera WHERE removed_us IS NULL"), 1);
    assert_eq!(rows("SELECT count(*) FROM division"), 2);
}

#[test]
fn secrets_are_sealed_and_open_with_their_key_alone() {
    let (folder, path) = folder();
    let mut registry = open(&path).unwrap();
    registry.apply(&config(TEXT), &secrets("canary-password"), "test").unwrap();
    assert_eq!(registry.credentials().unwrap(), secrets("canary-password"));
    assert_eq!(registry.credential(&"none".parse().unwrap()).unwrap(), None);
    assert!(!format!("{registry:?} {:?}", registry.credentials().unwrap()).contains("canary"));
    drop(registry);
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        assert!(!bytes.windows(6).any(|part| part == b"canary"), "{}", path.display());
    }
    let key = beside(&path, ".key");
    assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);

    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o640)).unwrap();
    assert!(open(&path).unwrap_err().to_string().contains("chmod 600"));
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::write(&key, [9; 32]).unwrap();
    let error = open(&path).unwrap().credentials().unwrap_err();
    assert!(matches!(error, Error::WrongKey { .. }) && !format!("{error} {error:?}").contains("canary"));
    std::fs::remove_file(&key).unwrap();
    assert!(open(&path).unwrap_err().to_string().contains("restore it from the backup"));
}

#[test]
fn a_secret_cannot_be_passed_off_as_anothers_and_one_unused_is_deleted() {
    let (_folder, path) = folder();
    let mut registry = open(&path).unwrap();
    registry.apply(&config(TEXT), &secrets("a"), "test").unwrap();
    stranger(&path, "UPDATE credential SET name = 'other'").unwrap();
    assert!(matches!(registry.credential(&"other".parse().unwrap()), Err(Error::WrongKey { .. })));
    registry.apply(&config(TEXT), &BTreeMap::new(), "test").unwrap();
    assert!(registry.credentials().unwrap().is_empty());
}

#[test]
fn an_older_release_leaves_a_newer_store_alone_and_says_so() {
    let (_folder, path) = folder();
    drop(open(&path).unwrap());
    stranger(&path, "PRAGMA user_version = 99").unwrap();
    let error = open(&path).unwrap_err();
    assert!(matches!(error, Error::NewerStore { found: 99, .. }), "{error}");
    assert_eq!(error.kind(), ErrorKind::Conflict);
}

#[test]
fn a_backup_is_a_store() {
    let (folder, path) = folder();
    let mut registry = open(&path).unwrap();
    registry.apply(&config(TEXT), &secrets("a"), "test").unwrap();
    let copy = folder.path().join("copy.db");
    registry.backup_to(&copy).unwrap();
    std::fs::copy(beside(&path, ".key"), beside(&copy, ".key")).unwrap();
    let copied = open(&copy).unwrap();
    assert_eq!(copied.current().unwrap(), registry.current().unwrap());
    assert_eq!(copied.credentials().unwrap(), secrets("a"));
}

#[test]
fn another_password_is_another_revision_and_a_lost_key_is_healed_by_applying() {
    let (_folder, path) = folder();
    let mut registry = open(&path).unwrap();
    for (password, number, fresh) in [("a", 1, true), ("a", 1, false), ("b", 2, true), ("b", 2, false)] {
        let applied = registry.apply(&config(TEXT), &secrets(password), "test").unwrap();
        assert_eq!(applied, (ConfigRevision(number), fresh), "{password}");
        assert_eq!(registry.credentials().unwrap(), secrets(password));
    }
    drop(registry);
    std::fs::write(beside(&path, ".key"), [9; 32]).unwrap();
    let mut registry = open(&path).unwrap();
    assert!(registry.credentials().is_err());
    assert_eq!(registry.apply(&config(TEXT), &secrets("b"), "test").unwrap(), (ConfigRevision(3), true));
    assert_eq!(registry.credentials().unwrap(), secrets("b"));
    assert_eq!(registry.apply(&config(TEXT), &BTreeMap::new(), "test").unwrap(), (ConfigRevision(4), true));
}

#[test]
fn a_backup_replaces_nothing_survives_a_crash_before_it_and_is_private() {
    let (folder, path) = folder();
    let mut registry = open(&path).unwrap();
    registry.apply(&config(TEXT), &secrets("a"), "test").unwrap();
    let copy = folder.path().join("copy.db");
    std::fs::write(beside(&copy, ".part"), "left by a crash").unwrap();
    registry.backup_to(&copy).unwrap();
    assert!(registry.backup_to(&copy).is_err());
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let path = entry.unwrap().path();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{} is open to others", path.display());
    }
}

#[test]
fn those_who_open_a_new_registry_at_once_share_one_key_and_count_on() {
    let (_folder, path) = folder();
    let started = std::sync::Arc::new(std::sync::Barrier::new(4));
    let hands = ["1", "2", "3", "4"].map(|hand| {
        let (path, started) = (path.clone(), started.clone());
        std::thread::spawn(move || {
            started.wait();
            let mut registry = open(&path).unwrap();
            let own = config(&TEXT.replace("Test town", hand));
            registry.apply(&own, &secrets("a"), "test").unwrap().0.0
        })
    });
    let mut numbers = hands.map(|hand| hand.join().unwrap());
    numbers.sort_unstable();
    assert_eq!(numbers, [1, 2, 3, 4]);
    assert_eq!(open(&path).unwrap().credentials().unwrap(), secrets("a"));
}

fn tuning(camera: &str, rules: &str, file: &Config) -> (Tuning, Config) {
    let mut config = file.clone();
    let camera = config.cameras.iter_mut().find(|one| one.id.as_str() == camera).unwrap();
    let tuning = Tuning {
        number: ConfigRevision(0),
        camera: camera.id.clone(),
        rules: CameraRules::parse(rules).unwrap(),
        set_here: true,
        made_for: written_of(TEXT)[&camera.id],
        at: Wall(0),
        by: "li".to_owned(),
        why: "the lane was drawn too wide".to_owned(),
    };
    tuning.rules.put_into(camera);
    (tuning, config)
}

const SMOKE: &str = "[[rule]]\nkind = \"FIRE_SMOKE\"\n";

#[test]
fn what_was_tuned_is_a_revision_and_counts_until_the_file_says_something_else() {
    let (_folder, path) = folder();
    let mut registry = open(&path).unwrap();
    let file = config(TEXT);
    registry.apply(&file, &secrets("a"), "file").unwrap();
    let (first, then) = tuning("gate-1", SMOKE, &file);
    let kept = registry.tune(first, &then).unwrap();
    assert_eq!((kept.number, kept.at), (ConfigRevision(2), Wall(1_767_225_600_000_000)));
    let (second, both) = tuning("gate-2", SMOKE, &then);
    assert_eq!(registry.tune(second, &both).unwrap().number, ConfigRevision(3));
    drop(registry);

    let mut registry = open(&path).unwrap();
    assert_eq!(registry.current().unwrap(), Some((ConfigRevision(3), both.clone())));
    let past = registry.revision(ConfigRevision(2)).unwrap().unwrap();
    assert_eq!((past.config, past.by.as_str()), (then, "li"));
    assert_eq!(registry.revision(ConfigRevision(1)).unwrap().unwrap().config, file);
    assert_eq!(registry.revision(ConfigRevision(4)).unwrap(), None);

    // The file as it was: what was tuned counts, and nothing is new.
    let mut read = file.clone();
    let told = overlay(&mut read, &written_of(TEXT), &registry.tuned().unwrap());
    assert_eq!(read, both);
    assert_eq!(told.keys().map(CameraId::as_str).collect::<Vec<_>>(), ["gate-1", "gate-2"]);
    assert_eq!(told[&file.cameras[0].id], CameraRules::of(&file.cameras[0]));
    assert_eq!(registry.apply(&read, &secrets("a"), "file").unwrap(), (ConfigRevision(3), false));

    // The file says something else of one camera: there it counts. Of the other it says what it said.
    let turned = TEXT.replacen("url =", "view = 2\nurl =", 1);
    let mut read = config(&turned);
    let told = overlay(&mut read, &written_of(&turned), &registry.tuned().unwrap());
    assert_eq!(told.keys().map(CameraId::as_str).collect::<Vec<_>>(), ["gate-2"]);
    assert_eq!(CameraRules::of(&read.cameras[0]), CameraRules::of(&file.cameras[0]));
    assert_eq!(registry.apply(&read, &secrets("a"), "file").unwrap(), (ConfigRevision(4), true));
    assert_eq!(registry.current().unwrap(), Some((ConfigRevision(4), read.clone())));

    // What was taken back is the file's.
    let (mut back, _) = tuning("gate-2", SMOKE, &file);
    (back.rules, back.set_here) = (CameraRules::of(&file.cameras[1]), false);
    back.rules.put_into(&mut read.cameras[1]);
    registry.tune(back, &read).unwrap();
    assert_eq!(registry.current().unwrap(), Some((ConfigRevision(5), read)));
    let mut read = file.clone();
    overlay(&mut read, &written_of(TEXT), &registry.tuned().unwrap());
    assert_eq!(CameraRules::of(&read.cameras[1]), CameraRules::of(&file.cameras[1]));
    let of = registry.tunings_of(&file.cameras[1].id, 10).unwrap();
    assert_eq!(
        of.iter().map(|one| (one.number.0, one.set_here)).collect::<Vec<_>>(),
        [(5, false), (3, true)]
    );
}

#[test]
fn what_was_tuned_can_be_neither_changed_nor_deleted() {
    let (_folder, path) = folder();
    let mut registry = open(&path).unwrap();
    registry.apply(&config(TEXT), &secrets("a"), "file").unwrap();
    let (one, then) = tuning("gate-1", SMOKE, &config(TEXT));
    registry.tune(one, &then).unwrap();
    for sql in ["UPDATE tuning SET set_by = 'me'", "DELETE FROM tuning"] {
        assert!(stranger(&path, sql).unwrap_err().contains("immutable"));
    }
    stranger(&path, "DROP TRIGGER tuning_is_never_changed").unwrap();
    stranger(&path, "UPDATE tuning SET rules = '{\"zones\":[],\"rules\":[]}'").unwrap();
    assert_eq!(open(&path).unwrap().current().unwrap_err().kind(), ErrorKind::DataLoss);
}

#[test]
fn what_was_tuned_and_cannot_be_read_leaves_the_file_to_count_and_keeps_nobody_from_starting() {
    let (_folder, path) = folder();
    let mut registry = open(&path).unwrap();
    registry.apply(&config(TEXT), &secrets("a"), "file").unwrap();
    let (one, then) = tuning("gate-1", SMOKE, &config(TEXT));
    registry.tune(one, &then).unwrap();
    drop(registry);
    stranger(&path, "DROP TRIGGER tuning_is_never_changed").unwrap();
    stranger(&path, "UPDATE tuning SET rules = 'nothing'").unwrap();
    let mut registry = open(&path).unwrap();
    let mut read = config(TEXT);
    assert!(overlay(&mut read, &written_of(TEXT), &registry.tuned().unwrap()).is_empty());
    assert_eq!(registry.apply(&read, &secrets("a"), "file").unwrap(), (ConfigRevision(3), true));
    assert_eq!(registry.current().unwrap(), Some((ConfigRevision(3), config(TEXT))));
}

#[test]
fn a_store_of_the_version_before_is_copied_before_its_schema_changes() {
    let (folder, path) = folder();
    open(&path).unwrap().apply(&config(TEXT), &secrets("a"), "file").unwrap();
    let copy = folder.path().join("registry.db.before-schema-1");
    assert!(!copy.exists(), "a new store needs no copy");
    stranger(&path, "DROP TABLE tuning; PRAGMA user_version = 1").unwrap();
    assert_eq!(open(&path).unwrap().current().unwrap(), Some((ConfigRevision(1), config(TEXT))));
    assert_eq!(stranger(&copy, "SELECT user_version FROM pragma_user_version").unwrap(), Some(1));
    assert_eq!(stranger(&copy, "SELECT count(*) FROM revision").unwrap(), Some(1));
}
