//! The paths that stand by: which are connected, what they give, where their sound lies, and what they fill.

use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::lane::Search;
use super::{Conductor, SourceSlot};
use crate::config::FailoverMode;
use crate::media::{PcmBlock, ProgramTime, SAMPLE_RATE};
use crate::program::{Written, align};
use crate::session::{Path, SessionState, Switch};
use crate::source::{SourceEnd, SourceError, SourceEvent};

/// The place of a path is looked for this often until it is found, then this often; after ten vain searches, as often as
/// afterwards.
const SEEK: Duration = Duration::from_secs(2);
const SEEK_AGAIN: Duration = Duration::from_secs(30);
const IN_VAIN: u32 = 10;

/// A place that was found this long ago is not trusted any more: two clocks run apart.
const TRUSTED: Duration = Duration::from_secs(600);

/// What is about to be heard and is not there yet is filled from this far ahead: ten ticks.
const FILL: i64 = SAMPLE_RATE as i64;

/// Nothing is written that is heard within 20 ms.
pub(super) const AT_ONCE: i64 = SAMPLE_RATE as i64 / 50;

/// Silence against sound is looked for in windows of half a second, three in a row.
pub(super) const WINDOW: i64 = SAMPLE_RATE as i64 / 2;
const WINDOWS: usize = 3;
const WINDOWS_MOST: usize = 40;

/// Root mean square below which a path is silent (-60 dBFS), and above which there is sound (-45 dBFS).
pub(super) const SILENT: f32 = 0.001;
const SOUND: f32 = 0.0056;

/// What must be left between a piece's arrival and its turn for nothing to be lost: the time that a frozen path takes to
/// be found out.
pub(super) const SLACK: i64 = SAMPLE_RATE as i64 * 3;

/// Less than this is not worth a hole on the air: 0.3 s.
const SLACK_SPARE: i64 = SAMPLE_RATE as i64 * 3 / 10;

impl Conductor {
    /// Whether paths are laid beside each other, with a delay that loses nothing.
    pub(super) fn is_aligned(&self) -> bool {
        self.handles.failover.mode == FailoverMode::Aligned && self.sources.len() > 1
    }

    /// Whether a source keeps running when another is heard.
    pub(super) fn stays(&self, index: usize) -> bool {
        self.sources[index].is_warm()
    }

    /// Looks after the paths, once a tick; the switch to another one, if it is time for one.
    pub(super) fn watch_paths(&mut self, token: &CancellationToken) -> Option<Switch> {
        if self.sources.len() < 2 || matches!(self.session.state(), SessionState::Between | SessionState::Ended) {
            return None;
        }
        self.seek();
        self.compare();
        self.fill();
        let paths = self.paths();
        let active = self.attempts.index();
        self.keep_connected(&paths, token);
        for (index, path) in paths.iter().enumerate().filter(|(index, _)| *index != active) {
            // What comes after a standstill need not lie where it lay before.
            if path.quiet >= path.patience {
                self.sources[index].lane.reserve.clear();
                self.sources[index].lane.forget_place();
            }
        }
        let now = self.handles.clock.now().saturating_duration_since(self.began);
        let pinned = self.attempts.pinned().is_some();
        let switch = self.failover.on_tick(now, active, pinned, &paths)?;
        // Before anything was heard the first of the list has its time.
        let early = !self.view.heard && self.sources[active].lane.running.is_some() && now < Duration::from_secs(10);
        (!early).then_some(switch)
    }

    /// How every path is doing.
    pub(super) fn paths(&self) -> Vec<Path> {
        let now = Instant::now();
        let aligned = self.is_aligned();
        let path = |slot: &SourceSlot| {
            let placed = !aligned || slot.lane.place.is_some();
            Path { placed, ..slot.lane.path(slot.is_continuous(), now) }
        };
        self.sources.iter().map(path).collect()
    }

    /// Whether another path than the one on the air stands by, its sound where it belongs: what the one on the air has
    /// too late is heard from it.
    pub(super) fn others_fill(&self) -> bool {
        let (active, now) = (self.attempts.index(), Instant::now());
        let fills =
            |slot: &SourceSlot| slot.lane.place.is_some() && slot.lane.path(slot.is_continuous(), now).is_healthy();
        self.is_aligned() && self.sources.iter().enumerate().any(|(index, slot)| index != active && fills(slot))
    }

    /// Connects what is to stand by, and lets go what is not needed any more.
    fn keep_connected(&mut self, paths: &[Path], token: &CancellationToken) {
        let (active, now) = (self.attempts.index(), Instant::now());
        let in_trouble = !paths[active].is_healthy() && (self.session.was_live() || self.last_error.is_some());
        let pinned = self.attempts.pinned().is_some();
        for index in (0..self.sources.len()).filter(|index| *index != active) {
            let slot = &self.sources[index];
            let wanted = slot.is_warm() || !pinned && (in_trouble || index < active);
            let due = slot.lane.next_try.is_none_or(|at| at <= now);
            match (&slot.lane.running, wanted) {
                (None, true) if due => drop(self.start(index, token)),
                (Some(_), false) => slot.lane.let_go(),
                _ => {}
            }
        }
    }

