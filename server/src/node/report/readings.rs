//! What reads the cameras, and why it is not retina.

use std::collections::BTreeMap;

use xueliang_base::{id::CameraId, metrics::Gauges};
use xueliang_ingest::session::{Driver, SessionStats, Why};
use xueliang_proto::v1::StreamSource;

/// How many cameras each driver reads, by the reason; every reason is shown, if only with 0.
pub(super) fn record(gauges: &Gauges, counted: &BTreeMap<CameraId, SessionStats>) {
    let mut cameras = BTreeMap::from([((Driver::Retina.word(), ""), 0)]);
    cameras.extend(Why::WORDS.map(|word| ((Driver::Gstreamer.word(), word), 0)));
    for reading in counted.values().filter_map(|stats| stats.reading.as_ref()) {
        let reason = reading.why.as_ref().map_or("", Why::word);
        *cameras.entry((reading.driver.word(), reason)).or_default() += 1;
    }
    for ((source, reason), count) in cameras {
        super::set(gauges, vec![("source", source.to_owned()), ("reason", reason.to_owned())], count);
    }
}

/// What reads one camera, and why in words.
pub(super) fn to_wire(counted: Option<&SessionStats>) -> (StreamSource, String) {
    let Some(reading) = counted.and_then(|stats| stats.reading.as_ref()) else {
        return (StreamSource::Unspecified, String::new());
    };
    let source = match reading.driver {
        Driver::Retina => StreamSource::Retina,
        Driver::Gstreamer => StreamSource::Gstreamer,
    };
    (source, reading.why.as_ref().map(ToString::to_string).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use xueliang_base::metrics::Metrics;
    use xueliang_ingest::session::Reading;

    use super::*;

    fn counted(driver: Driver, why: Option<Why>) -> SessionStats {
        let mut stats = SessionStats::default();
        stats.reading = Some(Reading { driver, why });
        stats
    }

    #[test]
    fn what_reads_each_camera_and_why_is_told() {
        let metrics = Metrics::new("node");
        let gauges = metrics.gauges("session_sources", "sources");
        let mjpeg = || counted(Driver::Gstreamer, Some(Why::Unreadable("it sends MJPEG".to_owned())));
        let all = [
            ("a", counted(Driver::Retina, None)),
            ("b", counted(Driver::Retina, None)),
            ("c", mjpeg()),
            ("d", SessionStats::default()),
        ];
        record(&gauges, &all.map(|(id, stats)| (id.parse().unwrap(), stats)).into());
        let shown = |source: &str, reason: &str, count: u64| {
            let line =
                format!("xueliang_node_session_sources{{source=\"{source}\",reason=\"{reason}\"}} {count}.0");
            assert!(metrics.text().contains(&line), "{line} in {}", metrics.text());
        };
        shown("retina", "", 2);
        shown("gstreamer", "unreadable", 1);
        shown("gstreamer", "udp", 0);
        // A reason that is gone is shown no longer.
        record(&gauges, &BTreeMap::new());
        shown("gstreamer", "unreadable", 0);
        assert_eq!(to_wire(Some(&mjpeg())), (StreamSource::Gstreamer, "it sends MJPEG".to_owned()));
        assert_eq!(to_wire(Some(&counted(Driver::Retina, None))), (StreamSource::Retina, String::new()));
        assert_eq!(to_wire(None), (StreamSource::Unspecified, String::new()));
    }
}
