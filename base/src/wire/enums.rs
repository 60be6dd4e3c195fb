//! Enumerations, both ways.

use xueliang_proto::v1;

use super::EnumError;
use crate::{
    alert::{EvidenceKind, Stage},
    incident::{MeasureKind, Resolution, ThresholdKind},
    kind::{Class, Kind, Lane, Level},
    look::NotLooked,
};

impl From<Kind> for v1::Kind {
    fn from(kind: Kind) -> Self {
        v1::Kind::try_from(kind.number()).expect("a test holds the table of kinds to the wire's")
    }
}
impl TryFrom<v1::Kind> for Kind {
    type Error = EnumError;
    fn try_from(kind: v1::Kind) -> Result<Self, EnumError> {
        kind_of(kind as i32)
    }
}

/// The kind of a wire number.
pub fn kind_of(number: i32) -> Result<Kind, EnumError> {
    match number {
        0 => Err(EnumError::Unspecified),
        number => Kind::from_number(number).ok_or(EnumError::Newer(number)),
    }
}

/// The level of a wire number.
pub fn level_of(number: i32) -> Result<Level, EnumError> {
    match number {
        0 => Err(EnumError::Unspecified),
        number => {
            let level = u8::try_from(number).ok().and_then(|number| Level::try_from(number).ok());
            level.ok_or(EnumError::Newer(number))
        }
    }
}

impl From<Level> for v1::Level {
    fn from(level: Level) -> Self {
        v1::Level::try_from(i32::from(level.number())).expect("levels are 1 to 4 on both sides")
    }
}

macro_rules! both_ways {
    ($ours:ident, $wire:ident, $reader:ident, $doc:literal, { $($left:ident = $right:ident),* $(,)? } $(not stored: $($other:ident),+)?) => {
        impl From<$ours> for v1::$wire {
            fn from(value: $ours) -> Self {
                match value { $($ours::$left => v1::$wire::$right),* }
            }
        }
        impl TryFrom<v1::$wire> for $ours {
            type Error = EnumError;
            fn try_from(value: v1::$wire) -> Result<Self, EnumError> {
                match value {
                    v1::$wire::Unspecified => Err(EnumError::Unspecified),
                    $(v1::$wire::$right => Ok($ours::$left),)*
                    $($(v1::$wire::$other => Err(EnumError::NotStored(value as i32)),)+)?
                }
            }
        }
        #[doc = $doc]
        pub fn $reader(number: i32) -> Result<$ours, EnumError> {
            v1::$wire::try_from(number).map_err(|_| EnumError::Newer(number))?.try_into()
        }
    };
}

both_ways!(Class, KindClass, class_of, "The class of a wire number.", {
    Event = Event, State = State, Device = Device,
});
both_ways!(Lane, Lane, lane_of, "The lane of a wire number.", {
    Critical = Critical, Major = Major, Minor = Minor,
});
both_ways!(Resolution, Resolution, resolution_of, "The resolution of a wire number.", {
    ObservedAbsence = ObservedAbsence, RuleRemoved = RuleRemoved, DrillOver = DrillOver,
});
both_ways!(MeasureKind, MeasureKind, measure_of, "The measure of a wire number.", {
    Count = Count, DensityPerM2 = DensityPerM2, DwellS = DwellS, CoveredShare = CoveredShare,
    AngleDeg = AngleDeg, MeanLuma = MeanLuma, SilenceS = SilenceS, ViewMatch = ViewMatch,
    UsedShare = UsedShare, DaysLeft = DaysLeft,
});
both_ways!(ThresholdKind, ThresholdKind, threshold_of, "The threshold of a wire number.", {
    Score = Score, DwellS = DwellS, MaxGapS = MaxGapS, ClearS = ClearS, DensityPerM2 = DensityPerM2,
    AngleDeg = AngleDeg, SeenShare = SeenShare, SilenceS = SilenceS, MeanLuma = MeanLuma,
    ViewMatch = ViewMatch, UsedShare = UsedShare,
});
both_ways!(Stage, Stage, stage_of, "The stage of a wire number.", {
    Wait = Wait, Decode = Decode, Infer = Infer, Decide = Decide, Spool = Spool, Hop = Hop,
    Commit = Commit, Held = Held, Deliver = Deliver,
});
both_ways!(EvidenceKind, EvidenceKind, evidence_kind_of, "The kind of evidence of a wire number.", {
    Still = Still, Preview = Preview, Clip = Clip,
} not stored: Proof, Live);
both_ways!(NotLooked, NotLooked, not_looked_of, "The reason of a wire number.", {
    Connecting = Connecting, Offline = Offline, Stalled = Stalled, TooOld = TooOld, Busy = Busy,
    Deadline = Deadline, WorkerLost = WorkerLost, Undecodable = Undecodable, TooLarge = TooLarge,
    ModelFailed = ModelFailed, ViewMoved = ViewMoved, Blind = Blind, Frozen = Frozen,
    ExpectedOff = ExpectedOff, NotDue = NotDue, NotConnected = NotConnected,
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_on_the_wire_under_its_number_and_word() {
        for kind in Kind::all() {
            let wire = v1::Kind::from(kind);
            assert_eq!(wire as i32, kind.number());
            assert_eq!(wire.as_str_name(), format!("KIND_{}", kind.code()));
            assert_eq!(Kind::try_from(wire), Ok(kind));
        }
        // The wire lists no kind that the table lacks.
        let known = (1..10_000).filter(|number| v1::Kind::try_from(*number).is_ok()).count();
        assert_eq!(known, Kind::all().count());
    }

    #[test]
    fn a_number_of_a_later_version_says_so() {
        assert_eq!(kind_of(0), Err(EnumError::Unspecified));
        assert!(kind_of(7777).unwrap_err().to_string().contains("newer than this version"));
        assert!(level_of(9).is_err() && level_of(-1).is_err() && level_of(257).is_err());
    }
}
