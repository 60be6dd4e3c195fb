//! What a model may see: an allow-list of meanings, none of which tells one person from another.

use serde::{Deserialize, Serialize};

use crate::geometry::Rect;

/// What an object is, as far as a hazard rule may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Meaning {
    /// Any person. There is no finer class, by design.
    Person,
    /// Car, bus, lorry.
    Vehicle,
    /// Bicycle, motorcycle, electric bicycle.
    TwoWheeler,
    /// Boat.
    Vessel,
    /// Train, tram.
    Train,
    /// Any animal.
    Animal,
    /// Bag, suitcase, box.
    PortableObject,
    /// Open flame.
    Fire,
    /// Smoke.
    Smoke,
}

impl Meaning {
    /// Every meaning.
    pub const ALL: [Meaning; 9] = [
        Meaning::Person,
        Meaning::Vehicle,
        Meaning::TwoWheeler,
        Meaning::Vessel,
        Meaning::Train,
        Meaning::Animal,
        Meaning::PortableObject,
        Meaning::Fire,
        Meaning::Smoke,
    ];
    /// The word manifests and configurations use.
    pub fn word(self) -> &'static str {
        match self {
            Meaning::Person => "person",
            Meaning::Vehicle => "vehicle",
            Meaning::TwoWheeler => "two_wheeler",
            Meaning::Vessel => "vessel",
            Meaning::Train => "train",
            Meaning::Animal => "animal",
            Meaning::PortableObject => "portable_object",
            Meaning::Fire => "fire",
            Meaning::Smoke => "smoke",
        }
    }
    /// The meaning of a word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|m| m.word() == word)
    }
}

/// One object in one picture. A classifier's tile is a detection whose rectangle is the tile.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Detection {
    /// What it is.
    pub meaning: Meaning,
    /// Model's confidence, 0..=1.
    pub score: f32,
    /// Where it is.
    pub rect: Rect,
}
