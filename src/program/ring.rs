//! A ring of samples indexed by program time: what sources wrote, until it is read once.
//!
//! Pure and without a clock: placing, fades at joints, late drop and hold audio are tested here by table. Positions are
//! program samples; a position is read exactly once, whether something was written there or not.
//!
//! The **public delay** lies between the two: sources place their samples as if it were not there, and they are stored
//! and heard that much later. What an operator cuts is never heard, nor is what comes later for the same place.

use crate::media::StereoSample;

mod public;
mod skip;

pub use public::{Cut, Delayed};

/// Samples of a fade at a joint: 10 ms, short enough not to be heard as a fade, long enough not to be heard as a click.
pub const FADE_SAMPLES: u64 = 480;

/// What became of written samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Written {
    /// Placed.
    pub placed: u64,
    /// Came after their position was read.
    pub late: u64,
    /// Lie so far ahead that there is no room, or on a place that is taken.
    pub refused: u64,
}

/// An interval of written samples; it sounds with a fade at each end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    start: u64,
    end: u64,
}

/// The ring. Holds `capacity` samples from the read position on.
#[derive(Debug)]
pub struct Ring {
    samples: Vec<StereoSample>,
    /// Sorted, not overlapping; touching spans are a joint.
    spans: Vec<Span>,
    read: u64,
    /// How much later than placed everything is heard.
    delay: u64,
    /// How far ahead of the air the source places what it has just heard.
    lead: u64,
    /// Where nothing may be written: what the operator cut, and what lies before a change of the delay. Sorted by start.
    cuts: Vec<Span>,
}

impl Ring {
    /// A ring with room for `capacity` samples that starts at program sample `read`.
    pub fn new(capacity: usize, read: u64) -> Self {
        Self { samples: vec![[0.0; 2]; capacity.max(1)], spans: Vec::new(), read, delay: 0, lead: 0, cuts: Vec::new() }
    }

    /// The next position to be read.
    pub fn position(&self) -> u64 {
        self.read
    }

    /// Samples from the read position to the end of what was written.
    pub fn ahead(&self) -> u64 {
        self.spans.last().map_or(0, |span| span.end.saturating_sub(self.read))
    }

    /// Places `samples` at program sample `at`, from where they are heard after the public delay. What is late, too far
    /// ahead, cut or already there is left out and counted.
    pub fn write(&mut self, at: i64, samples: &[StereoSample]) -> Written {
        let at = at.saturating_add(self.delay as i64);
        let limit = self.read + self.samples.len() as u64;
        let end = at.saturating_add(samples.len() as i64);
        let first = at.max(self.read as i64).min(end);
        let last = end.min(limit as i64).max(first);
        let mut written = Written { late: (first - at) as u64, refused: (end - last) as u64, placed: 0 };
        let (mut from, to) = (first as u64, last as u64);
        while from < to {
            let (free_from, free_to) = self.free_within(from, to);
            written.refused += free_from - from;
            if free_from < free_to {
                self.store(free_from, &samples[(free_from as i64 - at) as usize..(free_to as i64 - at) as usize]);
                self.add_span(free_from, free_to);
                written.placed += free_to - free_from;
            }
            from = free_to;
        }
        written
    }

    /// Forgets what was written from program sample `position` on, as sources count, so that other samples can go
    /// there. The end is a joint.
    pub fn truncate(&mut self, position: u64) {
        let position = position + self.delay;
        self.spans.retain(|span| span.start < position);
        if let Some(last) = self.spans.last_mut() {
            last.end = last.end.min(position);
        }
    }

