//! What the simulator says in RTSP, SDP, RTP and RTCP.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use xueliang_simulator::{CameraSpec, Clip, Codec, Error};

use crate::client::{Client, Unit};
use crate::{clips, start};

/// The NAL units of an access unit of `clip`, without parameter sets, delimiters and SEI.
fn slices(clip: &Clip, unit: &[u8]) -> Vec<Vec<u8>> {
    let mut nals = Vec::new();
    let mut starts: Vec<usize> =
        unit.windows(3).enumerate().filter(|(_, w)| *w == [0, 0, 1]).map(|(at, _)| at).collect();
    starts.push(unit.len());
    for pair in starts.windows(2) {
        let mut nal = unit[pair[0] + 3..pair[1]].to_vec();
        while nal.last() == Some(&0) {
            nal.pop();
        }
        nals.push(nal);
    }
    slices_of(clip.codec(), nals)
}

fn slices_of(codec: Codec, mut nals: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    nals.retain(|nal| match codec {
        Codec::H264 => nal[0] & 0x1f <= 5,
        _ => nal[0] >> 1 & 0x3f < 32,
    });
    nals
}

#[tokio::test]
async fn what_arrives_is_the_clip_in_a_loop_with_true_timestamps() {
    tokio::join!(check_loop(clips::plain()), check_loop(clips::reordered()), check_loop(clips::h265()));
}

/// Plays a turn and a bit, and compares every unit with the clip's.
async fn check_loop(clip: Arc<Clip>) {
    let codec = clip.codec();
    let simulator = start(vec![CameraSpec::new("gate", clip.clone())]).await;
    let mut client = Client::play(&simulator, "gate").await;
    let count = clip.units().len();
    let mut received: Vec<Unit> = Vec::new();
    while received.len() < count + 3 {
        received.push(client.unit(codec).await.unwrap());
    }
    let first = slices_of(codec, received[0].nals.clone());
    let from = clip.units().iter().position(|unit| slices(&clip, &unit.data) == first).unwrap();
    assert!(clip.units()[from].keyframe);
    let zero = received[0].timestamp.wrapping_sub(clip.units()[from].shown_at * 4500);
    for (place, unit) in received.iter().enumerate() {
        let index = (from + place) % count;
        let expected = &clip.units()[index];
        assert_eq!(slices_of(codec, unit.nals.clone()), slices(&clip, &expected.data), "unit {index}");
        let turn = ((from + place) / count * count) as u32;
        assert_eq!(unit.timestamp.wrapping_sub(zero), (turn + expected.shown_at) * 4500, "unit {index}");
        let sets = unit.types(codec).into_iter().filter(|kind| matches!(kind, 7 | 8 | 32..=34)).count();
        let expected_sets = match (expected.keyframe, codec) {
            (false, _) => 0,
            (true, Codec::H264) => 2,
            (true, _) => 3,
        };
        assert_eq!(sets, expected_sets, "unit {index}");
    }
}

#[test]
fn reordered_pictures_are_put_in_the_order_they_are_shown() {
    let clip = clips::reordered();
    let order: Vec<u32> = clip.units().iter().map(|unit| unit.shown_at).collect();
    // A group is I P B B P B B P B B P B B.
    assert_eq!(order[..14], [0, 3, 1, 2, 6, 4, 5, 9, 7, 8, 12, 10, 11, 13]);
    assert_eq!(clip.pictures_ahead(), 2);
    let clip = clips::h265();
    let shown: BTreeSet<u32> = clip.units().iter().map(|unit| unit.shown_at).collect();
    assert_eq!(shown, (0..clip.units().len() as u32).collect());
    assert!(clip.pictures_ahead() > 0);
    assert_eq!(clips::plain().pictures_ahead(), 0);
}

