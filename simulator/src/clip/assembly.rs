//! From NAL units to access units in the order of showing: what H.264 and H.265 have in common.

use bytes::Bytes;

use super::annexb::{nal_units, start_code_of};
use super::order::{Order, places};
use super::{AccessUnit, ParameterSets, Stream};
use crate::error::Error;

/// What a NAL unit means for the bounds of access units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Begins an access unit where the one before has a picture: delimiter, parameter sets, SEI.
    Opens,
    /// The first slice of a picture, which begins an access unit unless the one before has none yet.
    FirstSlice {
        /// A decoder can start with this picture.
        keyframe: bool,
    },
    /// Another slice of a picture.
    Slice,
    /// Belongs to the access unit it stands in.
    Other,
}

/// A codec's syntax, and what it remembers along a stream.
pub(super) trait Syntax: Default {
    /// The part a NAL unit plays.
    fn role(nal: &[u8]) -> Role;
    /// Remembers `nal` if it is a parameter set.
    fn remember(&mut self, nal: &Bytes) -> Result<(), Error>;
    /// Width and height of the keyframe that `nal` is the first slice of, and all parameter sets so far.
    fn entry(&self, nal: &Bytes) -> Result<(u32, u32, ParameterSets), Error>;
    /// The order of the picture that `nal` is the first slice of.
    fn order(&mut self, nal: &Bytes) -> Result<Order, Error>;
}

/// An access unit while it is put together.
struct Open {
    start: usize,
    /// Set once the first slice was met.
    picture: Option<(Order, bool)>,
}

/// Takes a byte stream apart; what stands before its first keyframe is dropped.
pub(super) fn assemble<S: Syntax>(stream: &Bytes) -> Result<Stream, Error> {
    let mut syntax = S::default();
    let mut units = Vec::new();
    let mut orders = Vec::new();
    let mut close = |open: &mut Option<Open>, end: usize| {
        if let Some(Open { start, picture: Some((order, keyframe)) }) = open.take() {
            units.push(AccessUnit { data: stream.slice(start..end), keyframe, shown_at: 0 });
            orders.push(order);
        }
    };
    let mut first = None;
    let mut open: Option<Open> = None;
    for range in nal_units(stream) {
        let start = start_code_of(stream, range.start);
        let nal = stream.slice(range);
        let role = S::role(&nal);
        let has_picture = open.as_ref().is_some_and(|unit| unit.picture.is_some());
        if has_picture && matches!(role, Role::Opens | Role::FirstSlice { .. }) {
            close(&mut open, start);
        }
        syntax.remember(&nal)?;
        let unit = open.get_or_insert(Open { start, picture: None });
        match role {
            Role::FirstSlice { keyframe } => {
                if keyframe && first.is_none() {
                    first = Some(syntax.entry(&nal)?);
                }
                if first.is_some() {
                    unit.picture = Some((syntax.order(&nal)?, keyframe));
                } else {
                    open = None;
                }
            }
            // The rest of a picture that was dropped, or whose beginning is missing.
            Role::Slice if unit.picture.is_none() => open = None,
            Role::Slice | Role::Opens | Role::Other => {}
        }
    }
    close(&mut open, stream.len());
    let (width, height, parameter_sets) = first.ok_or(Error::NoKeyframe)?;
    for (unit, place) in units.iter_mut().zip(places(&orders)) {
        unit.shown_at = place;
    }
    Ok(Stream { width, height, units, parameter_sets })
}
