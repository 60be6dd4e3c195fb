//! Which picture a session sends next, and when.
//!
//! A camera has one live timeline: picture `n` of any clip leaves at `epoch + n / rate`, and shows what the camera saw
//! at that moment, or earlier where the encoder reorders pictures. So all sessions are at the same place without
//! sharing a task. A session enters a timeline, or changes from one to another, only at a keyframe that shows a later
//! moment than everything it was sent; pictures that would be shown after that keyframe are left out before it.

use std::sync::Arc;

use tokio::time::Instant;

use crate::clip::Clip;

/// What a camera shows.
#[derive(Debug, Clone)]
pub(crate) struct Scene {
    pub(crate) clip: Arc<Clip>,
    /// Since when the picture stands still.
    pub(crate) frozen_since: Option<Instant>,
}

impl Scene {
    fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.clip, &other.clip) && self.frozen_since == other.frozen_since
    }
}

/// A picture to send.
#[derive(Debug, Clone)]
pub(crate) struct Due {
    /// When.
    pub(crate) at: Instant,
    pub(crate) clip: Arc<Clip>,
    /// Which access unit of the clip.
    pub(crate) unit: usize,
    /// The moment it shows, in ticks of the RTP clock since the epoch; before it for the first of a reordered stream.
    pub(crate) ticks: i64,
    number: u64,
}

impl Due {
    /// Which picture since the epoch, in decoding order.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }
}

/// A scene seen as pictures over time.
#[derive(Debug, Clone)]
struct Timeline {
    epoch: Instant,
    scene: Scene,
    /// The keyframe that is repeated, where the picture stands still.
    still: Option<usize>,
}

impl Timeline {
    fn new(epoch: Instant, scene: Scene) -> Self {
        let still = scene.frozen_since.map(|since| {
            let units = scene.clip.units();
            let elapsed = since.saturating_duration_since(epoch);
            let shown = scene.clip.rate().first_from(elapsed) % units.len() as u64;
            units[..=shown as usize].iter().rposition(|unit| unit.keyframe).unwrap_or(0)
        });
        Self { epoch, scene, still }
    }

    fn picture(&self, number: u64) -> Due {
        let clip = &self.scene.clip;
        let count = clip.units().len() as u64;
        let (unit, shown) = match self.still {
            Some(still) => (still, number as i64),
            None => {
                let unit = (number % count) as usize;
                let turn_start = (number - number % count) as i64;
                let shown = turn_start + i64::from(clip.units()[unit].shown_at);
                (unit, shown - i64::from(clip.pictures_ahead()))
            }
        };
        let at = self.epoch + clip.rate().time_of(number);
        Due { at, clip: Arc::clone(clip), unit, ticks: clip.rate().ticks_of(shown), number }
    }

    /// The first keyframe due at or after `now` that shows a moment after `shown_until`.
    fn entry(&self, now: Instant, shown_until: i64) -> Due {
        let clip = &self.scene.clip;
        let mut number = clip.rate().first_from(now.saturating_duration_since(self.epoch));
        // A clip begins with a keyframe, so this ends within a turn after `shown_until`.
        loop {
            let unit = self.still.unwrap_or((number % clip.units().len() as u64) as usize);
            if clip.units()[unit].keyframe {
                let picture = self.picture(number);
                if picture.ticks > shown_until {
                    return picture;
                }
            }
            number += 1;
        }
    }
}

/// One session's way along its camera's timelines.
#[derive(Debug)]
pub(crate) struct Feed {
    timeline: Timeline,
    /// Where to go from here, and the picture to begin with.
    change: Option<(Timeline, Due)>,
    next: Due,
    shown_until: i64,
}

impl Feed {
    /// A feed of `scene` from its next keyframe on.
    pub(crate) fn new(epoch: Instant, scene: Scene, now: Instant) -> Self {
        let timeline = Timeline::new(epoch, scene);
        let next = timeline.entry(now, i64::MIN);
        Self { timeline, change: None, next, shown_until: i64::MIN }
    }

