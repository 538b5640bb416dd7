//! Mixes the tracks of a room into one stereo stream. Pure: no clock, no thread, no pipeline.
//!
//! A track's timestamps say what lies where within it, and how long it pauses; when they arrive says where the whole
//! track lies (`place`). What comes is held back for a while, so that what was held up on the way still
//! lies beside the others, and so that an end is known before it is heard: whoever begins or ends is faded within what
//! they really said. A track that freezes, floods or lies about its time harms nobody but itself.

use std::collections::{BTreeMap, VecDeque};

use super::envelope::Envelope;
use super::level::Leveller;
use super::place::{Advice, Place};
use crate::media::{SAMPLE_RATE, StereoSample};

/// Tracks that are mixed at most; more are not heard.
pub const TRACKS_MAX: usize = 64;

/// How long what comes is held back, in samples: 130 ms. The jitter buffer waits 80 ms for a lost packet, the mix is made
/// every 20 ms and looks 10 ms ahead for its fades; the rest is for a machine that is busy.
pub const DELAY: u64 = SAMPLE_RATE as u64 * 13 / 100;

/// How long it is held back where nobody is in haste: 1.4 s. A track's place is then known and set right before any of it
/// is given out, and a packet has time to be asked for again and again.
pub const EASY_DELAY: u64 = SAMPLE_RATE as u64 * 14 / 10;

/// Timestamps that are off by less than this continue what came last: 15 ms, less than one packet.
const JOINT: i64 = SAMPLE_RATE as i64 * 15 / 1000;

/// A track whose timestamps lie far off for so long is placed anew: a standstill that ends in a burst lasts less.
const ASTRAY: u64 = SAMPLE_RATE as u64 * 3 / 10;

/// Meanwhile its timestamps go on as time does, within 100 ms: others are lies.
const AGREED: u64 = SAMPLE_RATE as u64 / 10;

/// What a track may hold beyond what is held back: one second.
const HELD_MAX: usize = SAMPLE_RATE as usize;

/// Pieces that a track may hold.
const RUNS_MAX: usize = 64;

/// A block of a mix at most: one second.
const BLOCK_MAX: u64 = SAMPLE_RATE as u64;

/// Loudest sample that passes untouched; above it the sum bends towards 1.0.
const KNEE: f32 = 0.9;

/// Mixes tracks. Positions are 48 kHz samples on the axis of [`crate::gst::webrtc::RtcListener::now`].
#[derive(Debug)]
pub struct Mixer {
    tracks: BTreeMap<u32, Track>,
    /// Position of the next sample that is given out.
    cursor: u64,
    /// Position before which nothing was ever to be given out.
    start: u64,
    /// How long what comes is held back.
    delay: u64,
    level: bool,
}

#[derive(Debug)]
struct Track {
    /// What comes next: pieces with pauses between them.
    runs: VecDeque<Run>,
    /// Where the sample goes that follows what came last; none until something came.
    next: Option<u64>,
    /// Whether something was left out behind that, so that what comes does not continue it.
    cut: bool,
    /// Added to every timestamp.
    shift: i64,
    place: Place,
    /// How long what comes is held back: so far ahead of its turn comes what nothing held up.
    delay: u64,
    /// Whether some of it was given out.
    heard: bool,
    /// Since when nothing but what lies far off came, and the timestamp of that.
    astray: Option<(u64, u64)>,
    envelope: Envelope,
    level: Option<Leveller>,
    leaving: bool,
}

/// Samples without a pause.
#[derive(Debug)]
struct Run {
    start: u64,
    samples: VecDeque<StereoSample>,
}

impl Mixer {
    /// A mixer whose first sample is the one at `start`, and which holds back what comes by `delay` samples. With `level`,
    /// quiet and loud speakers are brought together.
    pub fn new(start: u64, delay: u64, level: bool) -> Self {
        Self { tracks: BTreeMap::new(), cursor: start, start, delay, level }
    }

    /// How long it holds back what comes, in samples.
    pub fn delay(&self) -> u64 {
        self.delay
    }

    /// Position of the next sample that is given out.
    pub fn position(&self) -> u64 {
        self.cursor
    }

    /// End of the last sample that is held back; the position where there is none.
    pub fn held_until(&self) -> u64 {
        let last = self.tracks.values().filter_map(|track| track.runs.back());
        last.map(|run| run.start + run.samples.len() as u64).max().unwrap_or(self.cursor)
    }