#[test]
fn a_clip_knows_its_size_and_length() {
    for (clip, size) in [
        (clips::plain(), (320, 240)),
        (clips::small(), (160, 120)),
        (clips::h265(), (320, 240)),
        (clips::jpeg(), (320, 240)),
    ] {
        assert_eq!((clip.width(), clip.height()), size);
        assert_eq!(clip.units().len(), 40);
        assert_eq!(clip.duration(), Duration::from_secs(2));
        assert!(clip.units()[0].keyframe);
    }
}

#[test]
fn open_groups_of_pictures_are_refused_with_the_way_out() {
    let error = Clip::load(&clips::open_h265_path(), None).unwrap_err();
    let Error::LoadClip { source, .. } = &error else { panic!("{error:?}") };
    assert!(source.to_string().contains("open-gop=0"), "{source}");
}

#[tokio::test]
async fn jpeg_pictures_arrive_whole() {
    let clip = clips::jpeg();
    let simulator = start(vec![CameraSpec::new("gate", clip.clone())]).await;
    let mut client = Client::play(&simulator, "gate").await;
    for _ in 0..3 {
        let unit = client.unit(Codec::Mjpeg).await.unwrap();
        let holds =
            |data: &[u8]| data.strip_suffix(&[0xff, 0xd9]).is_some_and(|data| data.ends_with(&unit.nals[0]));
        assert!(clip.units().iter().any(|expected| holds(&expected.data)));
    }
}

#[tokio::test]
async fn the_description_carries_the_parameter_sets() {
    let cameras = [clips::plain(), clips::h265(), clips::jpeg()];
    let names = ["a", "b", "c"];
    let specs = names.iter().zip(&cameras).map(|(name, clip)| CameraSpec::new(*name, clip.clone())).collect();
    let simulator = start(specs).await;
    let describe = async |name: &str| Client::connect(&simulator, name).await.request("DESCRIBE", "").await;
    let encoded = |sets: &[bytes::Bytes]| STANDARD.encode(&sets[0]);

    let response = describe("a").await;
    assert_eq!(response.header("Content-Base"), Some(format!("{}/", simulator.url("a")).as_str()));
    let sets = cameras[0].parameter_sets();
    assert!(response.body.contains("packetization-mode=1"));
    let profile =
        format!("profile-level-id={:02X}{:02X}{:02X}", sets.sps[0][1], sets.sps[0][2], sets.sps[0][3]);
    assert!(response.body.contains(&profile));
    assert!(response.body.contains(&format!(
        "sprop-parameter-sets={},{}",
        encoded(&sets.sps),
        encoded(&sets.pps)
    )));

    let sets = cameras[1].parameter_sets();
    let expected = format!(
        "sprop-vps={};sprop-sps={};sprop-pps={}",
        encoded(&sets.vps),
        encoded(&sets.sps),
        encoded(&sets.pps)
    );
    assert!(describe("b").await.body.contains(&expected));

    assert!(describe("c").await.body.contains("m=video 0 RTP/AVP 26"));
}

#[tokio::test]
async fn play_announces_the_first_packet_and_a_report_dates_it() {
    let offset_ms = -3_600_000;
    let simulator = start(vec![CameraSpec::new("gate", clips::plain()).clock_offset_ms(offset_ms)]).await;
    let mut client = Client::connect(&simulator, "gate").await;
    let info = client.start().await.header("RTP-Info").unwrap().to_owned();
    let field = |name: &str| {
        info.split(';').find_map(|part| part.strip_prefix(name)).unwrap().parse::<u32>().unwrap()
    };
    let report = client.packet().await.unwrap();
    assert_eq!((report.channel, report.bytes[1]), (1, 200));
    let media = client.packet().await.unwrap();
    let word = |bytes: &[u8], at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
    assert_eq!(word(&media.bytes, 0) & 0xffff, field("seq="));
    assert_eq!(word(&media.bytes, 4), field("rtptime="));
    assert_eq!(word(&media.bytes, 8), word(&report.bytes, 4));
    // The report's clock is the camera's, an hour behind; its timestamp is of the same moment.
    let report_s = i64::from(word(&report.bytes, 8)) - 2_208_988_800;
    #[expect(clippy::disallowed_methods, reason = "the wall clock is what is checked")]
    let wall = std::time::SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
    assert!((wall - 3600 - report_s).abs() < 10, "{wall} {report_s}");
    let ahead = word(&report.bytes, 16).wrapping_sub(word(&media.bytes, 4)) as i32;
    assert!((0..90_000).contains(&ahead), "the picture shows a moment {ahead} ticks before the report");
}

