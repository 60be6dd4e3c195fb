//! What a client sees of each fault.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::timeout;
use xueliang_simulator::{CameraHandle, CameraSpec, Clip, Codec, Error, Fault, Simulator};

use crate::client::{Client, Packet, Unit};
use crate::{clips, start, until};

async fn gate() -> (Simulator, CameraHandle) {
    let spec = CameraSpec::new("gate", clips::plain())
        .alternative("dark", clips::dark())
        .alternative("small", clips::small())
        .alternative("h265", clips::h265());
    let simulator = start(vec![spec]).await;
    let camera = simulator.camera("gate").unwrap();
    (simulator, camera)
}

/// Whether a unit's slices come from `clip`.
fn is_of(clip: &Clip, unit: &Unit) -> bool {
    let slice = unit.nals.iter().find(|nal| matches!(nal[0] & 0x1f, 1 | 5)).unwrap();
    clip.units().iter().any(|candidate| candidate.data.windows(slice.len()).any(|window| window == slice))
}

/// Reads units up to one of `clip`, which has to be a keyframe with its parameter sets.
async fn entry_of(client: &mut Client, clip: &Clip) -> Unit {
    for _ in 0..40 {
        let unit = client.unit(Codec::H264).await.unwrap();
        if is_of(clip, &unit) {
            assert!(unit.is_h264_entry(), "a change of clip begins with a keyframe");
            return unit;
        }
    }
    panic!("the clip was never shown");
}

#[tokio::test]
async fn dark_shows_another_clip_and_clear_brings_the_first_back_in_one_session() {
    let (simulator, camera) = gate().await;
    let mut client = Client::play(&simulator, "gate").await;
    let mut last = client.unit(Codec::H264).await.unwrap();
    assert!(is_of(&clips::plain(), &last));
    camera.apply(Fault::Dark).unwrap();
    for clip in [clips::dark(), clips::plain()] {
        let entry = entry_of(&mut client, &clip).await;
        let step = entry.timestamp.wrapping_sub(last.timestamp);
        assert!(step > 0 && step < 30 * 4500, "time goes on: {step} ticks");
        last = entry;
        camera.clear();
    }
}

#[tokio::test]
async fn a_clip_the_camera_was_not_given_cannot_be_shown() {
    let (_simulator, camera) = gate().await;
    let error = camera.apply(Fault::Away).unwrap_err();
    assert!(matches!(&error, Error::NoAlternative { clip, .. } if clip == "away"), "{error}");
    let spec = CameraSpec::new("gate", clips::plain()).schedule("1s:away".parse().unwrap());
    let error = Simulator::start(([127, 0, 0, 1], 0).into(), vec![spec]).await.unwrap_err();
    assert!(matches!(error, Error::NoAlternative { .. }), "{error}");
}

#[tokio::test]
async fn another_size_comes_in_band_and_another_codec_ends_the_session() {
    let (simulator, camera) = gate().await;
    let mut client = Client::play(&simulator, "gate").await;
    camera.apply(Fault::Show("small".to_owned())).unwrap();
    let entry = entry_of(&mut client, &clips::small()).await;
    let sps = entry.nals.iter().find(|nal| nal[0] & 0x1f == 7).unwrap();
    assert_eq!(sps, &clips::small().parameter_sets().sps[0]);

    camera.apply(Fault::ChangeClip(clips::h265())).unwrap();
    client.read_until_closed().await;
    assert_eq!(camera.counters().dropped_codec_change, 1);
    let mut client = Client::connect(&simulator, "gate").await;
    assert!(client.request("DESCRIBE", "").await.body.contains("H265/90000"));
    client.start().await;
    client.unit(Codec::H265).await.unwrap();
}