    /// A path that is not on the air says something: it is recorded, and its sound is kept for a while.
    pub(super) fn on_standby(&mut self, index: usize, event: SourceEvent) {
        let slot = &mut self.sources[index];
        match event {
            SourceEvent::Session(info) => {
                slot.archive.session(&info);
                slot.learn(&info);
                slot.lane.info = Some(info);
            }
            SourceEvent::Edge { end, piece } => slot.lane.tell_edge(end, piece),
            SourceEvent::Segment(segment) => {
                let end = segment.media_time + segment.duration as i64;
                let pair = segment.program_date_time.map(|at| (at, segment.media_time));
                slot.remember(segment.sequence, end, pair);
                slot.lane.speakers.on_facts(&segment.facts);
                slot.archive.segment(&segment);
            }
            SourceEvent::Missing(span) => {
                slot.remember(span.last_sequence, span.media_time + span.duration as i64, None);
                drop(slot.archive.missing(&span));
            }
            SourceEvent::Late(segment) => slot.archive.segment(&segment),
            SourceEvent::Capture(bytes) => slot.archive.capture(bytes),
            SourceEvent::Audio(block) => self.keep(index, &block),
            SourceEvent::Notice(notice) => self.on_notice(notice),
            SourceEvent::Speakers(speakers) => {
                slot.archive.speakers(&speakers);
                slot.lane.speakers.on_room(&speakers);
            }
            SourceEvent::Stem(packet) => slot.archive.stem(packet),
            SourceEvent::Caption(caption) => slot.archive.caption(caption),
            SourceEvent::DecodeErrors { .. } | SourceEvent::Stalled { .. } => {}
        }
    }

    /// The attempt of a path that stood by is over.
    pub(super) fn on_standby_ended(&mut self, index: usize, result: &Result<SourceEnd, SourceError>) {
        let Err(error) = result else { return };
        let slot = &mut self.sources[index];
        if slot.is_warm() && slot.told.as_deref() != Some(&error.message) {
            let message = format!("{} cannot stand by: {}", slot.name(), error.message);
            self.handles.events.warning("source.standby", "source", message, None);
            slot.told = Some(error.message.clone());
        }
    }

    fn keep(&mut self, index: usize, block: &PcmBlock) {
        let now = self.handles.program.now().samples() as i64;
        let slot = &mut self.sources[index];
        slot.told = None;
        slot.archive.audio(block);
        slot.hear(block, true);
        let lane = &mut slot.lane;
        if let Some(place) = lane.place {
            let slack = place.anchor + block.media_time - now;
            lane.slack = Some(lane.slack.map_or(slack, |least| least.min(slack)));
        }
        self.fill();
    }

    /// Looks for the places of the paths, by their sound, away from here.
    fn seek(&mut self) {
        let active = self.attempts.index();
        for index in (0..self.sources.len()).filter(|index| *index != active) {
            self.find(index);
            let lane = &self.sources[index].lane;
            let pause = if lane.is_settled() || lane.in_vain >= IN_VAIN { SEEK_AGAIN } else { SEEK };
            let due = lane.gives && lane.search.is_none() && lane.sought.is_none_or(|at| at.elapsed() >= pause);
            if due
                && let Some((aired, reference)) = self.air.aired.mono()
                && let Some((media, probe)) = self.sources[index].lane.reserve.mono()
            {
                let (sender, found) = oneshot::channel();
                let lane = &mut self.sources[index].lane;
                (lane.search, lane.sought) = (Some(Search { found, aired, media }), Some(Instant::now()));
                // Nobody waits for an answer that comes after the path was lost.
                tokio::task::spawn_blocking(move || sender.send(align::shift(&reference, &probe)).is_ok());
            }
        }
        self.keep_slack();
    }

    fn find(&mut self, index: usize) {
        let lane = &mut self.sources[index].lane;
        if lane.place.is_some_and(|place| place.at.elapsed() > TRUSTED) {
            lane.place = None;
        }
        let Some(search) = &mut lane.search else { return };
        let found = match search.found.try_recv() {
            Err(oneshot::error::TryRecvError::Empty) => return,
            found => found.ok().flatten(),
        };
        let (aired, media) = (search.aired, search.media);
        lane.search = None;
        let Some(shift) = found else {
            lane.in_vain += 1;
            return;
        };
        let anchor = aired + shift.samples - media;
        let moved = lane.place.map(|place| anchor - place.anchor);
        let believed = lane.find(anchor, Instant::now());
        lane.in_vain = 0;
        let likeness = shift.likeness;
        tracing::debug!(index, anchor, moved, likeness, believed, "The place of a path was found by its sound.");
    }

