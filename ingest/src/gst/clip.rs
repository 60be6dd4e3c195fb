//! Muxing and demuxing: `appsrc ! parse ! mux ! filesink`, and `filesrc ! demux ! parse ! appsink`.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;
use xueliang_base::unit::{AccessUnit, Codec};

use super::{decode::Coding, make, set};
use crate::{Error, clip::Timing};

/// A file system that takes longer for one buffer is not going to finish.
const PATIENCE: gst::ClockTime = gst::ClockTime::from_seconds(30);

/// How a recording is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Container {
    Mp4,
    Matroska,
    Avi,
    Raw(Codec),
}

/// Takes a pipeline to NULL on the thread that built it.
#[derive(Debug)]
struct Owned(gst::Pipeline);

impl Drop for Owned {
    fn drop(&mut self) {
        let _best_effort = self.0.set_state(gst::State::Null);
    }
}

fn wrong(doing: &'static str) -> impl Fn(&dyn std::fmt::Display) -> Error {
    move |error| Error::Media { doing, reason: error.to_string() }
}

fn location(path: &Path) -> Result<&str, Error> {
    let reason =
        || Error::Footage { path: path.to_owned(), reason: "has a name that is not UTF-8".to_owned() };
    path.to_str().ok_or_else(reason)
}

/// What the first error message on the bus says.
fn complaint(bus: &gst::Bus) -> Option<String> {
    let message = bus.pop_filtered(&[gst::MessageType::Error])?;
    match message.view() {
        gst::MessageView::Error(error) => Some(error.error().message().to_owned()),
        _ => None,
    }
}

/// Writes one stretch of units of one encoding to a file.
pub(crate) fn write(units: &[AccessUnit], times: &[Timing], path: &Path) -> Result<(), Error> {
    super::init()?;
    let wrong = wrong("write a clip");
    let Some(first) = units.first() else { return Ok(()) };
    let (caps, parse, mux) = match first.codec {
        Codec::H264 => ("video/x-h264,stream-format=byte-stream,alignment=au", "h264parse", "mp4mux"),
        Codec::H265 => ("video/x-h265,stream-format=byte-stream,alignment=au", "h265parse", "mp4mux"),
        Codec::Mjpeg => ("image/jpeg", "jpegparse", "matroskamux"),
    };
    let source = gst_app::AppSrc::builder()
        .caps(&caps.parse().map_err(|error: gst::glib::BoolError| wrong(&error))?)
        .format(gst::Format::Time)
        .build();
    let (parse, mux, file) = (make(parse)?, make(mux)?, make("filesink")?);
    file.set_property("location", location(path)?);
    let pipeline = Owned(gst::Pipeline::new());
    let chain = [source.upcast_ref(), &parse, &mux, &file];
    pipeline.0.add_many(chain).map_err(|error| wrong(&error))?;
    gst::Element::link_many(chain).map_err(|error| wrong(&error))?;
    let bus = pipeline.0.bus().ok_or_else(|| wrong(&"no bus"))?;
    let failed = |bus: &gst::Bus| {
        let reason = complaint(bus).unwrap_or_else(|| "the pipeline stops".to_owned());
        let source = std::io::Error::other(reason);
        Error::File { doing: "write", path: path.to_owned(), source }
    };
    if pipeline.0.set_state(gst::State::Playing).is_err() {
        return Err(failed(&bus));
    }
    for (unit, time) in units.iter().zip(times) {
        let mut buffer = gst::Buffer::from_slice(unit.data.clone());
        let fields = buffer.get_mut().expect("a buffer just made has one owner");
        fields.set_pts(gst::ClockTime::from_nseconds(time.pts));
        fields.set_dts(gst::ClockTime::from_nseconds(time.dts));
        fields.set_duration(gst::ClockTime::from_nseconds(time.duration));
        if !unit.keyframe {
            fields.set_flags(gst::BufferFlags::DELTA_UNIT);
        }
        if source.push_buffer(buffer).is_err() {
            return Err(failed(&bus));
        }
    }
    let _refused_only_when_failed = source.end_of_stream();
    let ends = [gst::MessageType::Eos, gst::MessageType::Error];
    match bus.timed_pop_filtered(PATIENCE, &ends) {
        Some(message) if message.type_() == gst::MessageType::Eos => Ok(()),
        Some(message) => {
            let reason = match message.view() {
                gst::MessageView::Error(error) => error.error().message().to_owned(),
                _ => "the pipeline stops".to_owned(),
            };
            Err(Error::File { doing: "write", path: path.to_owned(), source: std::io::Error::other(reason) })
        }
        None => Err(wrong(&"the file system does not finish")),
    }
}

