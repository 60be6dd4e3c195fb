use xueliang_base::time::Mono;

use super::*;

fn cached(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.cache")).join(name)
}

const START: Mono = Mono(1_000_000_000);

fn units(name: &str, n: usize) -> Vec<AccessUnit> {
    let recording = Recording::open(&cached("clips").join(name)).unwrap();
    recording.units(START, Wall(0)).unwrap().take(n).collect::<Result<_, _>>().unwrap()
}

#[test]
fn a_clip_gives_back_the_units_it_was_written_of() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["vtest@10fps.h264", "vtest@10fps.h265", "vtest@10fps.mjpeg"] {
        let units = units(name, 45);
        let info = write_mp4(&units, &folder.path().join("clip.mp4")).unwrap();
        let [segment] = &info.segments[..] else { panic!("{name}: one file") };
        assert_eq!(
            (segment.units, segment.start_wall, segment.end_wall),
            (45, Wall(0), Wall(4_400_000)),
            "{name}"
        );
        assert_eq!((info.bytes, info.sha256), (segment.bytes, segment.sha256));
        let expected = if name.ends_with("mjpeg") { "mkv" } else { "mp4" };
        assert_eq!(segment.path.extension().unwrap(), expected);
        let back = Recording::open(&segment.path).unwrap();
        let back: Vec<_> = back.units(START, Wall(0)).unwrap().map(Result::unwrap).collect();
        assert_eq!(back.len(), 45, "{name}");
        for (was, is) in units.iter().zip(&back) {
            assert_eq!((was.keyframe, was.seq), (is.keyframe, is.seq), "{name}");
            let apart = was.arrival.0.abs_diff(is.arrival.0);
            assert!(apart < 2_000_000, "{name}: {} {apart}", was.seq);
        }
        let pictures = Recording::open(&segment.path).unwrap().pictures(START, Wall(0)).unwrap();
        assert_eq!(pictures.map(Result::unwrap).count(), 45, "{name}");
    }
}

#[test]
fn a_clip_with_b_frames_is_shown_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let plain = units("vtest-bframes@10fps.h264", 45);
    // As a session delivers it: showing times of the stream, arrivals in order of decoding.
    let clip =
        xueliang_simulator::Clip::load(&cached("clips").join("vtest-bframes@10fps.h264"), None).unwrap();
    let shown = |n: usize| i64::from(clip.units()[n].shown_at) * 100_000;
    let units: Vec<_> = plain
        .into_iter()
        .enumerate()
        .map(|(n, unit)| AccessUnit { pts_us: Some(shown(n)), ..unit })
        .collect();
    let info = write_mp4(&units, &folder.path().join("b.mp4")).unwrap();
    let pictures = Recording::open(&info.segments[0].path).unwrap().pictures(START, Wall(0)).unwrap();
    let arrivals: Vec<_> = pictures.map(|picture| picture.unwrap().arrival).collect();
    assert_eq!(arrivals.len(), 45);
    assert!(arrivals.is_sorted());
    assert!(arrivals.windows(2).all(|pair| pair[0] < pair[1]));
}

#[test]
fn what_does_not_hang_together_is_written_apart() {
    let folder = tempfile::tempdir().unwrap();
    let mut units = units("vtest@10fps.h264", 80);
    // Units 31 to 39 are lost: the next that can be decoded is the keyframe 41.
    units.drain(30..39);
    let at = units.iter().position(|unit| unit.seq == 61).unwrap();
    for unit in &mut units[at..] {
        unit.arrival = unit.arrival.plus(Duration::from_secs(3));
        unit.arrival_wall = unit.arrival_wall.plus(Duration::from_secs(3));
    }
    let info = write_mp4(&units, &folder.path().join("cut.mp4")).unwrap();
    let names: Vec<_> = info.segments.iter().map(|s| s.path.file_name().unwrap().to_str().unwrap()).collect();
    assert_eq!(names, ["cut.mp4", "cut-1.mp4", "cut-2.mp4"]);
    let starts: Vec<_> = info.segments.iter().map(|s| (s.start_wall.0 / 100_000, s.units)).collect();
    assert_eq!(starts, [(0, 30), (40, 20), (90, 20)]);
    assert!(matches!(
        write_mp4(&units[1..5], &folder.path().join("x.mp4")),
        Err(Error::EmptyClip { units: 4 })
    ));
}

#[test]
fn recordings_of_every_kind_give_dated_pictures_each_time_the_same() {
    for (path, n, step_ms) in [
        (cached("clips/vtest@10fps.h264"), 795, 100),
        (cached("clips/vtest-bframes@10fps.h264"), 100, 100),
        (cached("clips/vtest@10fps.mjpeg"), 100, 100),
        (cached("clips/bikes@25fps.h264"), 250, 40),
        (cached("footage/vtest.avi"), 795, 100),
    ] {
        let name = path.display().to_string();
        let mut sums = Vec::new();
        for _ in 0..2 {
            let pictures = Recording::open(&path).unwrap().pictures(START, Wall(0)).unwrap();
            let mut sum = 0_u64;
            let mut count = 0;
            // The first pictures tell; the rest is only counted once.
            let most = if sums.is_empty() && n <= 250 { n } else { 30 };
            for (at, picture) in (0..).zip(pictures.take(most)) {
                let picture = picture.unwrap();
                assert_eq!(picture.arrival, START.plus(Duration::from_millis(at * step_ms)), "{name} {at}");
                if at < 30 {
                    sum = picture.planes[0]
                        .data
                        .iter()
                        .fold(sum, |s, b| s.wrapping_mul(31).wrapping_add(u64::from(*b)));
                }
                count += 1;
            }
            assert_eq!(count, most, "{name}");
            sums.push(sum);
        }
        assert_eq!(sums[0], sums[1], "{name}");
    }
}

#[test]
fn a_file_that_cannot_be_read_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let junk = folder.path().join("junk.mp4");
    std::fs::write(&junk, [7; 5000]).unwrap();
    let first = Recording::open(&junk).unwrap().pictures(START, Wall(0)).unwrap().next();
    assert!(matches!(first, Some(Err(Error::Footage { .. }))), "{first:?}");
    let text = folder.path().join("notes.txt");
    std::fs::write(&text, "x").unwrap();
    assert!(Recording::open(&text).unwrap_err().to_string().contains(".mp4"));
    let none = Recording::open(&folder.path().join("none.mp4")).unwrap_err();
    assert_eq!(none.kind(), xueliang_base::error::ErrorKind::NotFound);
    let cinepak =
        Recording::open(&cached("footage/tree.avi")).unwrap().pictures(START, Wall(0)).unwrap().next();
    assert!(cinepak.unwrap().unwrap_err().to_string().contains("cinepak"));
}