#[tokio::test]
async fn a_frozen_camera_repeats_its_keyframe_while_time_goes_on() {
    let (simulator, camera) = gate().await;
    let mut client = Client::play(&simulator, "gate").await;
    client.unit(Codec::H264).await.unwrap();
    camera.apply(Fault::Freeze).unwrap();
    let mut last = client.unit(Codec::H264).await.unwrap();
    let mut repeats = 0;
    while repeats < 4 {
        let unit = client.unit(Codec::H264).await.unwrap();
        assert_eq!(unit.timestamp.wrapping_sub(last.timestamp), 4500);
        repeats = if unit.nals == last.nals { repeats + 1 } else { 0 };
        last = unit;
    }
    assert!(last.is_h264_entry());
    let frozen = last.nals.clone();
    assert_eq!(Client::play(&simulator, "gate").await.unit(Codec::H264).await.unwrap().nals, frozen);
    camera.clear();
    // The pictures move again, from a keyframe on.
    let mut moving = BTreeSet::new();
    while moving.len() < 4 {
        let unit = client.unit(Codec::H264).await.unwrap();
        assert!(!moving.is_empty() || unit.is_h264_entry());
        if unit.nals != frozen {
            moving.insert(unit.nals);
        }
    }
}

#[tokio::test]
async fn a_stalled_camera_answers_but_sends_no_media() {
    let (simulator, camera) = gate().await;
    let mut client = Client::play(&simulator, "gate").await;
    client.unit(Codec::H264).await.unwrap();
    camera.apply(Fault::Stall).unwrap();
    // All that was sent before the stall stands before this answer.
    assert_eq!(client.request("GET_PARAMETER", "").await.status, 200);
    let sent = camera.counters().units_sent;
    let silence = async {
        loop {
            client.unit(Codec::H264).await.unwrap();
        }
    };
    assert!(timeout(Duration::from_millis(400), silence).await.is_err());
    assert_eq!(camera.counters().units_sent, sent);
    camera.clear();
    assert!(client.unit(Codec::H264).await.unwrap().is_h264_entry(), "it goes on with a keyframe");
}

#[tokio::test]
async fn a_half_open_camera_keeps_its_sockets_and_says_nothing() {
    let (simulator, camera) = gate().await;
    let mut playing = Client::play(&simulator, "gate").await;
    playing.unit(Codec::H264).await.unwrap();
    camera.apply(Fault::HalfOpen).unwrap();
    let mut late = Client::connect(&simulator, "gate").await;
    late.send("DESCRIBE", "").await.unwrap();
    assert!(timeout(Duration::from_millis(400), late.response()).await.is_err());
    playing.send("GET_PARAMETER", "").await.unwrap();
    assert!(timeout(Duration::from_millis(200), playing.response()).await.is_err());
    camera.clear();
    assert_eq!(playing.response().await.unwrap().status, 200);
    playing.unit(Codec::H264).await.unwrap();
}

#[tokio::test]
async fn a_refusing_camera_closes_new_connections_and_keeps_sessions() {
    let (simulator, camera) = gate().await;
    let mut playing = Client::play(&simulator, "gate").await;
    camera.apply(Fault::Refuse).unwrap();
    let mut late = Client::connect(&simulator, "gate").await;
    late.send("OPTIONS", "").await.unwrap();
    assert!(late.response().await.is_err());
    assert_eq!(playing.request("GET_PARAMETER", "").await.status, 200);
    assert_eq!(camera.counters().dropped_fault, 1);
}

#[tokio::test]
async fn a_stopped_camera_is_gone_until_it_is_cleared() {
    let (simulator, camera) = gate().await;
    let mut playing = Client::play(&simulator, "gate").await;
    camera.apply(Fault::Stop).unwrap();
    playing.read_until_closed().await;
    assert_eq!(camera.counters().clients, 0);
    assert_eq!(Client::connect(&simulator, "gate").await.request("DESCRIBE", "").await.status, 404);
    camera.clear();
    Client::play(&simulator, "gate").await.unit(Codec::H264).await.unwrap();
}