/// One encoded picture of a recording.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    pub(crate) coding: Coding,
    pub(crate) pts: Option<Duration>,
    pub(crate) data: Bytes,
    caps: Option<gst::Caps>,
}

impl Sample {
    /// What its decoder must be told, where no parser does.
    pub(crate) fn caps(&self) -> Option<gst::Caps> {
        self.caps.clone().filter(|_| matches!(self.coding, Coding::Mpeg4 | Coding::MsMpeg4))
    }
}

/// Reads the encoded pictures of the first video track of a file.
#[derive(Debug)]
pub(crate) struct Reader {
    path: PathBuf,
    sink: gst_app::AppSink,
    bus: gst::Bus,
    /// Set where the file holds video that is not read here.
    unknown: Arc<Mutex<Option<String>>>,
    ended: bool,
    _pipeline: Owned,
}

impl Reader {
    pub(crate) fn open(path: &Path, container: Container) -> Result<Self, Error> {
        super::init()?;
        let wrong = wrong("open a recording");
        let file = make("filesrc")?;
        file.set_property("location", location(path)?);
        let sink = gst_app::AppSink::builder().sync(false).enable_last_sample(false).max_buffers(4).build();
        let pipeline = Owned(gst::Pipeline::new());
        pipeline.0.add_many([&file, sink.upcast_ref()]).map_err(|error| wrong(&error))?;
        let unknown = Arc::<Mutex<Option<String>>>::default();
        let demux = match container {
            Container::Mp4 => "qtdemux",
            Container::Matroska => "matroskademux",
            Container::Avi => "avidemux",
            Container::Raw(codec) => {
                let (parse, out) = parser(coding(codec));
                let parse = make(parse.ok_or_else(|| wrong(&"no parser"))?)?;
                pipeline.0.add(&parse).map_err(|error| wrong(&error))?;
                sink.set_caps(Some(&out.parse().map_err(|error: gst::glib::BoolError| wrong(&error))?));
                gst::Element::link_many([&file, &parse, sink.upcast_ref()]).map_err(|error| wrong(&error))?;
                ""
            }
        };
        if !demux.is_empty() {
            let demux = make(demux)?;
            pipeline.0.add(&demux).map_err(|error| wrong(&error))?;
            file.link(&demux).map_err(|error| wrong(&error))?;
            attach_first_video(&demux, &pipeline.0, &sink, &unknown);
        }
        let bus = pipeline.0.bus().ok_or_else(|| wrong(&"no bus"))?;
        // An element that cannot start says why on the bus, where reading finds it.
        let _said_on_the_bus = pipeline.0.set_state(gst::State::Playing);
        Ok(Self { path: path.to_owned(), sink, bus, unknown, ended: false, _pipeline: pipeline })
    }

    pub(crate) fn next(&mut self) -> Option<Result<Sample, Error>> {
        if self.ended {
            return None;
        }
        let mut waited = gst::ClockTime::ZERO;
        let beat = gst::ClockTime::from_mseconds(100);
        loop {
            if let Some(sample) = self.sink.try_pull_sample(beat) {
                return Some(self.sample(&sample));
            }
            let end_of_track = self.sink.is_eos();
            let unknown = self.unknown.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
            let reason = match (unknown, complaint(&self.bus)) {
                (Some(offered), _) => format!("holds {offered}, which is not read here: convert it to H.264"),
                (None, Some(reason)) => reason,
                (None, None) if end_of_track => {
                    self.ended = true;
                    return None;
                }
                (None, None) if waited >= PATIENCE => "gives nothing to read".to_owned(),
                (None, None) => {
                    waited += beat;
                    continue;
                }
            };
            self.ended = true;
            return Some(Err(Error::Footage { path: self.path.clone(), reason }));
        }
    }