    /// In aligned mode every path that stands by must have its turn a while after it came; otherwise all goes out later.
    fn keep_slack(&mut self) {
        if !self.is_aligned() || self.slackened.is_some_and(|at| at.elapsed() < Duration::from_secs(20)) {
            return;
        }
        let warm = self.sources.iter().filter(|slot| slot.is_warm() || slot.lane.place.is_some());
        let Some(least) = warm.filter_map(|slot| slot.lane.slack).min() else { return };
        let later = SLACK - least;
        let most = self.handles.failover.delay_max.as_secs() as i64 * i64::from(SAMPLE_RATE);
        if later > SLACK_SPARE && later <= most {
            self.slackened = Some(Instant::now());
            self.put_later(later + SLACK_SPARE / 2);
        }
    }

    /// Whether the path on the air is silent where another has sound, or the other way round.
    fn compare(&mut self) {
        let active = self.attempts.index();
        let mut own = None;
        for index in (0..self.sources.len()).filter(|index| *index != active) {
            let lane = &self.sources[index].lane;
            let mut other = None;
            if let Some(place) = lane.place {
                let aired = |from: i64| self.air.aired.rms(from..from + WINDOW);
                let heard = |from: i64| lane.reserve.rms(from - place.anchor..from - place.anchor + WINDOW);
                let ends = (self.air.aired.end(), lane.reserve.end());
                if let (Some(aired_end), Some(end)) = ends {
                    let end = aired_end.min(end + place.anchor);
                    own = own.or(silent_since(end, aired, heard));
                    other = silent_since(end, heard, aired);
                }
            }
            self.sources[index].lane.silent_from = other;
        }
        self.sources[active].lane.silent_from = own;
    }

    /// Lets the best path that stands by fill what is about to be heard and is not there.
    fn fill(&mut self) {
        if !self.is_aligned() || self.attempts.pinned().is_some() {
            return;
        }
        let active = self.attempts.index();
        let now = self.handles.program.now().samples() as i64;
        let from = (now + AT_ONCE).max(self.fill_from);
        let usable = |slot: &&SourceSlot| slot.lane.place.is_some() && slot.lane.silent_from.is_none();
        let others = self.sources.iter().enumerate().filter(|(index, _)| *index != active).map(|(_, slot)| slot);
        let Some((lane, place)) =
            others.filter(usable).find_map(|slot| slot.lane.place.map(|place| (&slot.lane, place)))
        else {
            return;
        };
        let mut heard = None;
        for (at, piece) in lane.reserve.pieces(from - place.anchor..now + FILL - place.anchor) {
            let at = at + place.anchor;
            let Written { placed, .. } = self.handles.program.write(at, piece);
            if placed > 0 {
                let (start, _) = heard.unwrap_or((at, at));
                heard = Some((start, at + piece.len() as i64));
                self.view.filled += placed;
            }
        }
        if let Some((start, end)) = heard {
            self.sounds(start, end);
        }
    }

    /// Audio of any path lies on the program from `start` to `end`.
    pub(super) fn sounds(&mut self, start: i64, end: i64) {
        let delay = self.handles.program.public_delay() as i64;
        let at = |sample: i64| ProgramTime::from_samples((sample + delay).max(0) as u64);
        if let Some(transition) = self.session.on_audio(at(start), at(end), self.now()) {
            self.enter(transition);
        }
    }
}

/// Since when `one` is silent where `other` has sound, up to `end`; none if that is not so for long enough.
fn silent_since(end: i64, one: impl Fn(i64) -> Option<f32>, other: impl Fn(i64) -> Option<f32>) -> Option<i64> {
    let starts = (1..=WINDOWS_MOST as i64).map(|count| end - count * WINDOW);
    let silent = |from: &i64| one(*from).is_some_and(|rms| rms < SILENT) && other(*from).is_some_and(|rms| rms > SOUND);
    let run: Vec<i64> = starts.take_while(silent).collect();
    run.last().copied().filter(|_| run.len() >= WINDOWS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_counts_only_where_the_other_has_sound_for_a_while() {
        let end = 100 * WINDOW;
        // Loudness of one and of the other, by windows counted back from the end.
        let run = |one: fn(i64) -> Option<f32>, other: fn(i64) -> Option<f32>| {
            let back = move |of: fn(i64) -> Option<f32>| move |from: i64| of((end - from) / WINDOW);
            silent_since(end, back(one), back(other)).map(|from| (end - from) / WINDOW)
        };
        assert_eq!(run(|_| Some(0.0), |_| Some(0.1)), Some(WINDOWS_MOST as i64));
        assert_eq!(run(|n| Some(if n <= 4 { 0.0 } else { 0.2 }), |_| Some(0.1)), Some(4));
        assert_eq!(run(|n| Some(if n <= 2 { 0.0 } else { 0.2 }), |_| Some(0.1)), None, "a pause");
        assert_eq!(run(|_| Some(0.0), |_| Some(0.001)), None, "both are silent");
        assert_eq!(run(|_| Some(0.0), |n| (n < 3).then_some(0.1)), None, "the other is not there");
        assert_eq!(run(|_| None, |_| Some(0.1)), None, "this one is not there");
    }
}
