//! What the drivers have in common, and which one reads a camera.

use super::*;
use crate::{
    decode::{DecodeLimits, Decoder, Want},
    nal,
};

/// The slices of a unit: what is left of it whoever put it together.
fn slices(unit: &AccessUnit) -> Vec<Vec<u8>> {
    let slice = |nal: &&[u8]| match unit.codec {
        Codec::H264 => matches!(nal[0] & 0x1f, 1..=5),
        Codec::H265 => nal[0] >> 1 < 32,
        Codec::Mjpeg => true,
    };
    let nals = nal::nals(&unit.data).map(|(_, nal)| nal).filter(|nal| !nal.is_empty());
    // A start code may be written with a zero more, which then ends what is before it.
    let trimmed = |nal: &[u8]| nal[..nal.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1)].to_vec();
    nals.filter(slice).map(trimmed).collect()
}

/// Every sample of the pictures.
fn pixels(units: &[AccessUnit]) -> Vec<Vec<u8>> {
    let mut decoder =
        Decoder::new(units[0].codec, DecodeLimits { max_width: 1920, max_height: 1088 }).unwrap();
    let mut pictures = decoder.decode(units, Want::All).unwrap().pictures;
    pictures.extend(decoder.drain(Want::All).unwrap().pictures);
    let rows = |picture: &xueliang_base::picture::Picture| {
        let mut all = Vec::new();
        for (n, plane) in picture.planes.iter().enumerate() {
            let shift = u32::from(n > 0);
            let (width, height) = ((picture.width >> shift) as usize, (picture.height >> shift) as usize);
            for row in plane.data.chunks(plane.stride).take(height) {
                all.extend_from_slice(&row[..width]);
            }
        }
        all
    };
    pictures.iter().map(rows).collect()
}

/// Two whole groups, so that no picture waits for one that is not compared.
const COMPARED: usize = 40;

fn compare(name: &str) {
    let town = Town::of(camera(name));
    let rigs =
        [StreamSource::Gstreamer, StreamSource::Retina].map(|source| Rig::start(&town.url(), source, |_| {}));
    // They begin with the same keyframe, or one group apart.
    let [gstreamer, retina] =
        rigs.map(|rig| rig.kept.until(name, |units| (units.len() >= COMPARED + 41).then(|| units.to_vec())));
    let from = |units: &[AccessUnit], first: &AccessUnit| {
        units
            .iter()
            .position(|unit| slices(unit) == slices(first))
            .map(|at| units[at..at + COMPARED].to_vec())
    };
    let aligned = match from(&gstreamer, &retina[0]) {
        Some(gstreamer) => (gstreamer, retina[..COMPARED].to_vec()),
        None => {
            let retina = from(&retina, &gstreamer[0]).expect("they overlap");
            (gstreamer[..COMPARED].to_vec(), retina)
        }
    };
    let (gstreamer, retina) = aligned;
    for (a, b) in gstreamer.iter().zip(&retina) {
        assert_eq!(slices(a), slices(b), "{name}: unit {} of GStreamer, {} of retina", a.seq, b.seq);
        assert_eq!(a.keyframe, b.keyframe, "{name}: {}", a.seq);
        if a.keyframe {
            assert!(nal::survey(b.codec, &b.data).parameters, "{name}: {} decodes by itself", b.seq);
        }
    }
    assert_eq!(gstreamer.iter().filter(|unit| unit.keyframe).count(), 2, "{name}: a group has 20 pictures");
    // Retina's times are the camera's; GStreamer fits them to when they arrive.
    let mut camera: Vec<_> = retina.iter().map(|unit| unit.pts_us.unwrap()).collect();
    camera.sort_unstable();
    assert!(
        camera.windows(2).all(|pair| (99_999..=100_001).contains(&(pair[1] - pair[0]))),
        "{name}: {camera:?}"
    );
    let (a, b) = (pixels(&gstreamer), pixels(&retina));
    assert_eq!(a.len(), COMPARED, "{name}");
    assert!(a == b, "{name}: the pictures differ");
}

#[test]
fn both_drivers_give_the_same_units_keyframes_and_pictures_of_a_camera() {
    // Side by side: each plays for eight seconds.
    std::thread::scope(|all| {
        for name in ["vtest@10fps.h264", "vtest-bframes@10fps.h264", "vtest@10fps.h265"] {
            all.spawn(move || compare(name));
        }
    });
}

#[test]
fn what_retina_does_not_read_is_gstreamers_without_a_failure() {
    let town = Town::of(camera("vtest@10fps.mjpeg"));
    let rig = Rig::start(&town.url(), StreamSource::Auto, |_| {});
    rig.kept.after("first stream", 0, true);
    let stats = rig.handle().stats();
    assert_eq!((stats.connects, stats.streams, stats.stalls), (1, 1, 0));
    assert!(stats.failures.is_empty(), "{:?}", stats.failures);
    let reading = stats.reading.unwrap();
    assert_eq!(
        (reading.driver, reading.why.as_ref().map(Why::word)),
        (Driver::Gstreamer, Some("unreadable"))
    );
    // And stays so when it comes back.
    let before = rig.kept.newest();
    town.apply(Fault::Restart(Duration::from_millis(300)));
    rig.kept
        .until("is back", |units| units.iter().find(|unit| unit.seq > before && unit.discontinuity).cloned());
    assert_eq!(rig.handle().stats().reading, Some(reading));
    drop(rig);
    let (cause, detail) = Rig::start(&town.url(), StreamSource::Retina, |_| {}).offline();
    assert_eq!(cause, OfflineCause::Rejected);
    assert!(detail.contains("MJPEG") && detail.contains("`source`"), "{detail}");
}

#[test]
fn what_retina_reads_is_retinas() {
    let town = Town::of(camera("vtest@10fps.h264"));
    let rig = Rig::start(&town.url(), StreamSource::Auto, |_| {});
    rig.kept.after("first stream", 0, true);
    let stats = rig.handle().stats();
    assert_eq!(stats.reading, Some(Reading { driver: Driver::Retina, why: None }));
    assert_eq!((stats.connects, stats.streams), (1, 1));
}