    /// Takes samples of a track that are stamped `at` and came `now`.
    pub fn push(&mut self, track: u32, at: u64, now: u64, samples: &[StereoSample]) {
        let room = self.tracks.len() < TRACKS_MAX;
        let (level, delay) = (self.level, self.delay);
        let entry = match self.tracks.entry(track) {
            std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::btree_map::Entry::Vacant(entry) if room => entry.insert(Track::new(delay, level)),
            std::collections::btree_map::Entry::Vacant(_) => return,
        };
        entry.leaving = false;
        if at.saturating_add_signed(entry.shift) >= self.start {
            entry.push(at, now, samples, self.cursor);
        }
    }

    /// Where a sample of `track` lies that is stamped `at`.
    pub fn place(&self, track: u32, at: u64) -> u64 {
        self.tracks.get(&track).map_or(at, |track| at.saturating_add_signed(track.shift))
    }

    /// Fades a track out and forgets it.
    pub fn leave(&mut self, track: u32) {
        if let Some(track) = self.tracks.get_mut(&track) {
            track.leaving = true;
        }
    }

    /// Nothing before `position` is given out.
    pub fn skip_to(&mut self, position: u64) {
        self.cursor = self.cursor.max(position);
        self.start = self.cursor;
    }

    /// Everything that is due at `now`: up to the mixer's delay before it, at most one second at a time.
    pub fn pull(&mut self, now: u64) -> Vec<StereoSample> {
        let count = now.saturating_sub(self.delay).saturating_sub(self.cursor).min(BLOCK_MAX);
        let mut sum = vec![[0.0; 2]; count as usize];
        for track in self.tracks.values_mut() {
            track.mix_into(&mut sum, self.cursor);
        }
        self.tracks.retain(|_, track| !(track.leaving && track.envelope.is_silent()));
        self.cursor += count;
        sum.iter_mut().flatten().for_each(|value| *value = bent(*value));
        sum
    }
}

impl Track {
    fn new(delay: u64, level: bool) -> Self {
        Self {
            runs: VecDeque::new(),
            next: None,
            cut: false,
            shift: 0,
            place: Place::new(delay),
            delay,
            heard: false,
            astray: None,
            envelope: Envelope::default(),
            level: level.then(Leveller::default),
            leaving: false,
        }
    }

    fn push(&mut self, at: u64, now: u64, samples: &[StereoSample], cursor: u64) {
        let samples = &samples[..samples.len().min(HELD_MAX)];
        if samples.is_empty() || !self.find(at, now, cursor) {
            return;
        }
        let wanted = at.saturating_add_signed(self.shift);
        if let Some(next) = self.next
            && (wanted as i64 - next as i64).abs() <= JOINT
        {
            self.shift += next as i64 - wanted as i64;
        }
        let lead = at.saturating_add_signed(self.shift) as i64 - (now as i64 - self.delay as i64);
        let mut stretched = None;
        match self.place.came(lead, samples.len() as u64) {
            Advice::Stay => {}
            Advice::Stretch(by) => stretched = Some(stretch(samples, samples.len().saturating_add_signed(by as isize))),
            Advice::Move(by) => {
                tracing::debug!(samples = by, "A track is set right.");
                self.set_right(by);
            }
        }
        let start = self.in_time(at, now, cursor);
        let longer = stretched.as_ref().map_or(0, |stretched| stretched.len() as i64 - samples.len() as i64);
        self.append(start, stretched.as_deref().unwrap_or(samples));
        self.shift += longer;
    }

    /// All that follows goes `by` later; so does what nobody has heard yet.
    fn set_right(&mut self, by: i64) {
        self.shift += by;
        if !self.heard {
            self.runs.iter_mut().for_each(|run| run.start = run.start.saturating_add_signed(by));
            self.next = self.next.map(|next| next.saturating_add_signed(by));
        }
    }

    /// Whether what is stamped `at` has a place. What claims to lie far off has none, unless nothing else comes any more:
    /// a sender that stops while it is muted may not count that time.
    fn find(&mut self, at: u64, now: u64, cursor: u64) -> bool {
        let (far, wanted) = (self.delay + HELD_MAX as u64, at.saturating_add_signed(self.shift));
        // After a standstill the mix is behind the time.
        let due = now.saturating_sub(self.delay).max(cursor);
        if (cursor.saturating_sub(far)..=due + far).contains(&wanted) {
            self.astray = None;
            return true;
        }
        let (since, from) = *self.astray.get_or_insert((now, at));
        if at < from || (at - from).abs_diff(now.saturating_sub(since)) > AGREED || at > u64::MAX >> 2 {
            self.astray = Some((now, at));
            return false;
        }
        if now.saturating_sub(since) < ASTRAY {
            return false;
        }
        tracing::debug!("A track's time stood still or leapt: it is placed anew.");
        self.shift += (due + self.delay) as i64 - wanted as i64;
        (self.place, self.astray) = (Place::new(self.delay), None);
        true
    }