#[tokio::test]
async fn two_clients_of_a_camera_see_the_same_moment() {
    let simulator = start(vec![CameraSpec::new("gate", clips::plain())]).await;
    let mut early = Client::play(&simulator, "gate").await;
    let mut seen = Vec::new();
    for _ in 0..15 {
        seen.push(early.unit(Codec::H264).await.unwrap().nals);
    }
    let mut late = Client::play(&simulator, "gate").await;
    let first = late.unit(Codec::H264).await.unwrap();
    assert!(first.is_h264_entry());
    while seen.last() != Some(&first.nals) {
        seen.push(early.unit(Codec::H264).await.unwrap().nals);
        assert!(seen.len() < 60, "the late client is at a place of its own");
    }
    assert_eq!(late.unit(Codec::H264).await.unwrap().nals, early.unit(Codec::H264).await.unwrap().nals);
    assert_eq!(simulator.camera("gate").unwrap().counters().clients, 2);
}

#[tokio::test]
async fn requests_out_of_place_get_their_status() {
    let simulator = start(vec![CameraSpec::new("town/cam?channel=1", clips::plain())]).await;
    let mut client = Client::connect(&simulator, "town/cam?channel=1").await;
    let options = client.request("OPTIONS", "").await;
    assert!(options.header("Public").unwrap().contains("DESCRIBE"));
    assert_eq!(client.request("PLAY", "").await.status, 454);
    assert_eq!(client.request("PAUSE", "").await.status, 405);
    assert_eq!(client.request("DANCE", "").await.status, 501);
    assert_eq!(
        client.request("SETUP", "Transport: RTP/AVP;unicast;client_port=5000-5001\r\n").await.status,
        461
    );
    let backchannel = "Require: www.onvif.org/ver20/backchannel\r\n";
    assert_eq!(client.request("DESCRIBE", backchannel).await.status, 551);
    client.start().await;
    assert_eq!(client.set_up().await.status, 455);
    assert_eq!(client.request("GET_PARAMETER", "").await.status, 200);
}

#[tokio::test]
async fn an_unknown_camera_is_not_found_and_a_teardown_ends_the_media() {
    let simulator = start(vec![CameraSpec::new("gate", clips::plain())]).await;
    assert_eq!(Client::connect(&simulator, "nowhere").await.request("DESCRIBE", "").await.status, 404);
    let mut client = Client::play(&simulator, "gate").await;
    client.unit(Codec::H264).await.unwrap();
    assert_eq!(client.request("TEARDOWN", "").await.status, 200);
    assert_eq!(simulator.camera("gate").unwrap().counters().clients, 0);
    assert_eq!(client.request("OPTIONS", "").await.status, 200);
    assert_eq!(client.request("PLAY", "").await.status, 454);
}

#[tokio::test]
async fn names_that_fit_in_no_url_are_refused() {
    let address = ([127, 0, 0, 1], 0).into();
    for name in ["", "a b", "/gate", "gate/", "门", "a#b"] {
        let cameras = vec![CameraSpec::new(name, clips::plain())];
        let error = xueliang_simulator::Simulator::start(address, cameras).await.unwrap_err();
        assert!(matches!(error, Error::BadCameraName { .. }), "{name}: {error}");
    }
    let cameras = vec![CameraSpec::new("gate", clips::plain()), CameraSpec::new("gate", clips::plain())];
    let error = xueliang_simulator::Simulator::start(address, cameras).await.unwrap_err();
    assert!(matches!(error, Error::DuplicateCamera { .. }), "{error}");
}
