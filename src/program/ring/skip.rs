//! Leaving samples out of what is already written, at a place where it is heard least.

use super::{Ring, Span};
use crate::media::SAMPLE_RATE;

/// What is about to be read is left alone: 50 ms.
pub(super) const SOON: u64 = SAMPLE_RATE as u64 / 20;

/// How far ahead a quiet place is looked for: 2 s hold a breath of most speakers.
pub(super) const SEARCH: u64 = 2 * SAMPLE_RATE as u64;

/// Length of what is compared, and the step of the search: 10 ms.
pub(super) const WINDOW: u64 = SAMPLE_RATE as u64 / 100;

impl Ring {
    /// Leaves `count` samples out: what was written behind them moves up, with a joint. The place is the quietest of
    /// the next 2 s, seen from both sides of the joint. Where nothing is written behind them, everything from soon on
    /// goes. Returns the joint's position. All of it as sources count: what the public delay holds back is left alone.
    pub fn skip(&mut self, count: u64) -> u64 {
        let soon = self.read + self.delay + SOON;
        let end = self.read + self.ahead();
        let last = (soon + SEARCH).min(end.saturating_sub(count + WINDOW));
        let places = (soon..last.max(soon)).step_by(WINDOW as usize);
        let quietest = places.filter(|at| self.is_written(*at) && self.is_written(at + count));
        let loudness = |at: &u64| self.loudness(*at) + self.loudness(at + count);
        let Some(at) = quietest.min_by(|a, b| loudness(a).total_cmp(&loudness(b))) else {
            self.truncate(soon - self.delay);
            return soon - self.delay;
        };
        self.leave_out(at, count, end);
        at - self.delay
    }

    pub(super) fn leave_out(&mut self, at: u64, count: u64, end: u64) {
        for position in at + count..end {
            let (from, to) = (self.slot(position), self.slot(position - count));
            self.samples[to] = self.samples[from];
        }
        for spans in [&mut self.spans, &mut self.cuts] {
            let before = spans.iter().map(|span| Span { start: span.start, end: span.end.min(at) });
            let behind = spans.iter().map(|span| Span {
                start: span.start.max(at + count).saturating_sub(count),
                end: span.end.saturating_sub(count),
            });
            *spans = before.chain(behind).filter(|span| span.start < span.end).collect();
        }
    }

    fn is_written(&self, at: u64) -> bool {
        self.spans.iter().any(|span| span.start <= at && at + WINDOW <= span.end)
    }

    /// Energy of the 10 ms at `at`.
    pub(super) fn loudness(&self, at: u64) -> f32 {
        let sample = |position| self.samples[self.slot(position)];
        (at..at + WINDOW).map(sample).map(|[left, right]| left * left + right * right).sum()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::media::StereoSample;
    use crate::program::ring::FADE_SAMPLES;

    /// Each sample tells its number, but for the fades.
    fn counted(from: u64, count: u64) -> Vec<StereoSample> {
        (from..from + count).map(|n| [n as f32, 0.25]).collect()
    }

    fn drain(ring: &mut Ring, count: usize) -> Vec<f32> {
        let mut out = vec![[0.0; 2]; count];
        ring.read(&mut out, || [0.0, 0.0]);
        out.iter().map(|sample| sample[0]).collect()
    }

    #[test]
    fn what_lies_behind_moves_up_without_a_hole() {
        let mut ring = Ring::new(960_000, 0);
        ring.write(0, &counted(1, 400_000));
        let at = ring.skip(100_000);
        assert_eq!(ring.ahead(), 300_000);
        let out = drain(&mut ring, 300_000);
        let fade = FADE_SAMPLES as usize;
        let (joint, end) = (at as usize, 300_000 - fade);
        assert!((fade..joint - fade).all(|n| out[n] == (n + 1) as f32));
        assert!((joint + fade..end).all(|n| out[n] == (n + 100_001) as f32));
        assert!((joint - fade..joint + fade).all(|n| out[n] > 0.0 || n == joint), "a hole at the joint");
    }

    #[test]
    fn the_joint_lies_in_a_silent_place_on_both_sides() {
        let mut ring = Ring::new(960_000, 0);
        let silent = |n: u64| (60_000..64_800).contains(&n) || (165_000..169_800).contains(&n);
        let speech: Vec<StereoSample> =
            (0..400_000).map(|n| if silent(n) { [0.0; 2] } else { [0.5, (n % 100) as f32 / 100.0] }).collect();
        ring.write(0, &speech);
        // Silent from 60 000 and, 104 000 later, from 165 000 on: both from 61 000.
        let at = ring.skip(104_000);
        assert!((61_000 - WINDOW..64_800).contains(&at), "at {at}");
    }

    #[test]
    fn with_nothing_behind_the_hold_audio_bridges() {
        let mut ring = Ring::new(960_000, 0);
        ring.write(0, &counted(1, 100_000));
        assert_eq!(ring.skip(200_000), SOON);
        assert_eq!(ring.ahead(), SOON);
        assert_eq!(ring.write(SOON as i64, &counted(1, 1_000)).placed, 1_000);
    }

    proptest! {
        #[test]
        fn skipping_loses_exactly_what_it_says(
            writes in proptest::collection::vec((0_i64..200_000, 1_u64..40_000), 1..12),
            count in 1_u64..150_000,
            read in 0_usize..5_000,
        ) {
            let mut ring = Ring::new(480_000, 0);
            for (at, length) in writes {
                ring.write(at, &counted(at as u64 + 1, length));
            }
            drain(&mut ring, read);
            let before = ring.ahead();
            let at = ring.skip(count);
            prop_assert!(at >= ring.position() + SOON);
            prop_assert!(ring.ahead() == before.saturating_sub(count) || ring.ahead() <= SOON);
            prop_assert!(ring.spans.windows(2).all(|pair| pair[0].end <= pair[1].start));
            let first = ring.position();
            for (n, value) in drain(&mut ring, 300_000).into_iter().enumerate() {
                let position = first + n as u64;
                // A fade makes it less, never another.
                let number = if position < at { position + 1 } else { position + 1 + count };
                prop_assert!(value <= number as f32 * 1.000_001, "{} at {}", value, position);
            }
        }
    }
}
