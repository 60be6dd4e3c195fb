//! From RTP payloads to access units: H.264 (RFC 6184, single NAL units, STAP-A, FU-A) and H.265 (RFC 7798, single NAL
//! units, AP, FU), as Annex B byte streams with every NAL unit as it came. Pure. Input is hostile: everything is bounded,
//! nothing panics, and what is damaged is left out and marked as a gap.

use xueliang_base::unit::Codec;

/// No camera's keyframe is so large; whoever sends larger ones gets gaps.
const MAX_UNIT_BYTES: usize = 8 << 20;
/// Room for a unit is kept up to this: it is what all but keyframes need.
const KEPT_BYTES: usize = 16 << 10;
const START_CODE: [u8; 4] = [0, 0, 0, 1];

/// An RTP packet, as far as it matters here.
#[derive(Debug, Clone, Copy)]
pub(super) struct Packet<'a> {
    /// What is behind its headers.
    pub(super) payload: &'a [u8],
    /// Its time since the stream began, in ticks of the stream's clock.
    pub(super) ticks: i64,
    /// The same as it stands in the packet.
    pub(super) rtp: u32,
    /// Marked as the last of its unit.
    pub(super) last: bool,
    /// Packets were lost just before it.
    pub(super) lost: bool,
}

/// An access unit.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unit<'a> {
    /// Annex B byte stream.
    pub(super) data: &'a [u8],
    /// As in [`Packet`].
    pub(super) ticks: i64,
    /// As in [`Packet`].
    pub(super) rtp: u32,
    /// Something was lost or damaged just before it.
    pub(super) gap: bool,
}

/// The payload is not what it should be.
#[derive(Debug)]
struct Damaged;

/// Units of one stream.
#[derive(Debug)]
pub(super) struct Units {
    h265: bool,
    /// The unit that is being put together.
    data: Vec<u8>,
    ticks: i64,
    rtp: u32,
    /// It holds a part of a picture: until then it cannot be a whole unit, wherever the camera sets its marks.
    picture: bool,
    /// Its last NAL unit is not complete.
    fragment: bool,
    /// The rest of the unit with this time is left out.
    left_out: Option<i64>,
    gap: bool,
    /// A unit has been given.
    begun: bool,
    damaged: u32,
}