    /// Fills `out` with the next samples; `hold` sounds wherever nothing was written. Returns how many samples of a
    /// source were among them.
    pub fn read(&mut self, out: &mut [StereoSample], mut hold: impl FnMut() -> StereoSample) -> usize {
        let mut sounding = 0;
        for value in out.iter_mut() {
            while self.spans.first().is_some_and(|span| span.end <= self.read) {
                self.spans.remove(0);
            }
            while self.cuts.first().is_some_and(|cut| cut.end <= self.read) {
                self.cuts.remove(0);
            }
            let held = hold();
            let gain = self.spans.first().map_or(0.0, |span| gain(*span, self.read));
            *value = if gain > 0.0 {
                sounding += 1;
                let sample = self.samples[self.slot(self.read)];
                [mix(sample[0], held[0], gain), mix(sample[1], held[1], gain)]
            } else {
                held
            };
            self.read += 1;
        }
        sounding
    }

    /// The first free interval that starts in `from..to`; empty and at `to` if there is none.
    fn free_within(&self, from: u64, to: u64) -> (u64, u64) {
        let taken = || self.spans.iter().chain(&self.cuts);
        let mut start = from;
        while let Some(span) = taken().find(|span| span.start <= start && start < span.end) {
            start = span.end;
            if start >= to {
                return (to, to);
            }
        }
        let end = taken().map(|span| span.start).filter(|next| *next > start).min();
        (start, end.map_or(to, |end| end.min(to)))
    }

    fn store(&mut self, at: u64, samples: &[StereoSample]) {
        let start = self.slot(at);
        let head = samples.len().min(self.samples.len() - start);
        self.samples[start..start + head].copy_from_slice(&samples[..head]);
        self.samples[..samples.len() - head].copy_from_slice(&samples[head..]);
    }

    /// Adds a span. It grows a neighbour that it touches, unless that neighbour's fade may already have been heard.
    fn add_span(&mut self, start: u64, end: u64) {
        let index = self.spans.partition_point(|span| span.start < start);
        let grows_previous = index > 0 && self.spans[index - 1].end == start && start >= self.read + FADE_SAMPLES;
        if grows_previous {
            self.spans[index - 1].end = end;
        } else {
            self.spans.insert(index, Span { start, end });
        }
        let own = if grows_previous { index - 1 } else { index };
        let touches_next = self.spans.get(own + 1).is_some_and(|next| next.start == end);
        if touches_next && end >= self.read + FADE_SAMPLES {
            self.spans[own].end = self.spans[own + 1].end;
            self.spans.remove(own + 1);
        }
    }

    fn slot(&self, position: u64) -> usize {
        (position % self.samples.len() as u64) as usize
    }
}

/// The loudness of a span's sample at `position`: fades in at its start and out at its end.
fn gain(span: Span, position: u64) -> f32 {
    if position < span.start || position >= span.end {
        return 0.0;
    }
    let edge = (position - span.start + 1).min(span.end - position);
    if edge >= FADE_SAMPLES { 1.0 } else { edge as f32 / FADE_SAMPLES as f32 }
}

