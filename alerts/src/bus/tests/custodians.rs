//! Contacts of custodians: sealed on the disk, masked to readers, told in full past a right, a reason and the audit.

use std::{fs, sync::Arc, task::Poll};

use bytes::Bytes;
use xueliang_base::config::Config;

use super::*;
use crate::{point::Points, rights::Right, store::tests::audited};

const NAME: &str = "欧阳春雨";
const TELEPHONE: &str = "13812341234";

fn points(cameras: &[&str]) -> Arc<Points> {
    let camera = |id: &&str| {
        format!(
            "[[camera]]\nid = \"{id}\"\nname = \"Gate\"\ndivision = \"33\"\nurl = \"rtsp://127.0.0.1/{id}\"\n"
        )
    };
    let head = "site = \"Town\"\nstate_dir = \"state\"\nnetworks = [\"127.0.0.0/8\"]\n[[division]]\ncode = \"33\"\nname = \"33\"\n";
    let text = cameras.iter().map(camera).fold(head.to_owned(), |text, camera| text + &camera);
    Arc::new(Points::of(&Config::parse(&text, Path::new("/")).unwrap()))
}

fn bench() -> Bench {
    Bench::with(BusOptions { points: points(&["gate", "pier", "quay"]), ..options() })
}

fn operator() -> Principal {
    Principal::new("ana", PrincipalKind::Operator)
}

async fn import(bench: &Bench, rows: &str, dry_run: bool) -> v1::ImportCustodiansResponse {
    let csv = Bytes::from(format!("camera_id,unit,name,telephone\n{rows}"));
    let request = v1::ImportCustodiansRequest { csv, dry_run };
    bench.bus.import_custodians(&operator(), request).await.unwrap()
}

async fn reveal(bench: &Bench, who: &Principal, reason: &str) -> Result<v1::RevealCustodianResponse> {
    let request = v1::RevealCustodianRequest { camera_id: "gate".to_owned(), reason: reason.to_owned() };
    bench.bus.reveal_custodian(who, request).await
}

/// Whether a text stands anywhere in the files of a state folder.
fn on_disk(bench: &Bench, text: &str) -> bool {
    let files = fs::read_dir(bench.folder.path()).unwrap().map(|file| file.unwrap().path());
    files
        .filter(|path| path.is_file())
        .any(|path| fs::read(path).unwrap().windows(text.len()).any(|part| part == text.as_bytes()))
}

#[tokio::test]
async fn a_contact_stands_in_no_file_and_is_told_in_full_only_once_the_audit_says_to_whom_and_why() {
    let bench = bench();
    let told = import(&bench, &format!("gate,市场管理处,{NAME},{TELEPHONE}\n"), false).await;
    assert_eq!((told.added, told.faults), (1, Vec::new()));
    let (page, next) = bench.bus.custodians(&operator(), "", 10).await.unwrap();
    let one = &page[0];
    assert_eq!((one.name_masked.as_str(), one.telephone_masked.as_str()), ("欧***", "138****1234"));
    assert_eq!((one.unit.as_str(), next), ("市场管理处", None));
    for secret in [NAME, TELEPHONE] {
        assert!(!on_disk(&bench, secret), "{secret}");
    }

    // Who may read them masked may not read them in full; and nobody does without a word of why.
    let mut reader = operator();
    reader.rights.remove(&Right::RevealCustodians);
    assert!(matches!(reveal(&bench, &reader, "the gate is blocked").await, Err(Error::Forbidden(_))));
    for reason in ["", "x", "call 13912341234 first"] {
        let refused = reveal(&bench, &operator(), reason).await.unwrap_err().to_string();
        assert!(refused.starts_with("reason: "), "{refused}");
    }
    let revealed = |folder: &Path| {
        audited(folder).into_iter().filter(|one| one.1 == "custodian_revealed").collect::<Vec<_>>()
    };
    assert!(revealed(bench.folder.path()).is_empty());
    let full = reveal(&bench, &operator(), "the gate is blocked").await.unwrap();
    let contact = full.contact.unwrap();
    assert_eq!((contact.name.as_str(), contact.telephone.as_str()), (NAME, TELEPHONE));
    let entries = revealed(bench.folder.path());
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].0, "ana");
    assert_eq!(entries[0].2, "custodian of gate: the gate is blocked");
    assert!(!on_disk(&bench, TELEPHONE), "neither does the audit tell it");
}