impl Units {
    pub(super) fn new(codec: Codec) -> Self {
        Self {
            h265: codec == Codec::H265,
            data: Vec::new(),
            ticks: 0,
            rtp: 0,
            picture: false,
            fragment: false,
            left_out: None,
            gap: false,
            begun: false,
            damaged: 0,
        }
    }
    /// Units in a row that were damaged though no packet was lost.
    pub(super) fn damaged(&self) -> u32 {
        self.damaged
    }
    /// A packet is missing.
    pub(super) fn lose(&mut self) {
        let time = (!self.data.is_empty()).then_some(self.ticks);
        self.leave_out(time);
    }
    /// Takes the next packet; gives the units that it completes, two at most.
    pub(super) fn take(&mut self, packet: &Packet<'_>, mut give: impl FnMut(Unit<'_>)) {
        if packet.lost {
            self.lose();
        }
        if self.left_out == Some(packet.ticks) {
            return;
        }
        self.left_out = None;
        if packet.ticks != self.ticks || self.data.is_empty() {
            if self.fragment {
                self.damage(None);
            } else if self.picture {
                // Its mark is missing.
                self.finish(&mut give);
            }
            (self.ticks, self.rtp) = (packet.ticks, packet.rtp);
        }
        let read = if self.h265 { self.h265(packet.payload) } else { self.h264(packet.payload) };
        if read.is_err() || self.data.len() > MAX_UNIT_BYTES || (packet.last && self.fragment) {
            self.damage(Some(packet.ticks));
        } else if packet.last && self.picture {
            self.finish(&mut give);
        }
    }
    fn finish(&mut self, give: &mut impl FnMut(Unit<'_>)) {
        let gap = std::mem::take(&mut self.gap) && self.begun;
        self.begun = true;
        self.damaged = 0;
        give(Unit { data: &self.data, ticks: self.ticks, rtp: self.rtp, gap });
        self.clear();
    }
    fn damage(&mut self, rest: Option<i64>) {
        self.damaged += 1;
        self.leave_out(rest);
    }
    fn leave_out(&mut self, rest: Option<i64>) {
        self.gap = true;
        self.left_out = rest;
        self.clear();
    }
    fn clear(&mut self) {
        (self.picture, self.fragment) = (false, false);
        if self.data.capacity() > KEPT_BYTES {
            self.data = Vec::new();
        } else {
            self.data.clear();
        }
    }

    fn h264(&mut self, payload: &[u8]) -> Result<(), Damaged> {
        let (&header, rest) = payload.split_first().ok_or(Damaged)?;
        // A set first bit says that the sender knows of damage.
        match header & 0x9f {
            1..=23 => self.nal(payload),
            24 => self.aggregated(rest),
            28 => {
                let (&fragment, part) = rest.split_first().ok_or(Damaged)?;
                self.part(&[(header & 0x60) | (fragment & 0x1f)], fragment, part)
            }
            _ => Err(Damaged),
        }
    }
    fn h265(&mut self, payload: &[u8]) -> Result<(), Damaged> {
        let (&[first, second], rest) = payload.split_first_chunk().ok_or(Damaged)?;
        if first & 0x80 != 0 {
            return Err(Damaged);
        }
        match first >> 1 {
            0..=47 => self.nal(payload),
            48 => self.aggregated(rest),
            49 => {
                let (&fragment, part) = rest.split_first().ok_or(Damaged)?;
                self.part(&[(first & 1) | ((fragment & 0x3f) << 1), second], fragment, part)
            }
            _ => Err(Damaged),
        }
    }
    /// Several NAL units, each behind its length.
    fn aggregated(&mut self, mut rest: &[u8]) -> Result<(), Damaged> {
        while !rest.is_empty() {
            let (length, behind) = rest.split_first_chunk().ok_or(Damaged)?;
            let (nal, behind) = behind.split_at_checked(u16::from_be_bytes(*length).into()).ok_or(Damaged)?;
            self.nal(nal)?;
            rest = behind;
        }
        Ok(())
    }
    fn nal(&mut self, nal: &[u8]) -> Result<(), Damaged> {
        if self.fragment {
            return Err(Damaged);
        }
        self.begin(nal)?;
        self.data.extend_from_slice(nal);
        Ok(())
    }
    /// A part of a NAL unit with that header; the fragment's first bit says that it is the first one, the second that it
    /// is the last.
    fn part(&mut self, header: &[u8], fragment: u8, part: &[u8]) -> Result<(), Damaged> {
        let (first, last) = (fragment & 0x80 != 0, fragment & 0x40 != 0);
        if first == self.fragment {
            return Err(Damaged);
        }
        if first {
            let beginning: Vec<u8> = header.iter().chain(part.first()).copied().collect();
            self.begin(&beginning)?;
            self.data.extend_from_slice(header);
        }
        self.data.extend_from_slice(part);
        self.fragment = !last;
        Ok(())
    }
    /// Puts a start code for the NAL unit that begins so.
    fn begin(&mut self, nal: &[u8]) -> Result<(), Damaged> {
        let header = if self.h265 { 2 } else { 1 };
        let first = *nal.first().ok_or(Damaged)?;
        let slice = if self.h265 { first >> 1 < 32 } else { matches!(first & 0x1f, 1..=5) };
        if slice {
            // Its first bit says that it is the first slice of its picture, in H.264 since the first macroblock's number is 0.
            let starts = nal.get(header).ok_or(Damaged)? & 0x80 != 0;
            if !starts && !self.picture {
                return Err(Damaged);
            }
            self.picture = true;
        }
        self.data.extend_from_slice(&START_CODE);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