    /// Where samples begin that are stamped `at`; those that come too late make the track lie later.
    fn in_time(&mut self, at: u64, now: u64, cursor: u64) -> u64 {
        let start = at.saturating_add_signed(self.shift);
        let missed = cursor as i64 - start as i64;
        if missed <= 0 {
            self.place.in_time();
            return start;
        }
        let by = self.place.late(missed, now);
        if by > 0 {
            tracing::debug!(missed, by, "A track came late and is placed later.");
        }
        self.shift += by;
        at.saturating_add_signed(self.shift)
    }

    fn append(&mut self, start: u64, samples: &[StereoSample]) {
        // What was said already is not said twice.
        let skip = (self.next.unwrap_or(start).saturating_sub(start) as usize).min(samples.len());
        let held: usize = self.runs.iter().map(|run| run.samples.len()).sum();
        let fits = (self.delay as usize + HELD_MAX).saturating_sub(held).min(samples.len() - skip);
        let (start, goes_on) = (start + skip as u64, self.next == Some(start) && !self.cut && skip == 0);
        let full = self.runs.len() >= RUNS_MAX && !goes_on;
        if fits == 0 || full {
            self.cut = true;
            return;
        }
        let kept = &samples[skip..skip + fits];
        match self.runs.back_mut() {
            Some(run) if goes_on => run.samples.extend(kept),
            _ => self.runs.push_back(Run { start, samples: kept.iter().copied().collect() }),
        }
        self.cut = fits < samples.len() - skip;
        self.next = Some(start + kept.len() as u64);
    }

    fn mix_into(&mut self, sum: &mut [StereoSample], cursor: u64) {
        let end = cursor + sum.len() as u64;
        while let Some(run) = self.runs.front_mut().filter(|run| run.start < end) {
            let missed = (cursor.saturating_sub(run.start) as usize).min(run.samples.len());
            run.samples.drain(..missed);
            run.start += missed as u64;
            let first = run.start.saturating_sub(cursor) as usize;
            let count = run.samples.len().min(sum.len().saturating_sub(first));
            let out = &mut sum[first.min(first + count)..first + count];
            self.heard |= count > 0;
            add(run, out, &mut self.envelope, &mut self.level, self.leaving);
            run.samples.drain(..count);
            run.start += count as u64;
            if !run.samples.is_empty() {
                break;
            }
            self.runs.pop_front();
        }
    }
}

/// Adds the first samples of `run` to `out`.
fn add(run: &Run, out: &mut [StereoSample], envelope: &mut Envelope, level: &mut Option<Leveller>, leaving: bool) {
    let left = run.samples.len();
    if level.is_none() && !leaving && envelope.is_open(left, out.len()) {
        for (sum, sample) in out.iter_mut().zip(&run.samples) {
            *sum = [sum[0] + sample[0], sum[1] + sample[1]];
        }
        return;
    }
    for (at, (sum, sample)) in out.iter_mut().zip(&run.samples).enumerate() {
        let level = level.as_mut().map_or(1.0, |level| level.next(*sample));
        let gain = level * envelope.next(left - at, leaving);
        *sum = [sum[0] + sample[0] * gain, sum[1] + sample[1] * gain];
    }
}

/// The same sound in `count` samples, by cubic curves through four neighbours.
fn stretch(samples: &[StereoSample], count: usize) -> Vec<StereoSample> {
    let last = samples.len() - 1;
    let step = last as f64 / (count.max(2) - 1) as f64;
    let between = |index: usize| {
        let place = index as f64 * step;
        let (low, t) = ((place as usize).min(last), place.fract() as f32);
        let point = |offset: usize| samples[(low + offset).saturating_sub(1).min(last)];
        let (a, b, c, d) = (point(0), point(1), point(2), point(3));
        [0, 1].map(|side| {
            let (a, b, c, d) = (a[side], b[side], c[side], d[side]);
            let (slope, square, cube) = (c - a, 2.0 * a - 5.0 * b + 4.0 * c - d, 3.0 * (b - c) + d - a);
            b + 0.5 * t * (slope + t * (square + t * cube))
        })
    };
    (0..count).map(between).collect()
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