#[tokio::test]
async fn a_restarting_camera_comes_back_by_itself() {
    let (simulator, camera) = gate().await;
    let mut playing = Client::play(&simulator, "gate").await;
    camera.apply(Fault::Restart(Duration::from_millis(300))).unwrap();
    playing.read_until_closed().await;
    let mut refused = 0;
    while Client::connect(&simulator, "gate").await.request("DESCRIBE", "").await.status == 404 {
        refused += 1;
    }
    assert!(refused > 0);
    Client::play(&simulator, "gate").await.unit(Codec::H264).await.unwrap();
}

#[tokio::test]
async fn corruption_damages_payload_only_and_ends_with_clear() {
    let (simulator, camera) = gate().await;
    camera.apply(Fault::Corrupt(0.02)).unwrap();
    let mut client = Client::play(&simulator, "gate").await;
    let mut others = Client::play(&simulator, "gate").await;
    let clip = clips::plain();
    // Packets of this clip hold whole NAL units or pieces of them, so a whole one stands in some access unit.
    let is_whole = |packet: &Packet| clip.units().iter().any(|unit| holds(&unit.data, body(&packet.bytes)));
    let mut theirs: BTreeSet<Vec<u8>> = BTreeSet::new();
    let mut damaged = 0;
    while theirs.len() < 10 {
        let packet = others.packet().await.unwrap();
        if packet.channel == 0 {
            assert_eq!(packet.bytes[0], 0x80);
            assert!(matches!(packet.bytes[1], 96 | 224));
            damaged += usize::from(!is_whole(&packet));
            theirs.insert(packet.bytes[12..].to_vec());
        }
    }
    assert!(damaged >= 8, "{damaged} of 10 packets are damaged");
    // The damage is the camera's: the client that came first gets the same.
    for _ in 0..100 {
        theirs.remove(&client.packet().await.unwrap().bytes[12..]);
        if theirs.is_empty() {
            break;
        }
    }
    assert!(theirs.is_empty(), "each client has damage of its own");
    camera.clear();
    let mut whole_in_a_row = 0;
    for _ in 0..60 {
        let packet = client.packet().await.unwrap();
        if whole_in_a_row < 10 && packet.channel == 0 {
            whole_in_a_row = if is_whole(&packet) { whole_in_a_row + 1 } else { 0 };
        }
    }
    assert_eq!(whole_in_a_row, 10, "damage went on");
}

/// The bytes of a NAL unit in a packet.
fn body(packet: &[u8]) -> &[u8] {
    if packet[12] & 0x1f == 28 { &packet[14..] } else { &packet[12..] }
}

fn holds(data: &[u8], part: &[u8]) -> bool {
    data.windows(part.len()).any(|window| window == part)
}

#[tokio::test]
async fn a_schedule_runs_by_itself() {
    let schedule = "200ms:dark,1200ms:normal,2200ms:stop".parse().unwrap();
    let spec = CameraSpec::new("gate", clips::plain()).alternative("dark", clips::dark()).schedule(schedule);
    let simulator = start(vec![spec]).await;
    let mut client = Client::play(&simulator, "gate").await;
    entry_of(&mut client, &clips::dark()).await;
    entry_of(&mut client, &clips::plain()).await;
    client.read_until_closed().await;
    let camera = simulator.camera("gate").unwrap();
    until("the drop is counted", || camera.counters().dropped_fault == 1).await;
}

#[tokio::test]
async fn a_first_picture_may_be_ordered_to_come_late_and_the_session_answers_meanwhile() {
    let (simulator, camera) = gate().await;
    let wait = Duration::from_millis(1_500);
    camera.apply(Fault::FirstAfter(wait)).unwrap();
    let begun = tokio::time::Instant::now();
    let mut client = Client::play(&simulator, "gate").await;
    assert!(begun.elapsed() < wait, "PLAY is answered at once");
    let unit = client.unit(Codec::H264).await.unwrap();
    assert!(unit.is_h264_entry() && begun.elapsed() >= wait, "{:?}", begun.elapsed());
    camera.clear();
    let begun = tokio::time::Instant::now();
    let mut other = Client::play(&simulator, "gate").await;
    other.unit(Codec::H264).await.unwrap();
    assert!(begun.elapsed() < wait + Duration::from_secs(1));
}
