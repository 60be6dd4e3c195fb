//! `pad ! parse ! capsfilter (size bounds) ! avdec ! pad`.
//!
//! The ends are bare pads instead of appsrc and appsink: pushing a buffer runs parser and decoder on the caller's
//! thread and returns when they are done with it. There is no other thread and no queue, so that "all is decoded"
//! needs no event to come through (parsers and decoders hold serialized events back until their next buffer).

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard},
};

use bytes::Bytes;
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_video as gst_video;
use xueliang_base::{
    picture::Picture,
    time::{CameraTime, Mono, Wall},
};

use super::{make, picture, set};
use crate::decode::{DecodeError, DecodeLimits, Want};

/// Units whose picture has not come out; H.264 and H.265 reorder at most 16.
const MAX_WAITING: usize = 64;
/// Caps of the meta that carries a unit's number through parser and decoder. Presentation times do not serve: the
/// decoder's base class changes those that go back.
const NUMBER: &str = "timestamp/x-xueliang-unit";

/// What can be decoded. The last two occur in recordings only; they have no parser, their caps come from the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coding {
    H264,
    H265,
    Mjpeg,
    Mpeg4,
    MsMpeg4,
}

/// One unit, and what its picture is dated by.
#[derive(Debug, Clone)]
pub(crate) struct Feed {
    pub(crate) seq: u64,
    pub(crate) discontinuity: bool,
    pub(crate) arrival: Mono,
    pub(crate) arrival_wall: Wall,
    pub(crate) camera_time: Option<CameraTime>,
    pub(crate) data: Bytes,
}

#[derive(Debug, Default)]
struct Caught {
    want: Option<Want>,
    info: Option<gst_video::VideoInfo>,
    out: Vec<(gst::Buffer, gst_video::VideoInfo)>,
    /// A size that a parser or decoder announced and that is not allowed.
    too_large: Option<(u32, u32)>,
}

type Catch = Arc<Mutex<Caught>>;

fn lock(catch: &Catch) -> MutexGuard<'_, Caught> {
    catch.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Parser and decoder between two pads.
#[derive(Debug)]
pub(crate) struct Engine {
    pipeline: gst::Pipeline,
    bus: gst::Bus,
    entrance: gst::Pad,
    /// Links hold no reference: it would go away, and the decoder stand unlinked.
    _exit: gst::Pad,
    caught: Catch,
    caps: gst::Caps,
    number: gst::Caps,
    limits: DecodeLimits,
    waiting: VecDeque<Feed>,
    last_seq: u64,
    started: bool,
}

impl Engine {
    /// `caps` says what a parser would: they are needed where there is none (MPEG-4 part 2).
    pub(crate) fn build(
        coding: Coding,
        limits: DecodeLimits,
        caps: Option<gst::Caps>,
    ) -> Result<Self, DecodeError> {
        super::init().map_err(|error| DecodeError::Build(error.to_string()))?;
        Self::try_build(coding, limits, caps).map_err(DecodeError::Build)
    }