    /// Begins no sooner than then.
    pub(crate) fn not_before(&mut self, begin: Instant) {
        self.next = self.timeline.entry(begin, self.shown_until);
    }

    /// The picture to send next.
    pub(crate) fn next(&self) -> &Due {
        &self.next
    }

    /// The next picture was sent.
    pub(crate) fn advance(&mut self) {
        self.shown_until = self.shown_until.max(self.next.ticks);
        self.next = self.timeline.picture(self.next.number + 1);
        self.change_if_time();
    }

    /// Goes over to `scene` at its next keyframe.
    pub(crate) fn show(&mut self, scene: &Scene, now: Instant) {
        let heading_for = self.change.as_ref().map_or(&self.timeline, |(timeline, _)| timeline);
        if heading_for.scene.is(scene) {
            return;
        }
        if self.timeline.scene.is(scene) {
            // Back before the change took place.
            self.change = None;
            return;
        }
        let timeline = Timeline::new(self.timeline.epoch, scene.clone());
        let entry = timeline.entry(now, self.shown_until);
        self.change = Some((timeline, entry));
        self.change_if_time();
    }

    /// Leaves out what is late: goes on at the next keyframe.
    pub(crate) fn jump(&mut self, now: Instant) {
        if let Some((timeline, _)) = self.change.take() {
            self.timeline = timeline;
        }
        self.next = self.timeline.entry(now, self.shown_until);
    }