    fn sample(&mut self, sample: &gst::Sample) -> Result<Sample, Error> {
        let damaged = |reason: &str| Error::Footage { path: self.path.clone(), reason: reason.to_owned() };
        let caps = sample.caps_owned();
        let coding =
            caps.as_ref().and_then(|caps| coding_of(caps)).ok_or_else(|| damaged("changes its encoding"))?;
        let buffer = sample.buffer().ok_or_else(|| damaged("holds an empty picture"))?;
        let map = buffer.map_readable().map_err(|_| damaged("holds a picture that cannot be read"))?;
        // AVI has times of decoding only, and no reordering.
        let pts = buffer.pts().or(buffer.dts()).map(|pts| Duration::from_nanos(pts.nseconds()));
        Ok(Sample { coding, pts, data: Bytes::copy_from_slice(&map), caps })
    }
}

fn coding(codec: Codec) -> Coding {
    match codec {
        Codec::H264 => Coding::H264,
        Codec::H265 => Coding::H265,
        Codec::Mjpeg => Coding::Mjpeg,
    }
}

fn parser(coding: Coding) -> (Option<&'static str>, &'static str) {
    match coding {
        Coding::H264 => (Some("h264parse"), "video/x-h264,stream-format=byte-stream,alignment=au"),
        Coding::H265 => (Some("h265parse"), "video/x-h265,stream-format=byte-stream,alignment=au"),
        Coding::Mjpeg => (Some("jpegparse"), "image/jpeg"),
        Coding::Mpeg4 => (None, "video/mpeg,mpegversion=4"),
        Coding::MsMpeg4 => (None, "video/x-divx,divxversion=3"),
    }
}

fn coding_of(caps: &gst::CapsRef) -> Option<Coding> {
    let structure = caps.structure(0)?;
    match structure.name().as_str() {
        "video/x-h264" => Some(Coding::H264),
        "video/x-h265" => Some(Coding::H265),
        "image/jpeg" => Some(Coding::Mjpeg),
        "video/mpeg" => (structure.get::<i32>("mpegversion") == Ok(4)).then_some(Coding::Mpeg4),
        "video/x-divx" => (structure.get::<i32>("divxversion") == Ok(3)).then_some(Coding::MsMpeg4),
        _ => None,
    }
}

fn attach_first_video(
    demux: &gst::Element,
    pipeline: &gst::Pipeline,
    sink: &gst_app::AppSink,
    unknown: &Arc<Mutex<Option<String>>>,
) {
    let (pipeline, sink, unknown) = (pipeline.downgrade(), sink.clone(), Arc::clone(unknown));
    demux.connect_pad_added(move |_, pad| {
        let Some(pipeline) = pipeline.upgrade() else { return };
        let caps = pad.current_caps().unwrap_or_else(|| pad.query_caps(None));
        let name = caps.structure(0).map_or_else(String::new, |s| s.name().to_string());
        let entrance = sink.static_pad("sink");
        if !(name.starts_with("video/") || name.starts_with("image/"))
            || entrance.is_none_or(|pad| pad.is_linked())
        {
            return;
        }
        let attached = coding_of(&caps).and_then(|coding| attach(&pipeline, pad, &sink, coding));
        if attached.is_none() {
            unknown.lock().unwrap_or_else(std::sync::PoisonError::into_inner).get_or_insert(name);
        }
    });
}

fn attach(pipeline: &gst::Pipeline, pad: &gst::Pad, sink: &gst_app::AppSink, coding: Coding) -> Option<()> {
    let (parse, out) = parser(coding);
    sink.set_caps(Some(&out.parse().ok()?));
    let Some(parse) = parse else {
        return pad.link(&sink.static_pad("sink")?).ok().map(|_| ());
    };
    let parse = make(parse).ok()?;
    set(&parse, &[("config-interval", "-1")]);
    pipeline.add(&parse).ok()?;
    parse.link(sink).ok()?;
    parse.sync_state_with_parent().ok()?;
    pad.link(&parse.static_pad("sink")?).ok().map(|_| ())
}