#[tokio::test]
async fn a_file_is_imported_whole_or_not_at_all_and_a_contact_that_is_over_is_gone() {
    let bench = bench();
    let rows = format!("gate,Market,{NAME},{TELEPHONE}\npier,Harbour,Li,110\n");
    let dry = import(&bench, &rows, true).await;
    assert_eq!(dry.added, 2);
    assert!(bench.bus.custodians(&operator(), "", 10).await.unwrap().0.is_empty(), "nothing was put");
    let faulty = import(&bench, &format!("{rows}elsewhere,Harbour,Li,110\n"), false).await;
    assert_eq!((faulty.added, faulty.faults[0].line), (0, 4));
    assert!(bench.bus.custodians(&operator(), "", 10).await.unwrap().0.is_empty());

    import(&bench, &rows, false).await;
    let told =
        import(&bench, &format!("gate,Market,{NAME},{TELEPHONE}\npier,,,\nquay,Quay,,\n"), false).await;
    assert_eq!((told.added, told.changed, told.removed, told.unchanged), (1, 0, 1, 1));
    // Pages follow one another by camera.
    let (first, next) = bench.bus.custodians(&operator(), "", 1).await.unwrap();
    let (second, end) = bench.bus.custodians(&operator(), next.as_deref().unwrap(), 1).await.unwrap();
    assert_eq!((first[0].camera_id.as_str(), second[0].camera_id.as_str(), end), ("gate", "quay", None));
    assert_eq!((second[0].name_masked.as_str(), second[0].telephone_masked.as_str()), ("", ""));

    // It is read after a restart, by the key of the folder.
    let bench = bench.reopen().await;
    assert!(reveal(&bench, &operator(), "the gate is blocked").await.is_ok());
    // A camera that is no longer there may be named to be removed.
    let Bench { folder, clock, bus, options } = bench;
    close(bus).await;
    let fewer = BusOptions { points: points(&["pier", "quay"]), ..options.clone() };
    let bus = Bus::open(folder.path(), clock.clone(), fewer).unwrap();
    let bench = Bench { folder, clock, bus, options };
    assert_eq!(import(&bench, "gate,,,\n", false).await.removed, 1);
    assert!(import(&bench, "gate,Market,,\n", false).await.faults[0].message.contains("no camera gate"));
}

/// Lets go of a call at the moment at which it has waited so many times and waits again; whether it came to its end before.
async fn hung_up_after<T>(waits: usize, call: impl Future<Output = T>) -> bool {
    let (mut call, mut left) = (std::pin::pin!(call), waits);
    std::future::poll_fn(move |context| match call.as_mut().poll(context) {
        Poll::Ready(_) => Poll::Ready(true),
        Poll::Pending if left == 0 => Poll::Ready(false),
        Poll::Pending => {
            left -= 1;
            Poll::Pending
        }
    })
    .await
}

#[tokio::test]
async fn what_is_begun_with_the_keys_comes_to_its_end_though_the_caller_hangs_up() {
    let bench = bench();
    let keys = || bench.bus.0.custodian_keys.lock();
    let import = |name: &str| v1::ImportCustodiansRequest {
        csv: Bytes::from(format!("camera_id,unit,name,telephone\ngate,Market,{name},110\n")),
        dry_run: false,
    };
    for (waits, name) in (0..6).zip(["Li", "Wu", "Qi", "An", "Bo", "Lu"]) {
        let who = operator();
        let ended = hung_up_after(waits, bench.bus.import_custodians(&who, import(name))).await;
        let begun = bench.bus.0.custodian_keys.try_lock().is_err();
        // Before it waited once it may have begun nothing.
        assert!(begun || ended || waits == 0, "{waits}: the keys are held until all is kept");
        drop(keys().await);
        if begun || ended {
            let full = reveal(&bench, &who, "the gate is blocked").await.unwrap();
            assert_eq!(full.contact.unwrap().name, name);
        }
    }
    let path = bench.folder.path().join(crate::custodian::key::KEY_FILE);
    for waits in 0..6 {
        let before = fs::read_to_string(&path).unwrap();
        hung_up_after(waits, bench.bus.rotate_custodian_key(&operator())).await;
        drop(keys().await);
        let after = fs::read_to_string(&path).unwrap();
        assert!(after.lines().count() == 1 && after != before, "{waits}: {} keys", after.lines().count());
        assert!(reveal(&bench, &operator(), "the gate is blocked").await.is_ok(), "{waits}");
    }
}

#[tokio::test]
async fn a_new_key_seals_every_contact_and_the_old_key_opens_none() {
    let bench = bench();
    import(&bench, &format!("gate,Market,{NAME},{TELEPHONE}\npier,Harbour,Li,110\n"), false).await;
    let path = bench.folder.path().join(crate::custodian::key::KEY_FILE);
    let old = fs::read_to_string(&path).unwrap();
    assert_eq!(bench.bus.rotate_custodian_key(&operator()).await.unwrap(), 2);
    let new = fs::read_to_string(&path).unwrap();
    assert!(new.lines().count() == 1 && new != old);
    let full = reveal(&bench, &operator(), "the gate is blocked").await.unwrap();
    assert_eq!(full.contact.unwrap().telephone, TELEPHONE);
    // Cut off halfway, with both keys in the file: it is done again.
    fs::write(&path, format!("{new}{old}")).unwrap();
    let bench = bench.reopen().await;
    assert!(reveal(&bench, &operator(), "the gate is blocked").await.is_ok());
    assert_eq!(bench.bus.rotate_custodian_key(&operator()).await.unwrap(), 2);
    let bench = bench.reopen().await;
    assert!(reveal(&bench, &operator(), "the gate is blocked").await.is_ok());
    // With the key that was, or another folder's, nothing opens, and it is said what to do.
    fs::write(&path, old).unwrap();
    let bench = bench.reopen().await;
    let refused = reveal(&bench, &operator(), "the gate is blocked").await.unwrap_err();
    assert!(matches!(&refused, Error::DataLoss(text) if text.contains("custodians.key")), "{refused}");
}
