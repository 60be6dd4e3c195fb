//! From packets to access units: `depay ! parse ! appsink`, built when rtspsrc shows the stream.

use std::sync::Arc;

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;
use xueliang_base::unit::Codec;

use super::{
    super::{make, set},
    Finding,
    sender::Times,
};
use crate::{
    Error,
    nal::{Completed, Keyframes},
    session::{Delivery, RawUnit, SessionError},
};

/// By the name in the stream's description (RFC 3551, 6184, 7798).
pub(super) fn codec_of(encoding: &str) -> Option<Codec> {
    match encoding {
        "H264" => Some(Codec::H264),
        "H265" => Some(Codec::H265),
        "JPEG" => Some(Codec::Mjpeg),
        _ => None,
    }
}

/// Builds the chain when the stream's pad appears. That happens on a streaming thread; what fails there is told to
/// the session's thread.
pub(super) fn on_pad(
    source: &gst::Element,
    pipeline: &gst::Pipeline,
    delivery: &Arc<Delivery>,
    finding: &Arc<Finding>,
    times: &Times,
) {
    let (delivery, finding, times) = (Arc::clone(delivery), Arc::clone(finding), times.clone());
    let pipeline = pipeline.downgrade();
    source.connect_pad_added(move |_, pad| {
        let Some(pipeline) = pipeline.upgrade() else { return };
        if let Err(error) = attach(&pipeline, pad, &delivery, &times) {
            finding.say(SessionError::Internal { reason: error.to_string() });
        }
    });
}

fn attach(
    pipeline: &gst::Pipeline,
    pad: &gst::Pad,
    delivery: &Arc<Delivery>,
    times: &Times,
) -> Result<(), Error> {
    let wrong = |reason: &dyn std::fmt::Display| Error::Media {
        doing: "attach a stream",
        reason: reason.to_string(),
    };
    let caps = pad.current_caps().unwrap_or_else(|| pad.query_caps(None));
    let encoding = caps.structure(0).and_then(|s| s.get::<&str>("encoding-name").ok()).unwrap_or_default();
    let codec = codec_of(encoding).ok_or_else(|| wrong(&format!("{encoding:?} was not asked for")))?;
    let (depay, parse, out) = match codec {
        Codec::H264 => ("rtph264depay", "h264parse", "video/x-h264,stream-format=byte-stream,alignment=au"),
        Codec::H265 => ("rtph265depay", "h265parse", "video/x-h265,stream-format=byte-stream,alignment=au"),
        Codec::Mjpeg => ("rtpjpegdepay", "jpegparse", "image/jpeg"),
    };
    let (depay, parse) = (make(depay)?, make(parse)?);
    // Parameter sets in band, so that every keyframe can be decoded by itself.
    set(&parse, &[("config-interval", "-1")]);
    let sink = gst_app::AppSink::builder()
        .caps(&out.parse().map_err(|error| wrong(&error))?)
        .sync(false)
        .async_(false)
        .enable_last_sample(false)
        .max_buffers(8)
        .callbacks(callbacks(codec, delivery, times))
        .build();
    let chain = [&depay, &parse, sink.upcast_ref()];
    pipeline.add_many(chain).map_err(|error| wrong(&error))?;
    gst::Element::link_many(chain).map_err(|error| wrong(&error))?;
    let entrance = depay.static_pad("sink").ok_or_else(|| wrong(&"no sink pad"))?;
    times.watch(&entrance);
    for element in chain.iter().rev() {
        element.sync_state_with_parent().map_err(|error| wrong(&error))?;
    }
    pad.link(&entrance).map_err(|error| wrong(&error))?;
    Ok(())
}

fn callbacks(codec: Codec, delivery: &Arc<Delivery>, times: &Times) -> gst_app::AppSinkCallbacks {
    let (delivery, times) = (Arc::clone(delivery), times.clone());
    let mut keyframes = Keyframes::default();
    let mut first = true;
    gst_app::AppSinkCallbacks::builder()
        .new_sample(move |sink| {
            let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
            let Some(buffer) = sample.buffer() else { return Ok(gst::FlowSuccess::Ok) };
            let Ok(map) = buffer.map_readable() else { return Ok(gst::FlowSuccess::Ok) };
            let Completed { keyframe, data, .. } = keyframes.complete(codec, &map);
            let flags = buffer.flags();
            let gap = flags.intersects(gst::BufferFlags::DISCONT | gst::BufferFlags::CORRUPTED);
            let gap = !std::mem::take(&mut first) && gap;
            let pts_us = buffer.pts().and_then(|pts| i64::try_from(pts.useconds()).ok());
            delivery.unit(RawUnit { codec, keyframe, gap, pts_us, camera_time: times.of_this_unit(), data });
            Ok(gst::FlowSuccess::Ok)
        })
        .build()
}
