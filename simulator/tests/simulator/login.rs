//! Digest logins and locked accounts.

use std::time::Duration;

use xueliang_simulator::{Account, CameraSpec, Codec, Error, Fault, LockAnswer, LockPolicy};

use crate::client::Client;
use crate::{clips, start};

fn account() -> Account {
    Account::new("admin", "right")
}

#[tokio::test]
async fn the_right_password_plays_with_and_without_qop() {
    for with_qop in [false, true] {
        let account = Account { with_qop, ..account() };
        let simulator = start(vec![CameraSpec::new("gate", clips::plain()).account(account)]).await;
        let mut client = Client::connect(&simulator, "gate").await;
        assert_eq!(client.request("OPTIONS", "").await.status, 200);
        let asked = client.request("DESCRIBE", "").await;
        assert_eq!(asked.status, 401);
        assert_eq!(asked.header("WWW-Authenticate").unwrap().contains("qop=\"auth\""), with_qop);
        client.log_in("admin", "right");
        client.start().await;
        assert!(client.unit(Codec::H264).await.unwrap().is_h264_entry());
        assert_eq!(simulator.camera("gate").unwrap().counters().logins_failed, 0);
    }
}

#[tokio::test]
async fn failed_logins_lock_the_account_for_everybody() {
    let lock = LockPolicy { attempts: 2, duration: Duration::from_secs(3600), answer: LockAnswer::Forbidden };
    let spec = CameraSpec::new("gate", clips::plain()).account(Account { lock: Some(lock), ..account() });
    let simulator = start(vec![spec]).await;
    let camera = simulator.camera("gate").unwrap();
    let mut wrong = Client::connect(&simulator, "gate").await;
    wrong.log_in("admin", "wrong");
    let statuses = [
        wrong.request("DESCRIBE", "").await.status,
        wrong.request("DESCRIBE", "").await.status,
        wrong.request("DESCRIBE", "").await.status,
        wrong.request("DESCRIBE", "").await.status,
    ];
    assert_eq!(statuses, [401, 401, 401, 403]);
    let mut right = Client::connect(&simulator, "gate").await;
    right.log_in("admin", "right");
    assert_eq!(right.request("DESCRIBE", "").await.status, 401);
    assert_eq!(right.request("DESCRIBE", "").await.status, 403);
    assert_eq!((camera.counters().logins_failed, camera.counters().logins_locked_out), (2, 2));
    camera.clear();
    right.start().await;
}

#[tokio::test]
async fn an_account_is_locked_on_command_while_sessions_go_on() {
    let simulator = start(vec![
        CameraSpec::new("gate", clips::plain()).account(account()),
        CameraSpec::new("open", clips::plain()),
    ])
    .await;
    let mut playing = Client::connect(&simulator, "gate").await;
    playing.request("DESCRIBE", "").await;
    playing.log_in("admin", "right");
    playing.start().await;
    let camera = simulator.camera("gate").unwrap();
    camera.apply(Fault::LockAccount).unwrap();
    let mut late = Client::connect(&simulator, "gate").await;
    late.request("DESCRIBE", "").await;
    late.log_in("admin", "right");
    assert_eq!(late.request("DESCRIBE", "").await.status, 401);
    assert_eq!(playing.request("GET_PARAMETER", "").await.status, 200);
    playing.unit(Codec::H264).await.unwrap();
    camera.clear();
    late.start().await;
    let error = simulator.camera("open").unwrap().apply(Fault::LockAccount).unwrap_err();
    assert!(matches!(error, Error::NoAccount { .. }), "{error}");
}
