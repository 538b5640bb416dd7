//! Mixes the tracks of a room into one stereo stream. Pure: no clock, no thread, no pipeline.
//!
//! Every track is placed by count behind what it gave before; only a real jump moves it. What comes is held back for a
//! while so that tracks which arrive a little later still lie beside the others. Whoever begins or falls silent is
//! faded: no joint makes a step. A track that freezes, floods or lies about its time harms nobody but itself.

use std::collections::{BTreeMap, VecDeque};

use super::level::Leveller;
use crate::media::{SAMPLE_RATE, StereoSample};

/// Tracks that are mixed at most; more are not heard.
pub const TRACKS_MAX: usize = 64;

/// How long what comes is held back, in samples: 40 ms, two packets.
pub const HOLD: u64 = SAMPLE_RATE as u64 / 25;

/// Length of a fade: 5 ms.
const FADE: usize = SAMPLE_RATE as usize / 200;

/// Timestamps that are off by less are the wobble of a jitter buffer: 40 ms.
const JUMP: i64 = SAMPLE_RATE as i64 / 25;

/// What a track may hold: one second.
const HELD_MAX: usize = SAMPLE_RATE as usize;

/// A block of a mix at most: one second.
const BLOCK_MAX: u64 = SAMPLE_RATE as u64;

/// A clock that is off by more is followed, until it is off by less than [`DRIFT_DONE`]: 10 ms, well within [`HOLD`], and
/// 1 ms. A jitter buffer needs some seconds to find its own idea of a new track's clock: that is no drift.
const DRIFT: f64 = 480.0;
const DRIFT_DONE: f64 = 48.0;

/// Packets over which the wobble is averaged: 5 s of them.
const DRIFT_PACKETS: f64 = 256.0;

/// One sample more or less in so many packets: 260 ppm, more than any two sound cards lie apart.
const FOLLOW_EVERY: u32 = 4;

/// Blocks that come too late in a row before the track is placed later for good.
const LATE_MAX: u32 = 5;

/// How much later than it says a track that comes late is placed beyond what it needs: 10 ms.
const LATE_RESERVE: i64 = SAMPLE_RATE as i64 / 100;

/// Loudest sample that passes untouched; above it the sum bends towards 1.0.
const KNEE: f32 = 0.9;

/// Mixes tracks. Positions are 48 kHz samples on the axis of [`crate::gst::webrtc::RtcListener::now`].
#[derive(Debug)]
pub struct Mixer {
    tracks: BTreeMap<u32, Track>,
    /// Position of the next sample that is given out.
    cursor: u64,
    level: bool,
}

#[derive(Debug)]
struct Track {
    /// What comes next; none where it pauses, or where two pieces meet that do not belong together.
    held: VecDeque<Option<StereoSample>>,
    /// Position of the first sample held, or where the next one goes.
    start: u64,
    /// Whether `start` means anything yet.
    placed: bool,
    /// Added to every timestamp, for a track that always comes late.
    shift: i64,
    late: u32,
    drift: f64,
    following: bool,
    /// Packets since a sample was added or left out.
    followed: u32,
    /// Samples of the fade-in that were heard.
    risen: usize,
    /// What was heard last; what sinks to silence, and how much of that is left.
    last: StereoSample,
    sinking: StereoSample,
    falling: usize,
    level: Option<Leveller>,
    leaving: bool,
}

impl Mixer {
    /// A mixer whose first sample is the one at `start`. With `level`, quiet and loud speakers are brought together.
    pub fn new(start: u64, level: bool) -> Self {
        Self { tracks: BTreeMap::new(), cursor: start, level }
    }

    /// Position of the next sample that is given out.
    pub fn position(&self) -> u64 {
        self.cursor
    }

    /// Takes samples of a track that are to be heard `at`.
    pub fn push(&mut self, track: u32, at: u64, samples: &[StereoSample]) {
        let room = self.tracks.len() < TRACKS_MAX;
        let level = self.level;
        let entry = match self.tracks.entry(track) {
            std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::btree_map::Entry::Vacant(entry) if room => entry.insert(Track::new(level)),
            std::collections::btree_map::Entry::Vacant(_) => return,
        };
        entry.leaving = false;
        entry.push(at, samples, self.cursor);
    }

    /// Fades a track out and forgets it.
    pub fn leave(&mut self, track: u32) {
        if let Some(track) = self.tracks.get_mut(&track) {
            track.leaving = true;
        }
    }

    /// Everything that is due at `now`: up to [`HOLD`] before it, at most one second at a time.
    pub fn pull(&mut self, now: u64) -> Vec<StereoSample> {
        let count = now.saturating_sub(HOLD).saturating_sub(self.cursor).min(BLOCK_MAX);
        let mut sum = vec![[0.0; 2]; count as usize];
        for track in self.tracks.values_mut() {
            track.mix_into(&mut sum, self.cursor);
        }
        self.tracks.retain(|_, track| !(track.leaving && track.falling == 0));
        self.cursor += count;
        sum.iter_mut().flatten().for_each(|value| *value = bent(*value));
        sum
    }
}

impl Track {
    fn new(level: bool) -> Self {
        Self {
            held: VecDeque::new(),
            start: 0,
            placed: false,
            shift: 0,
            late: 0,
            drift: 0.0,
            following: false,
            followed: 0,
            risen: 0,
            last: [0.0; 2],
            sinking: [0.0; 2],
            falling: 0,
            level: level.then(Leveller::default),
            leaving: false,
        }
    }

