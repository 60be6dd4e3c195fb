//! What the store keeps of handlers' links and of the photos that come by them. SQL for it stands in `sqlite/cases/links.rs`.

use xueliang_base::{alert::Sha256, id::AlertId, time::Wall};
use xueliang_proto::v1;

use super::{Answer, CaseKey};
use crate::{
    case::{Action, Actor, Case},
    error::Result,
    link::Link,
    reach::Reach,
};

/// Somebody gives a link.
#[derive(Debug, Clone)]
pub struct GiveLink {
    /// For which case.
    pub key: CaseKey,
    /// Who.
    pub actor: Actor,
    /// Until when it counts.
    pub until: Wall,
    /// What is kept of its token.
    pub digest: Sha256,
    /// Only a case of these subtrees; `None`: of the whole town.
    pub within: Option<Vec<Reach>>,
}

/// Something is done by a link.
#[derive(Debug, Clone)]
pub struct ActByLink {
    /// What is kept of its token.
    pub digest: Sha256,
    /// The revision that the handler has seen.
    pub revision: u64,
    /// What.
    pub action: Action,
    /// In words.
    pub note: String,
}

/// A photo that comes.
#[derive(Debug, Clone)]
pub struct NewPhoto {
    /// What is kept of the link's token.
    pub digest: Sha256,
    /// Of its bytes.
    pub sha256: Sha256,
    /// How many.
    pub size_bytes: u64,
    /// Until when it is kept at least.
    pub keep_until: Wall,
}

/// What a link opens.
#[derive(Debug, Clone)]
pub struct Opened {
    /// The link.
    pub link: Link,
    /// Whether it counts.
    pub state: v1::LinkState,
    /// The case as it stands.
    pub case: Case,
    /// The same for its handler, but for what the alert's place is called where there is no alert.
    pub told: v1::HandledCase,
}

/// A photo past what was promised for it, of a case that is over and that nobody holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DuePhoto {
    /// Its number.
    pub id: u64,
    /// The alert of its case; `None`: it was reported by hand.
    pub alert: Option<AlertId>,
    /// Of its bytes.
    pub sha256: Sha256,
    /// How many.
    pub size_bytes: u64,
    /// When it came.
    pub stored: Wall,
    /// Until when it had been promised.
    pub promised: Wall,
}

/// Links and photos. Every write is on disk, and audited in the same transaction, when its answer comes; whether a link counts is
/// decided in it.
pub trait LinkStore {
    /// Gives a link, for the unit that has the case; the one before ends.
    fn give_link(&self, give: GiveLink) -> Answer<(v1::HandlerLink, Case)>;
    /// Ends a link; one that was ended stays as it is.
    fn end_link(&self, link: u64, by: Actor, within: Option<Vec<Reach>>) -> Answer<v1::HandlerLink>;
    /// Links and photos of a case, newest first.
    fn links(&self, key: CaseKey, within: Option<Vec<Reach>>) -> Answer<v1::ListLinksResponse>;
    /// What a token opens; `None`: it is nobody's.
    fn open_link(&self, digest: Sha256) -> Answer<Option<Opened>>;
    /// Keeps when a link was first opened.
    fn note_opened(&self, link: u64) -> Answer<()>;
    /// Acts by a link; proof must have come for the work that is handed back.
    fn act_by_link(&self, act: ActByLink) -> Answer<()>;
    /// Keeps a photo whose bytes are on disk; one that is there stays.
    fn put_photo(&self, photo: NewPhoto) -> Answer<v1::CaseProof>;
    /// A photo of a case, with the case.
    fn photo(
        &self,
        key: CaseKey,
        within: Option<Vec<Reach>>,
        sha256: Sha256,
    ) -> Answer<(v1::CaseProof, Case)>;
    /// Photos past what was promised for them, that may go; of at most so many that are looked at, or one alone.
    fn photos_due(&self, now: Wall, limit: usize, only: Option<u64>) -> Answer<Vec<Result<DuePhoto>>>;
    /// Whether a piece of evidence or another photo has these bytes.
    fn photo_shared(&self, sha256: Sha256, but: u64) -> Answer<bool>;
    /// Marks a photo as deleted and keeps the certificate, together.
    fn certify_photo(&self, photo: DuePhoto, deleted: Wall, proof: v1::DeletionProof) -> Answer<()>;
}
