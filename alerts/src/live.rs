//! Pictures of this moment, while somebody looks: what is open, for how long, and one picture for all who look at the same.
//!
//! An *opening* is what one account opened of one alert: it has its register entry (`evidence/live.rs`) and lives while it is
//! asked for, five minutes at most. Pictures are kept for a second in memory, so that many consoles cost a camera's node no
//! more than one, and nowhere else. Who may open what, and for how long, is decided in [`window`].

mod opening;
pub(crate) mod window;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use prost::Message as _;
use xueliang_base::time::{Mono, SharedClock, Wall};
use xueliang_proto::v1::{self, PictureRefusal};

use self::opening::Openings;
pub(crate) use self::opening::{NEXT, Opened};
use crate::explain::NoPicture;

/// A picture is given to all who ask within this time of its making.
const FRESH: Duration = Duration::from_secs(1);
/// Different pictures of one camera that may be made in turn: one for each alert that is looked at.
const VIEWS: usize = 4;
/// What nobody asked for in this time is forgotten.
const KEPT: Duration = Duration::from_secs(10);
/// Bytes of a picture: those of 640 pixels take some dozens of kB.
const MAX_BYTES: usize = 1 << 20;

/// A redacted picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Picture {
    /// The file.
    pub(crate) jpeg: Bytes,
    /// Its arrival at the node.
    pub(crate) arrived: Wall,
    /// How old it was when the bus got it.
    age: Duration,
    /// When that was.
    got: Mono,
}

impl Picture {
    /// How old it is.
    pub(crate) fn age(&self, now: Mono) -> Duration {
        self.age + now.since(self.got)
    }
}

type Told = Result<Picture, NoPicture>;

/// One picture for all who look at the same. Whoever asks while it is made waits for it.
#[derive(Default)]
struct Shared {
    told: tokio::sync::Mutex<Option<(Mono, Told)>>,
    asked: Mutex<Mono>,
}

/// What has been given since the start.
#[derive(Debug, Default)]
pub struct LiveCounts {
    /// Openings.
    pub opened: AtomicU64,
    /// Pictures given.
    pub given: AtomicU64,
    /// Of them, those that somebody else had asked for.
    pub shared: AtomicU64,
    /// Calls that gave none, whatever the reason.
    pub refused: AtomicU64,
}

impl LiveCounts {
    fn add(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// A camera, and what may be shown of it.
type View = (String, Vec<u8>);

/// What is looked at now.
pub(crate) struct Live {
    clock: SharedClock,
    openings: Mutex<Openings>,
    shared: Mutex<BTreeMap<View, Arc<Shared>>>,
    counts: LiveCounts,
}

impl Live {
    /// Nobody looks.
    pub(crate) fn new(clock: SharedClock) -> Self {
        Self { clock, openings: Mutex::default(), shared: Mutex::default(), counts: LiveCounts::default() }
    }
    pub(crate) fn counts(&self) -> &LiveCounts {
        &self.counts
    }
    pub(crate) fn openings(&self) -> MutexGuard<'_, Openings> {
        self.openings.lock().expect("no code panics while it holds this lock")
    }
    /// Counts what became of a call.
    pub(crate) fn count(&self, opened: bool, given: bool) {
        LiveCounts::add(if given { &self.counts.given } else { &self.counts.refused });
        if opened && given {
            LiveCounts::add(&self.counts.opened);
        }
    }

    /// The picture that a question asks for: one that is fresh, the one that is being made, or a new one.
    pub(crate) async fn picture<F>(
        &self,
        question: &v1::PictureQuestion,
        ask: impl FnOnce(v1::PictureQuestion) -> F,
    ) -> Told
    where
        F: Future<Output = Result<v1::AnswerPictureRequest, NoPicture>>,
    {
        let shared = self.shared_by(question)?;
        let mut told = shared.told.lock().await;
        let fresh = |at: Mono| self.clock.mono().since(at) < FRESH;
        if let Some((_, told)) = told.as_ref().filter(|(at, _)| fresh(*at)) {
            LiveCounts::add(&self.counts.shared);
            return told.clone();
        }
        let answer = ask(question.clone()).await;
        let got = self.clock.mono();
        let new = answer.and_then(|answer| picture_of(answer, got));
        *told = Some((got, new.clone()));
        new
    }
    fn shared_by(&self, question: &v1::PictureQuestion) -> Result<Arc<Shared>, NoPicture> {
        let now = self.clock.mono();
        let key = (question.camera_id.clone(), question.encode_to_vec());
        let mut all = self.shared.lock().expect("no code panics while it holds this lock");
        all.retain(|_, one| now.since(one.asked()) < KEPT || Arc::strong_count(one) > 1);
        let views = all.keys().filter(|(camera, _)| *camera == question.camera_id).count();
        if views >= VIEWS && !all.contains_key(&key) {
            return Err(NoPicture::new(
                PictureRefusal::Busy,
                format!("{VIEWS} alerts of this camera are looked at: close one of them"),
            ));
        }
        let shared = Arc::clone(all.entry(key).or_default());
        *shared.lock_asked() = now;
        Ok(shared)
    }
}

impl Shared {
    fn lock_asked(&self) -> MutexGuard<'_, Mono> {
        self.asked.lock().expect("no code panics while it holds this lock")
    }
    fn asked(&self) -> Mono {
        *self.lock_asked()
    }
}

/// What a node answered, where it can be given.
fn picture_of(answer: v1::AnswerPictureRequest, got: Mono) -> Told {
    if answer.jpeg.is_empty() || answer.jpeg.len() > MAX_BYTES {
        let bytes = answer.jpeg.len();
        let message = format!("the node gave {bytes} bytes instead of a picture: see its log");
        return Err(NoPicture::new(PictureRefusal::Undecodable, message));
    }
    let age = Duration::from_micros(answer.age_us);
    Ok(Picture { jpeg: answer.jpeg, arrived: Wall(answer.arrived_unix_us), age, got })
}

#[cfg(test)]
mod tests;