    fn change_if_time(&mut self) {
        let is_time = self
            .change
            .as_ref()
            .is_some_and(|(_, entry)| self.next.at >= entry.at || self.next.ticks >= entry.ticks);
        if is_time && let Some((timeline, entry)) = self.change.take() {
            self.timeline = timeline;
            self.next = entry;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clip::PictureRate;

    /// A clip of 10 pictures a second, one per letter: `I` is a keyframe; `P` is shown after the `B`s that follow it.
    fn clip(pictures: &str) -> Arc<Clip> {
        let pictures = pictures.as_bytes();
        let mut units = Vec::new();
        for (place, picture) in pictures.iter().enumerate() {
            let b_pictures = pictures[place + 1..].iter().take_while(|next| **next == b'B').count();
            let shown_at = if *picture == b'B' { place - 1 } else { place + b_pictures };
            units.push((*picture == b'I', shown_at as u32));
        }
        Clip::of_units(PictureRate::from_hz(10.0).unwrap(), &units)
    }

    fn scene(clip: &Arc<Clip>) -> Scene {
        Scene { clip: Arc::clone(clip), frozen_since: None }
    }

    /// Sends `count` pictures: unit, tenths of a second since the epoch, tenths of a second shown.
    fn send(feed: &mut Feed, epoch: Instant, count: usize) -> Vec<(usize, u128, i64)> {
        (0..count)
            .map(|_| {
                let due = feed.next();
                let sent = (due.unit, (due.at - epoch).as_millis() / 100, due.ticks / 9000);
                feed.advance();
                sent
            })
            .collect()
    }

    #[test]
    fn a_session_begins_with_the_next_keyframe_of_the_shared_timeline() {
        let epoch = Instant::now();
        let clip = clip("IPPIPP");
        let mut feed = Feed::new(epoch, scene(&clip), epoch + Duration::from_millis(710));
        assert_eq!(
            send(&mut feed, epoch, 5),
            [(3, 9, 9), (4, 10, 10), (5, 11, 11), (0, 12, 12), (1, 13, 13)]
        );
    }

    #[test]
    fn reordered_pictures_show_moments_in_the_past_and_each_moment_once() {
        let epoch = Instant::now();
        let clip = clip("IPBBPBB");
        assert_eq!(clip.pictures_ahead(), 2);
        let mut feed = Feed::new(epoch, scene(&clip), epoch + Duration::from_millis(650));
        let sent = send(&mut feed, epoch, 14);
        assert!(sent.iter().all(|&(_, at, shown)| shown <= at as i64));
        let mut shown: Vec<i64> = sent.iter().map(|&(_, _, shown)| shown).collect();
        shown.sort_unstable();
        assert_eq!(shown, (5..19).collect::<Vec<_>>());
    }

    #[test]
    fn a_change_of_clip_waits_for_its_keyframe_and_shows_nothing_twice() {
        let epoch = Instant::now();
        let (plain, reordered) = (clip("IPPPP"), clip("IPBBPBBPBB"));
        for (from, to) in [(&plain, &reordered), (&reordered, &plain), (&reordered, &clip("IPBB"))] {
            for before in 1..25 {
                let mut feed = Feed::new(epoch, scene(from), epoch);
                let mut sent = send(&mut feed, epoch, before);
                let now = epoch + Duration::from_millis(100 * sent[before - 1].1 as u64 + 1);
                feed.show(&scene(to), now);
                for _ in 0..30 {
                    if !Arc::ptr_eq(&feed.next().clip, to) {
                        sent.extend(send(&mut feed, epoch, 1));
                    }
                }
                let shown_before = sent.iter().map(|&(_, _, shown)| shown).max().unwrap();
                let entry = feed.next().clone();
                assert!(to.units()[entry.unit].keyframe);
                assert!(Arc::ptr_eq(&entry.clip, to), "after {before}: the change never came");
                assert!(entry.ticks / 9000 > shown_before, "after {before}: time went back");
                assert!(
                    entry.ticks / 9000 <= shown_before + 3,
                    "after {before}: more than a reordering is missing"
                );
            }
        }
    }

    #[test]
    fn a_frozen_picture_is_its_keyframe_again_with_time_going_on() {
        let epoch = Instant::now();
        let clip = clip("IPPIPP");
        let mut feed = Feed::new(epoch, scene(&clip), epoch);
        send(&mut feed, epoch, 5);
        let now = epoch + Duration::from_millis(450);
        let frozen = Scene { frozen_since: Some(now), ..scene(&clip) };
        feed.show(&frozen, now);
        assert_eq!(send(&mut feed, epoch, 3), [(3, 5, 5), (3, 6, 6), (3, 7, 7)]);
        // A client that comes later sees the same, at once.
        let mut late = Feed::new(epoch, frozen, epoch + Duration::from_millis(750));
        assert_eq!(send(&mut late, epoch, 2), [(3, 8, 8), (3, 9, 9)]);
        feed.show(&scene(&clip), epoch + Duration::from_millis(750));
        assert_eq!(send(&mut feed, epoch, 3), [(3, 8, 8), (3, 9, 9), (4, 10, 10)]);
    }

    #[test]
    fn a_change_taken_back_in_time_changes_nothing() {
        let epoch = Instant::now();
        let (clip, other) = (clip("IPPPP"), clip("IPPPP"));
        let mut feed = Feed::new(epoch, scene(&clip), epoch);
        send(&mut feed, epoch, 2);
        let now = epoch + Duration::from_millis(150);
        feed.show(&scene(&other), now);
        feed.show(&scene(&clip), now);
        assert_eq!(send(&mut feed, epoch, 4), [(2, 2, 2), (3, 3, 3), (4, 4, 4), (0, 5, 5)]);
        assert!(Arc::ptr_eq(&feed.next().clip, &clip));
    }

    #[test]
    fn a_late_session_goes_on_at_a_keyframe() {
        let epoch = Instant::now();
        let clip = clip("IPPIPP");
        let mut feed = Feed::new(epoch, scene(&clip), epoch);
        send(&mut feed, epoch, 2);
        feed.jump(epoch + Duration::from_millis(610));
        assert_eq!(send(&mut feed, epoch, 1), [(3, 9, 9)]);
    }
}
