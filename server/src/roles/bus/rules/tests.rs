use futures::StreamExt as _;
use tokio_stream::wrappers::WatchStream;
use xueliang_base::{config::written_of, shutdown, time::SystemClock};

use super::*;

const TEXT: &str = "site = \"t\"\nstate_dir = \"s\"\nnetworks = [\"127.0.0.0/8\"]\n\
    [[division]]\ncode = \"33\"\nname = \"n\"\n\
    [[camera]]\nid = \"gate\"\nname = \"North gate\"\ndivision = \"33\"\nurl = \"rtsp://127.0.0.1/x\"\n\
    [[camera]]\nid = \"yard\"\nname = \"Yard\"\ndivision = \"33\"\nurl = \"rtsp://127.0.0.1/y\"\n";

fn file(text: &str) -> anyhow::Result<Wanted> {
    let config = Config::parse(text, Path::new("/"))?;
    Ok(Wanted { config, written: written_of(text), credentials: BTreeMap::new() })
}

struct Site {
    imported: Imported,
    stop: shutdown::Stop,
}

async fn start(folder: &tempfile::TempDir, wanted: anyhow::Result<Wanted>) -> Site {
    let (stop, stopping) = shutdown::pair();
    let path = folder.path().join("registry.db");
    let imported = import(path, wanted, SystemClock::shared(), stopping).await.unwrap();
    Site { imported, stop }
}

impl Site {
    async fn put(&self, camera: &str, rules: Option<&str>, upon: u64) -> Result<v1::RuleChange> {
        let new = NewRules {
            camera: camera.parse().unwrap(),
            rules: rules.map(|text| CameraRules::parse(text).unwrap()),
            made_upon: ConfigRevision(upon),
            principal: "li".to_owned(),
            reason: "drawn too wide".to_owned(),
        };
        self.imported.rules.put(new).await
    }
    async fn of(&self, camera: &str) -> InForce {
        self.imported.rules.in_force(camera.parse().unwrap()).await.unwrap()
    }
    fn assigned(&self) -> (ConfigRevision, Config) {
        let assignment = self.imported.assignments.borrow().clone().unwrap();
        (assignment.revision, serde_json::from_slice(&assignment.config_json).unwrap())
    }
}

const SMOKE: &str = "[[rule]]\nkind = \"FIRE_SMOKE\"\n";
const FLAME: &str = "[[rule]]\nkind = \"FIRE_FLAME\"\n";

#[tokio::test]
async fn rules_that_are_set_are_assigned_at_once_and_outlive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let site = start(&folder, file(TEXT)).await;
    assert_eq!(site.imported.revision, ConfigRevision(1));
    let before = site.of("gate").await;
    assert!(!before.set_here && !before.overruled && before.changed.is_none());
    let change = site.put("gate", Some(SMOKE), 1).await.unwrap();
    assert_eq!((change.config_revision, change.principal.as_str()), (2, "li"));
    let (revision, config) = site.assigned();
    assert_eq!(revision, ConfigRevision(2));
    assert_eq!(CameraRules::of(&config.cameras[0]), CameraRules::parse(SMOKE).unwrap());
    assert_eq!(config.cameras[1], site.imported.config.cameras[1], "the others are as they were");
    let unknown = site.imported.rules.in_force("none".parse().unwrap()).await.unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::NotFound);

    // Of two who set rules of one camera one wins; another camera's are no matter.
    let late = site.put("gate", Some(FLAME), 1).await.unwrap_err();
    assert_eq!(late.kind(), ErrorKind::Conflict);
    assert!(late.to_string().contains("revision 2"), "{late}");
    site.put("yard", Some(SMOKE), 1).await.unwrap();
    let twice = site.put("yard", Some(SMOKE), 3).await.unwrap_err();
    assert!(twice.to_string().contains("in force already"), "{twice}");
    assert_eq!(site.put("yard", Some(FLAME), 99).await.unwrap_err().kind(), ErrorKind::Conflict);

    // The bus stops: the nodes' streams end, and whoever asks is told so.
    let mut assignments = WatchStream::new(site.imported.assignments.clone());
    site.stop.ask();
    while assignments.next().await.is_some() {}
    let stopped = site.imported.rules.in_force("gate".parse().unwrap()).await.unwrap_err();
    assert_eq!(stopped.kind(), ErrorKind::Unavailable);

    let site = start(&folder, file(TEXT)).await;
    assert_eq!(site.imported.revision, ConfigRevision(3), "nothing is new");
    assert_eq!(site.assigned().1.cameras[0].rules.len(), 1);
    let told = site.of("gate").await;
    assert!(told.set_here && !told.overruled);
    assert_eq!(told.changed.unwrap().reason, "drawn too wide");

    // Taken back, the file counts, and so it does after a restart.
    site.put("gate", None, 3).await.unwrap();
    assert_eq!(CameraRules::of(&site.of("gate").await.camera), CameraRules::of(&before.camera));
    let changes = site.imported.rules.changes("gate".parse().unwrap(), 10).await.unwrap();
    assert_eq!(
        changes.iter().map(|one| (one.config_revision, one.rules.is_some())).collect::<Vec<_>>(),
        [(4, false), (2, true)]
    );
    site.stop.ask();
    let site = start(&folder, file(TEXT)).await;
    let told = site.of("gate").await;
    assert!(!told.set_here && !told.overruled);
    assert_eq!(CameraRules::of(&told.camera), CameraRules::of(&before.camera));
}

#[tokio::test]
async fn a_file_that_says_something_else_overrules_and_one_that_is_broken_keeps_what_was_set() {
    let folder = tempfile::tempdir().unwrap();
    let site = start(&folder, file(TEXT)).await;
    site.put("gate", Some(SMOKE), 1).await.unwrap();
    site.put("yard", Some(SMOKE), 2).await.unwrap();
    site.stop.ask();

    let broken = start(&folder, Err(anyhow::anyhow!("no such file"))).await;
    let told = broken.of("gate").await;
    assert!(told.set_here);
    assert_eq!(CameraRules::of(&told.camera), CameraRules::parse(SMOKE).unwrap());
    let refused = broken.put("gate", Some(FLAME), 3).await.unwrap_err();
    assert!(
        refused.kind() == ErrorKind::Conflict && refused.to_string().contains("xueliang check"),
        "{refused}"
    );
    broken.stop.ask();

    // Somebody has drawn a zone of the gate in the file since.
    let zone = "[[camera.zone]]\nid = \"z\"\npolygon = [[0, 0], [1, 0], [1, 1]]\n";
    let text = TEXT.replacen("[[camera]]\nid = \"yard\"", &format!("{zone}[[camera]]\nid = \"yard\""), 1);
    let site = start(&folder, file(&text)).await;
    let told = site.of("gate").await;
    assert!(!told.set_here && told.overruled);
    assert_eq!(told.camera.zones.len(), 1);
    assert!(site.of("yard").await.set_here);
    // What is set upon that counts over it.
    let revision = told.revision.0;
    site.put("gate", Some(FLAME), revision).await.unwrap();
    site.stop.ask();
    let site = start(&folder, file(&text)).await;
    assert!(site.of("gate").await.set_here);
}