    fn try_build(coding: Coding, limits: DecodeLimits, known: Option<gst::Caps>) -> Result<Self, String> {
        let text = |error: &dyn std::fmt::Display| error.to_string();
        let (parse, decode, media, caps) = match coding {
            Coding::H264 => {
                (Some("h264parse"), "avdec_h264", "video/x-h264", ",stream-format=byte-stream,alignment=au")
            }
            Coding::H265 => {
                (Some("h265parse"), "avdec_h265", "video/x-h265", ",stream-format=byte-stream,alignment=au")
            }
            Coding::Mjpeg => (Some("jpegparse"), "avdec_mjpeg", "image/jpeg", ""),
            Coding::Mpeg4 => (None, "avdec_mpeg4", "video/mpeg", ",mpegversion=4,systemstream=false"),
            Coding::MsMpeg4 => (None, "avdec_msmpeg4", "video/x-divx", ",divxversion=3"),
        };
        let caps = match known {
            Some(known) => known,
            None => format!("{media}{caps}").parse().map_err(|e: gst::glib::BoolError| text(&e))?,
        };
        let parse = parse.map(make).transpose().map_err(|e| text(&e))?;
        let (filter, decode) =
            (make("capsfilter").map_err(|e| text(&e))?, make(decode).map_err(|e| text(&e))?);
        let (w, h) = (limits.max_width.next_multiple_of(16), limits.max_height.next_multiple_of(16));
        let bound = format!("{media},width=[1,{w}],height=[1,{h}]");
        filter.set_property("caps", bound.parse::<gst::Caps>().map_err(|e| text(&e))?);
        set(
            &decode,
            &[
                ("max-threads", "1"),
                ("output-corrupt", "false"),
                ("discard-corrupted-frames", "true"),
                // "auto" is strict outside live pipelines, and strict holds back up to 16 pictures.
                ("std-compliance", "normal"),
                ("qos", "false"),
            ],
        );
        let pipeline = gst::Pipeline::new();
        let chain: Vec<_> = parse.iter().chain([&filter, &decode]).collect();
        pipeline.add_many(&chain).map_err(|e| text(&e))?;
        gst::Element::link_many(&chain).map_err(|e| text(&e))?;
        let caught = Catch::default();
        let (first, last) = (chain[0].static_pad("sink"), decode.static_pad("src"));
        let (first, last) = first.zip(last).ok_or("a decoder without pads")?;
        if let Some(parse) = &parse {
            watch_size(parse, limits, &caught);
        } else {
            note_size(&caps, limits, &caught);
        }
        let entrance = gst::Pad::new(gst::PadDirection::Src);
        let exit = exit(limits, &caught);
        entrance.link(&first).map_err(|e| text(&e))?;
        last.link(&exit).map_err(|e| text(&e))?;
        exit.set_active(true).map_err(|e| text(&e))?;
        pipeline.set_state(gst::State::Playing).map_err(|e| text(&e))?;
        entrance.set_active(true).map_err(|e| text(&e))?;
        let bus = pipeline.bus().ok_or("a pipeline without a bus")?;
        Ok(Self {
            pipeline,
            bus,
            entrance,
            _exit: exit,
            caught,
            caps,
            number: gst::Caps::new_empty_simple(NUMBER),
            limits,
            waiting: VecDeque::new(),
            last_seq: 0,
            started: false,
        })
    }

    /// Which pictures to keep from now on; those kept so far are dropped.
    pub(crate) fn want(&self, want: Want) {
        let mut caught = lock(&self.caught);
        caught.want = Some(want);
        caught.out.clear();
    }

    /// Parses and decodes one unit.
    pub(crate) fn feed(&mut self, feed: &Feed) -> Result<(), DecodeError> {
        self.start();
        let mut buffer = gst::Buffer::from_slice(feed.data.clone());
        {
            let buffer = buffer.get_mut().expect("a buffer just made has one owner");
            let number = gst::ClockTime::from_nseconds(feed.seq);
            gst::ReferenceTimestampMeta::add(buffer, &self.number, number, gst::ClockTime::NONE);
            if feed.discontinuity {
                buffer.set_flags(gst::BufferFlags::DISCONT);
            }
        }
        if self.waiting.len() >= MAX_WAITING {
            self.waiting.pop_front();
        }
        self.last_seq = feed.seq;
        self.waiting.push_back(Feed { data: Bytes::new(), ..feed.clone() });
        let pushed = self.entrance.push(buffer);
        if let Some((width, height)) = lock(&self.caught).too_large {
            return Err(DecodeError::TooLarge { width, height, limits: self.limits });
        }
        match pushed {
            Ok(_) => Ok(()),
            Err(flow) => {
                Err(self.undecodable(self.said().unwrap_or_else(|| format!("the decoder stops ({flow:?})"))))
            }
        }
    }

    /// Lets the decoder give out what it holds back. Then [`Engine::flush`] before the next unit.
    pub(crate) fn finish(&self) {
        if self.started {
            self.entrance.push_event(gst::event::Eos::new());
        }
    }

    /// Forgets everything; the next unit is a first one.
    pub(crate) fn flush(&mut self) {
        if self.started {
            self.entrance.push_event(gst::event::FlushStart::new());
            self.entrance.push_event(gst::event::FlushStop::new(true));
            self.started = false;
        }
        self.waiting.clear();
        let mut caught = lock(&self.caught);
        caught.out.clear();
        caught.too_large = None;
        drop(caught);
        while self.bus.pop().is_some() {}
    }

