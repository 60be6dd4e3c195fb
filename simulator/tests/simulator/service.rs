//! The port, slow and silent clients, and many at once.

use std::time::Duration;

use tokio::net::TcpStream;
use xueliang_simulator::{CameraSpec, Codec};

use crate::client::Client;
use crate::{clips, start, until};

#[tokio::test]
async fn a_closed_port_refuses_and_comes_back_with_its_number() {
    let simulator = start(vec![CameraSpec::new("gate", clips::plain())]).await;
    let mut client = Client::play(&simulator, "gate").await;
    let address = simulator.local_addr();
    simulator.close_port().await;
    client.read_until_closed().await;
    let refused = TcpStream::connect(address).await.unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    assert_eq!(simulator.camera("gate").unwrap().counters().clients, 0);
    simulator.open_port().await.unwrap();
    simulator.open_port().await.unwrap();
    assert_eq!(simulator.local_addr(), address);
    Client::play(&simulator, "gate").await.unit(Codec::H264).await.unwrap();
    simulator.shutdown().await;
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_client_that_does_not_read_is_dropped_and_the_others_see_nothing_of_it() {
    let patience = Duration::from_millis(300);
    let simulator = start(vec![CameraSpec::new("gate", clips::heavy()).write_patience(patience)]).await;
    let camera = simulator.camera("gate").unwrap();
    let mut slow = Client::connect_with_small_buffer(&simulator, "gate").await;
    slow.start().await;
    let mut healthy = Client::play(&simulator, "gate").await;
    let mut last = healthy.unit(Codec::H264).await.unwrap().timestamp;
    while camera.counters().dropped_slow_client == 0 {
        let unit = healthy.unit(Codec::H264).await.unwrap();
        assert_eq!(unit.timestamp.wrapping_sub(last), 4500, "the healthy client missed a picture");
        last = unit.timestamp;
    }
    assert_eq!(camera.counters().clients, 1);
}

#[tokio::test]
async fn a_silent_session_expires_and_one_that_gives_signs_of_life_does_not() {
    let spec = CameraSpec::new("gate", clips::plain()).session_timeout(Duration::from_millis(600));
    let simulator = start(vec![spec]).await;
    let camera = simulator.camera("gate").unwrap();
    let mut silent = Client::play(&simulator, "gate").await;
    let mut alive = Client::play(&simulator, "gate").await;
    // A receiver's report is a sign of life.
    while camera.counters().dropped_session_expired == 0 {
        alive.unit(Codec::H264).await.unwrap();
        alive.send_raw(b"$\x01\x00\x08\x80\xc9\x00\x01\x00\x00\x00\x01").await;
    }
    silent.read_until_closed().await;
    alive.unit(Codec::H264).await.unwrap();
    assert_eq!(camera.counters().dropped_session_expired, 1);
}

#[tokio::test]
async fn what_is_no_rtsp_gets_400_and_the_door() {
    let simulator = start(vec![CameraSpec::new("gate", clips::plain())]).await;
    let mut client = Client::play(&simulator, "gate").await;
    client.send_raw(b"GET / HTTP/1.1\r\n\r\n").await;
    assert_eq!(client.response().await.unwrap().status, 400);
    client.read_until_closed().await;
    assert_eq!(simulator.camera("gate").unwrap().counters().dropped_not_rtsp, 1);
}

#[tokio::test]
async fn hundreds_of_cameras_share_one_process_and_one_copy_of_the_clip() {
    let clip = clips::plain();
    let cameras = (0..200).map(|n| CameraSpec::new(format!("cam/{n}"), clip.clone())).collect();
    let simulator = start(cameras).await;
    let mut clients = Vec::new();
    for camera in simulator.cameras() {
        clients.push(Client::play(&simulator, camera.name()).await);
    }
    for client in &mut clients {
        assert!(client.unit(Codec::H264).await.unwrap().is_h264_entry());
    }
    let counters: Vec<_> =
        simulator.cameras().iter().map(xueliang_simulator::CameraHandle::counters).collect();
    assert!(counters.iter().all(|counters| counters.clients == 1 && counters.units_sent > 0));
    assert!(counters.iter().all(|counters| counters.bytes_sent > counters.units_sent * 16));
    drop(clients);
    let cameras = simulator.cameras();
    until("all clients have left", || cameras.iter().all(|camera| camera.counters().clients == 0)).await;
}
