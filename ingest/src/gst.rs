//! The only GStreamer code. Pipelines are built of named elements, so that what can be reached from the network is
//! the list in [`ELEMENTS`] and nothing else: no `decodebin`, `playbin` or `uridecodebin`.

use std::sync::OnceLock;

use gstreamer as gst;
use gstreamer::prelude::*;

use crate::error::Error;

pub mod clip;
pub mod decode;
mod picture;
pub mod rtsp;

/// Every element used here, with the Debian 12 package that carries it.
const ELEMENTS: [(&str, &str); 22] = [
    ("appsrc", "gstreamer1.0-plugins-base"),
    ("appsink", "gstreamer1.0-plugins-base"),
    ("capsfilter", "libgstreamer1.0-0"),
    ("filesrc", "libgstreamer1.0-0"),
    ("filesink", "libgstreamer1.0-0"),
    ("rtspsrc", "gstreamer1.0-plugins-good"),
    ("rtph264depay", "gstreamer1.0-plugins-good"),
    ("rtph265depay", "gstreamer1.0-plugins-good"),
    ("rtpjpegdepay", "gstreamer1.0-plugins-good"),
    ("h264parse", "gstreamer1.0-plugins-bad"),
    ("h265parse", "gstreamer1.0-plugins-bad"),
    ("jpegparse", "gstreamer1.0-plugins-bad"),
    ("avdec_h264", "gstreamer1.0-libav"),
    ("avdec_h265", "gstreamer1.0-libav"),
    ("avdec_mjpeg", "gstreamer1.0-libav"),
    ("avdec_mpeg4", "gstreamer1.0-libav"),
    ("avdec_msmpeg4", "gstreamer1.0-libav"),
    ("qtdemux", "gstreamer1.0-plugins-good"),
    ("mp4mux", "gstreamer1.0-plugins-good"),
    ("matroskamux", "gstreamer1.0-plugins-good"),
    ("matroskademux", "gstreamer1.0-plugins-good"),
    ("avidemux", "gstreamer1.0-plugins-good"),
];

/// Starts GStreamer and checks that every element is there. Call it once before anything else here; later calls cost
/// nothing. The very first call on a machine builds GStreamer's registry and takes about a second.
pub fn init() -> Result<(), Error> {
    static DONE: OnceLock<()> = OnceLock::new();
    if DONE.get().is_some() {
        return Ok(());
    }
    gst::init().map_err(|error| Error::Start(error.to_string()))?;
    let missing: Vec<_> =
        ELEMENTS.iter().filter(|(name, _)| gst::ElementFactory::find(name).is_none()).collect();
    if !missing.is_empty() {
        let mut packages: Vec<_> = missing.iter().map(|(_, package)| *package).collect();
        packages.sort_unstable();
        packages.dedup();
        return Err(Error::MissingElements {
            elements: missing.iter().map(|(name, _)| *name).collect(),
            packages,
        });
    }
    DONE.get_or_init(|| ());
    Ok(())
}

/// Makes an element.
fn make(factory: &'static str) -> Result<gst::Element, Error> {
    gst::ElementFactory::make(factory)
        .build()
        .map_err(|error| Error::Media { doing: factory, reason: error.to_string() })
}

/// Sets properties whose type may differ from release to release, and leaves out those that this one lacks.
fn set(element: &gst::Element, properties: &[(&str, &str)]) {
    for (name, value) in properties {
        if element.has_property(name) {
            element.set_property_from_str(name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_element_is_installed() {
        super::init().unwrap();
    }
}