    /// Takes the pictures that came out.
    pub(crate) fn collect(&mut self) -> Result<Vec<Picture>, DecodeError> {
        let out = std::mem::take(&mut lock(&self.caught).out);
        let mut pictures = Vec::with_capacity(out.len());
        for (buffer, info) in out {
            let number = buffer
                .iter_meta::<gst::ReferenceTimestampMeta>()
                .find(|meta| meta.reference().is_strictly_equal(&self.number))
                .map(|meta| meta.timestamp().nseconds());
            let from = self.waiting.iter().position(|feed| Some(feed.seq) == number);
            let from = from.and_then(|at| self.waiting.remove(at));
            let Some(from) = from else {
                return Err(self.undecodable("a picture came out that belongs to no unit".to_owned()));
            };
            pictures.push(picture::of(buffer, &info, &from).map_err(|reason| self.undecodable(reason))?);
        }
        // Without B-frames the newest picture is the newest unit's: nothing before it is still to come.
        Ok(pictures)
    }

    /// What the elements complained of last.
    pub(crate) fn said(&self) -> Option<String> {
        let mut said = None;
        while let Some(message) = self.bus.pop_filtered(&[gst::MessageType::Error, gst::MessageType::Warning])
        {
            match message.view() {
                gst::MessageView::Error(error) => said = Some(error.error().message().to_owned()),
                gst::MessageView::Warning(warning) => said = Some(warning.error().message().to_owned()),
                _ => {}
            }
        }
        said
    }

    fn undecodable(&self, reason: String) -> DecodeError {
        DecodeError::Undecodable { seq: self.last_seq, reason }
    }

    fn start(&mut self) {
        if self.started {
            return;
        }
        self.entrance.push_event(gst::event::StreamStart::new("units"));
        self.entrance.push_event(gst::event::Caps::new(&self.caps));
        let segment = gst::FormattedSegment::<gst::ClockTime>::new();
        self.entrance.push_event(gst::event::Segment::new(&segment));
        self.started = true;
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let _best_effort = self.pipeline.set_state(gst::State::Null);
    }
}

/// Notes sizes that the caps filter behind the parser is about to refuse.
fn watch_size(parse: &gst::Element, limits: DecodeLimits, catch: &Catch) {
    let Some(pad) = parse.static_pad("src") else { return };
    let catch = Arc::clone(catch);
    pad.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, move |_, info| {
        if let Some(gst::PadProbeData::Event(event)) = &info.data
            && let gst::EventView::Caps(caps) = event.view()
        {
            note_size(caps.caps(), limits, &catch);
        }
        gst::PadProbeReturn::Ok
    });
}

fn note_size(caps: &gst::CapsRef, limits: DecodeLimits, catch: &Catch) -> bool {
    let size =
        caps.structure(0).and_then(|s| Some((s.get::<i32>("width").ok()?, s.get::<i32>("height").ok()?)));
    let Some((width, height)) = size else { return true };
    let (width, height) = (u32::try_from(width).unwrap_or(0), u32::try_from(height).unwrap_or(0));
    let allowed = limits.allow(width, height);
    if !allowed {
        lock(catch).too_large = Some((width, height));
    }
    allowed
}

/// The pad that pictures come out at.
fn exit(limits: DecodeLimits, catch: &Catch) -> gst::Pad {
    let (for_buffers, for_events) = (Arc::clone(catch), Arc::clone(catch));
    gst::Pad::builder(gst::PadDirection::Sink)
        .chain_function(move |_, _, buffer| {
            let mut caught = lock(&for_buffers);
            let Some(info) = caught.info.clone() else { return Err(gst::FlowError::NotNegotiated) };
            if caught.want != Some(Want::All) {
                caught.out.clear();
            }
            caught.out.push((buffer, info));
            Ok(gst::FlowSuccess::Ok)
        })
        .event_function(move |_, _, event| match event.view() {
            gst::EventView::Caps(caps) => {
                let allowed = note_size(caps.caps(), limits, &for_events);
                let info = gst_video::VideoInfo::from_caps(caps.caps()).ok();
                let known = info.is_some();
                lock(&for_events).info = info;
                allowed && known
            }
            _ => true,
        })
        .query_function(|pad, parent, query| match query.view_mut() {
            gst::QueryViewMut::Allocation(allocation) => {
                // Lets the decoder hand out its own padded planes instead of copies.
                allocation.add_allocation_meta::<gst_video::VideoMeta>(None);
                true
            }
            // By default a pad accepts nothing but the caps it has already.
            gst::QueryViewMut::AcceptCaps(accept) => {
                accept.set_result(true);
                true
            }
            gst::QueryViewMut::Caps(caps) => {
                let all = caps.filter_owned().unwrap_or_else(gst::Caps::new_any);
                caps.set_result(&all);
                true
            }
            _ => gst::Pad::query_default(pad, parent, query),
        })
        .build()
}
