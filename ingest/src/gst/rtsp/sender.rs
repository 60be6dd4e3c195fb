//! Listens to RTCP sender reports and to the RTP time of packets: what [`SenderReports`] dates units by.

use std::sync::{Arc, Mutex, MutexGuard};

use gstreamer as gst;
use gstreamer::prelude::*;
use xueliang_base::time::{CameraTime, SharedClock};

use crate::session::SenderReports;

#[derive(Debug, Default)]
struct State {
    /// Of the newest packet.
    rtp: Option<u32>,
    reports: SenderReports,
}

/// What is known of a stream's times. Clones share it.
#[derive(Clone)]
pub(super) struct Times {
    state: Arc<Mutex<State>>,
    clock: SharedClock,
}

/// Listens to the sender reports of the session.
pub(super) fn listen(source: &gst::Element, clock: &SharedClock) -> Times {
    let times = Times { state: Arc::default(), clock: Arc::clone(clock) };
    let for_buffers = times.clone();
    source.connect("new-manager", false, move |values| {
        let manager = values.get(1)?.get::<gst::Element>().ok()?;
        let times = for_buffers.clone();
        manager.connect("new-jitterbuffer", false, move |values| {
            let jitter = values.get(1)?.get::<gst::Element>().ok()?;
            let times = times.clone();
            jitter.connect("handle-sync", false, move |values| {
                let sync = values.get(1)?.get::<gst::Structure>().ok()?;
                let clock_hz = sync.get::<u32>("clock-rate").ok()?;
                let report = sync.get::<gst::Buffer>("sr-buffer").ok()?;
                let at = times.clock.mono();
                times.state().reports.note(&report.map_readable().ok()?, clock_hz, at);
                None
            });
            None
        });
        None
    });
    times
}

impl Times {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
    /// Notes the RTP time of every packet that enters the pad.
    pub(super) fn watch(&self, pad: &gst::Pad) {
        let times = self.clone();
        let note = move |buffer: &gst::BufferRef| {
            let mut bytes = [0; 4];
            if buffer.copy_to_slice(4, &mut bytes).is_ok() {
                times.state().rtp = Some(u32::from_be_bytes(bytes));
            }
        };
        pad.add_probe(gst::PadProbeType::BUFFER | gst::PadProbeType::BUFFER_LIST, move |_, info| {
            match &info.data {
                Some(gst::PadProbeData::Buffer(buffer)) => note(buffer),
                Some(gst::PadProbeData::BufferList(list)) => {
                    if let Some(buffer) = list.len().checked_sub(1).and_then(|last| list.get(last)) {
                        note(buffer);
                    }
                }
                _ => {}
            }
            gst::PadProbeReturn::Ok
        });
    }
    /// The camera's time of the unit that is being delivered.
    pub(super) fn of_this_unit(&self) -> Option<CameraTime> {
        let state = self.state();
        state.reports.time_of(state.rtp?, self.clock.mono())
    }
}