    fn next(&self) -> u64 {
        self.start + self.held.len() as u64
    }

    fn push(&mut self, at: u64, samples: &[StereoSample], cursor: u64) {
        let samples = &samples[..samples.len().min(HELD_MAX)];
        // Numbers without samples cannot be trusted: what claims to lie far off is not placed at all.
        let wanted = at.saturating_add_signed(self.shift);
        if samples.is_empty() || wanted > cursor + HELD_MAX as u64 {
            return;
        }
        let off = wanted as i64 - self.next() as i64;
        let jumped = !self.placed || off.abs() > JUMP;
        if jumped {
            self.jump(wanted);
        } else {
            self.drift += (off as f64 - self.drift) / DRIFT_PACKETS;
        }
        self.following = self.drift.abs() > if self.following { DRIFT_DONE } else { DRIFT };
        self.followed += 1;
        let stretched = (self.following && self.followed >= FOLLOW_EVERY).then(|| self.follow(samples));
        let samples = stretched.as_deref().unwrap_or(samples);
        self.append(wanted, samples, cursor, jumped);
    }

    /// Goes on at `wanted`. What is held is heard to its end, so a jump backwards loses what it says twice.
    fn jump(&mut self, wanted: u64) {
        (self.drift, self.following) = (0.0, false);
        if !self.placed || self.held.is_empty() {
            (self.start, self.placed) = (wanted, true);
        }
    }

    fn append(&mut self, wanted: u64, samples: &[StereoSample], cursor: u64, jumped: bool) {
        let off = wanted as i64 - self.next() as i64;
        let mut skip = 0;
        if off > JUMP && !self.held.is_empty() {
            // A pause between what is held and what comes: the silence in between is part of what is held.
            let pause = (off as usize).min(HELD_MAX.saturating_sub(self.held.len()));
            self.held.extend(std::iter::repeat_n(None, pause));
        } else if off < -JUMP {
            skip = off.unsigned_abs() as usize;
        }
        if self.next() < cursor {
            let missed = (cursor - self.next()) as usize;
            if self.held.is_empty() {
                skip = skip.max(missed);
                self.start = cursor;
            }
            self.came_late(missed, samples.len());
        } else {
            self.late = 0;
        }
        let fits = HELD_MAX.saturating_sub(self.held.len());
        let first = self.held.len();
        self.held.extend(samples.iter().skip(skip).take(fits).map(|sample| Some(*sample)));
        if (jumped || skip > 0)
            && let Some(first) = self.held.get_mut(first)
        {
            *first = None;
        }
    }

    fn came_late(&mut self, missed: usize, count: usize) {
        self.late += 1;
        if self.late > LATE_MAX && missed > 0 {
            self.shift = (self.shift + missed as i64 + LATE_RESERVE).min(HELD_MAX as i64);
            self.late = 0;
            tracing::debug!(missed, count, "A track always comes late and is placed later.");
        }
    }

    /// One sample more or less, spread over the block.
    fn follow(&mut self, samples: &[StereoSample]) -> Vec<StereoSample> {
        self.followed = 0;
        let count = if self.drift > 0.0 { samples.len() + 1 } else { samples.len().saturating_sub(1).max(1) };
        self.drift -= self.drift.signum();
        let step = (samples.len() - 1) as f64 / (count.max(2) - 1) as f64;
        let between = |index: usize| {
            let place = index as f64 * step;
            let (low, part) = (place as usize, place.fract() as f32);
            let (a, b) = (samples[low.min(samples.len() - 1)], samples[(low + 1).min(samples.len() - 1)]);
            [a[0] + (b[0] - a[0]) * part, a[1] + (b[1] - a[1]) * part]
        };
        (0..count).map(between).collect()
    }

    fn mix_into(&mut self, sum: &mut [StereoSample], cursor: u64) {
        for (position, out) in (cursor..).zip(sum.iter_mut()) {
            let heard = self.sample_at(position);
            out[0] += heard[0];
            out[1] += heard[1];
        }
        if self.leaving && self.falling == 0 {
            self.held.clear();
        }
    }

    fn sample_at(&mut self, position: u64) -> StereoSample {
        let due = self.start <= position && !self.held.is_empty() && !self.leaving;
        let held = if due { self.held.pop_front() } else { None };
        self.start += u64::from(held.is_some());
        let mut heard = [0.0; 2];
        if let Some(sample) = held.flatten() {
            let gain = self.level.as_mut().map_or(1.0, |level| level.next(sample));
            self.risen = (self.risen + 1).min(FADE);
            let rise = gain * self.risen as f32 / FADE as f32;
            heard = [sample[0] * rise, sample[1] * rise];
        } else if self.risen > 0 {
            // Nothing is there any more: what was heard last sinks to silence from where it stands.
            (self.risen, self.falling, self.sinking) = (0, FADE, self.last);
        }
        if self.falling > 0 {
            self.falling -= 1;
            let sink = self.falling as f32 / FADE as f32;
            heard = [heard[0] + self.sinking[0] * sink, heard[1] + self.sinking[1] * sink];
        }
        self.last = heard;
        heard
    }
}

/// The sum of many may be too loud: it bends instead of breaking.
fn bent(value: f32) -> f32 {
    let over = value.abs() - KNEE;
    if over <= 0.0 || !value.is_finite() {
        return if value.is_finite() { value } else { 0.0 };
    }
    let room = 1.0 - KNEE;
    (KNEE + room * (over / room).tanh()).copysign(value)
}

#[cfg(test)]
#[path = "mix_tests.rs"]
mod tests;