fn mix(sample: f32, held: f32, gain: f32) -> f32 {
    sample * gain + held * (1.0 - gain)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ones(count: usize) -> Vec<StereoSample> {
        vec![[1.0, -1.0]; count]
    }

    fn drain(ring: &mut Ring, count: usize) -> Vec<f32> {
        let mut out = vec![[0.0; 2]; count];
        ring.read(&mut out, || [0.0, 0.0]);
        out.iter().map(|sample| sample[0]).collect()
    }

    #[test]
    fn a_missing_piece_shifts_nothing_after_it() {
        let mut ring = Ring::new(48_000, 0);
        ring.write(1_000, &ones(2_000));
        ring.write(5_000, &ones(2_000));
        let out = drain(&mut ring, 8_000);
        assert!(out[..1_000].iter().all(|value| *value == 0.0));
        assert_eq!(out[2_000], 1.0);
        assert!(out[3_000..5_000].iter().all(|value| *value == 0.0));
        assert_eq!(out[6_000], 1.0);
        assert!(out[7_000..].iter().all(|value| *value == 0.0));
    }

    #[test]
    fn pieces_that_touch_have_no_joint() {
        let mut ring = Ring::new(48_000, 0);
        for start in (0..10_000).step_by(1_000) {
            ring.write(start + 1_000, &ones(1_000));
        }
        let out = drain(&mut ring, 11_000);
        assert!(out[1_480..10_520].iter().all(|value| *value == 1.0));
    }

    #[test]
    fn pieces_in_any_order_have_no_joint() {
        let mut ring = Ring::new(48_000, 0);
        for start in [3_000, 1_000, 2_000, 4_000] {
            assert_eq!(ring.write(start, &ones(1_000)).placed, 1_000);
        }
        assert!(drain(&mut ring, 5_000)[1_480..4_520].iter().all(|value| *value == 1.0));
    }

    #[test]
    fn a_joint_never_steps_by_more_than_the_fade() {
        let mut ring = Ring::new(48_000, 0);
        ring.write(1_000, &ones(3_000));
        let mut out = drain(&mut ring, 3_900);
        // The end is being faded out already: what comes now starts with a fade of its own.
        ring.write(4_000, &ones(3_000));
        out.extend(drain(&mut ring, 4_000));
        let step = out.windows(2).map(|pair| (pair[1] - pair[0]).abs()).fold(0.0, f32::max);
        assert!(step <= 1.5 / FADE_SAMPLES as f32, "a step of {step}");
    }

    #[test]
    fn late_samples_are_dropped_and_counted() {
        let mut ring = Ring::new(48_000, 0);
        drain(&mut ring, 1_500);
        assert_eq!(ring.write(1_000, &ones(1_000)), Written { placed: 500, late: 500, refused: 0 });
        assert_eq!(ring.write(-5_000, &ones(1_000)), Written { placed: 0, late: 1_000, refused: 0 });
    }

    #[test]
    fn samples_beyond_the_room_are_refused_and_harm_nothing() {
        let mut ring = Ring::new(1_000, 0);
        assert_eq!(ring.write(500, &ones(1_000)), Written { placed: 500, late: 0, refused: 500 });
        assert_eq!(ring.write(600, &ones(100)), Written { placed: 0, late: 0, refused: 100 });
        assert_eq!(ring.write(90_000, &ones(100)).refused, 100);
    }

    #[test]
    fn hold_audio_sounds_where_nothing_was_written() {
        let mut ring = Ring::new(48_000, 0);
        ring.write(2_000, &ones(2_000));
        let mut out = vec![[0.0; 2]; 6_000];
        let sounding = ring.read(&mut out, || [0.25, 0.25]);
        assert_eq!((out[0][0], out[3_000][0], out[5_000][0]), (0.25, 1.0, 0.25));
        assert_eq!(sounding, 2_000);
    }

    #[test]
    fn truncating_makes_room_for_other_samples() {
        let mut ring = Ring::new(48_000, 0);
        ring.write(0, &ones(10_000));
        ring.truncate(4_000);
        assert_eq!(ring.ahead(), 4_000);
        assert_eq!(ring.write(4_000, &ones(1_000)).placed, 1_000);
    }

    proptest! {
        #[test]
        fn every_sample_written_once_is_read_once_at_its_place(
            writes in proptest::collection::vec((0_i64..20_000, 1_usize..3_000), 1..20)
        ) {
            let mut ring = Ring::new(48_000, 0);
            let mut expected = vec![false; 24_000];
            for (at, count) in writes {
                let before: usize = expected[at as usize..at as usize + count].iter().filter(|taken| **taken).count();
                let written = ring.write(at, &ones(count));
                prop_assert_eq!(written.placed as usize, count - before);
                prop_assert_eq!(written.refused as usize, before);
                expected[at as usize..at as usize + count].fill(true);
            }
            for (position, value) in drain(&mut ring, 24_000).into_iter().enumerate() {
                prop_assert_eq!(value > 0.0, expected[position], "at {}", position);
            }
        }
    }
}
