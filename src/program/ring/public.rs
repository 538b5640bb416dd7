//! The public delay and the cut: what is held back before it goes out, and what is taken out of it.

use super::skip::{SEARCH, SOON, WINDOW};
use super::{Ring, Span};
use crate::media::StereoSample;

/// What a change of the public delay did. Positions are program samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delayed {
    /// Everything from here on is heard later, or earlier, than it would have been.
    pub joint: u64,
    /// By how much later; earlier if negative.
    pub by: i64,
}

/// What was taken out. Positions are program samples; nothing was where they are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// The first sample that is not heard.
    pub from: u64,
    /// The sample behind the last that is not heard.
    pub to: u64,
}

impl Ring {
    /// How much later than placed everything is heard.
    pub fn delay(&self) -> u64 {
        self.delay
    }

    /// How far ahead of the air, without the public delay, the source places what it has just heard.
    pub fn set_lead(&mut self, lead: u64) {
        self.lead = lead;
    }

    /// Changes the public delay to `delay` samples, with room for `capacity` samples from now on. A longer delay lets
    /// hold audio in at the quietest place of the next 2 s, and nothing is lost; a shorter one leaves out as much.
    pub fn set_delay(&mut self, delay: u64, capacity: usize) -> Delayed {
        let before = self.delay;
        let end = self.read + self.ahead();
        let joint = if delay >= before {
            // First the room, then what needs it.
            self.resize(capacity.max((self.ahead() + delay - before) as usize));
            let joint = self.quietest(0);
            self.let_in(joint, delay - before, end);
            joint
        } else {
            let joint = self.quietest(before - delay);
            self.leave_out(joint, before - delay, end);
            self.resize(capacity.max(self.ahead() as usize));
            joint
        };
        self.delay = delay;
        if delay != before {
            self.close(joint + delay.saturating_sub(before));
        }
        Delayed { joint, by: delay as i64 - before as i64 }
    }

    /// Lets nothing be written any more before `until` where something is written behind it: what comes from now on has
    /// another delay, and would be heard before what was said earlier.
    fn close(&mut self, until: u64) {
        let until = until.min(self.read + self.ahead());
        if self.read < until {
            self.cuts.push(Span { start: self.read, end: until });
            self.cuts.sort_unstable_by_key(|cut| cut.start);
        }
    }

    /// Takes out what was said in the last `last` samples, or all that has not gone out yet: what was received, and what
    /// the source is about to give of that time. Nobody hears it.
    pub fn cut(&mut self, last: Option<u64>) -> Cut {
        let to = (self.read + self.delay + self.lead).max(self.read + self.ahead());
        let soon = self.read + SOON;
        let from = last.map_or(soon, |last| to.saturating_sub(last).max(soon)).min(to);
        let before = self.spans.iter().map(|span| Span { start: span.start, end: span.end.min(from) });
        let behind = self.spans.iter().map(|span| Span { start: span.start.max(to), end: span.end });
        let mut spans: Vec<Span> = before.chain(behind).filter(|span| span.start < span.end).collect();
        spans.sort_unstable_by_key(|span| span.start);
        self.spans = spans;
        if from < to {
            self.cuts.retain(|cut| cut.start < from || cut.end > to);
            self.cuts.push(Span { start: from, end: to });
            self.cuts.sort_unstable_by_key(|cut| cut.start);
        }
        Cut { from, to }
    }

    /// The quietest place of the next 2 s, seen from both sides of a joint that leaves `count` samples out. Hold audio
    /// counts as silence.
    fn quietest(&self, count: u64) -> u64 {
        let soon = self.read + SOON;
        let loudness =
            |at: u64| self.heard_loudness(at) + if count == 0 { 0.0 } else { self.heard_loudness(at + count) };
        let places = (soon..soon + SEARCH).step_by(WINDOW as usize);
        places.min_by(|a, b| loudness(*a).total_cmp(&loudness(*b))).unwrap_or(soon)
    }

    fn heard_loudness(&self, at: u64) -> f32 {
        let written = self.spans.iter().any(|span| span.start < at + WINDOW && at < span.end);
        if written { self.loudness(at) } else { 0.0 }
    }

    /// Makes room for `count` samples at `at`: what was written from there up to `end` moves behind it.
    fn let_in(&mut self, at: u64, count: u64, end: u64) {
        for position in (at..end.max(at)).rev() {
            let (from, to) = (self.slot(position), self.slot(position + count));
            self.samples[to] = self.samples[from];
        }
        for spans in [&mut self.spans, &mut self.cuts] {
            let before = spans.iter().map(|span| Span { start: span.start, end: span.end.min(at) });
            let behind = spans.iter().map(|span| Span { start: span.start.max(at) + count, end: span.end + count });
            *spans = before.chain(behind).filter(|span| span.start < span.end).collect();
        }
    }

    /// Gives the ring room for `capacity` samples; what lies ahead stays.
    fn resize(&mut self, capacity: usize) {
        let mut samples: Vec<StereoSample> = vec![[0.0; 2]; capacity.max(1)];
        for position in self.read..self.read + self.ahead() {
            let place = (position % samples.len() as u64) as usize;
            samples[place] = self.samples[self.slot(position)];
        }
        self.samples = samples;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::program::ring::FADE_SAMPLES;

    const FADE: usize = FADE_SAMPLES as usize;

    /// Each sample tells its number, but for the fades.
    fn counted(from: u64, count: u64) -> Vec<StereoSample> {
        (from..from + count).map(|n| [n as f32 + 1.0, 0.25]).collect()
    }

    fn drain(ring: &mut Ring, count: usize) -> Vec<f32> {
        let mut out = vec![[0.0; 2]; count];
        ring.read(&mut out, || [0.0, 0.0]);
        // A sample in a fade is told by the other channel: it is nobody's number.
        out.iter().map(|[number, full]| if *full == 0.0 || *full == 0.25 { *number } else { -1.0 }).collect()
    }

    /// The numbers of the samples that were heard at full loudness, in order.
    fn heard(out: &[f32]) -> Vec<u64> {
        out.iter().filter(|value| **value > 0.0).map(|value| *value as u64 - 1).collect()
    }

    #[test]
    fn a_longer_delay_lets_hold_audio_in_and_loses_nothing() {
        let mut ring = Ring::new(300_000, 0);
        ring.write(0, &counted(0, 200_000));
        let delayed = ring.set_delay(100_000, 500_000);
        assert_eq!(delayed.by, 100_000);
        ring.write(200_000, &counted(200_000, 10_000));
        let out = drain(&mut ring, 310_000);
        let joint = delayed.joint as usize;
        assert!(out[joint..joint + 100_000].iter().all(|value| *value == 0.0), "hold audio in between");
        assert!((FADE..joint - FADE).all(|n| out[n] == (n + 1) as f32));
        assert!((joint + FADE..205_000).all(|n| out[n + 100_000] == (n + 1) as f32), "a hole at what came later");
    }

    #[test]
    fn a_shorter_delay_leaves_out_as_much_and_what_comes_next_follows() {
        let mut ring = Ring::new(300_000, 0);
        ring.set_delay(100_000, 400_000);
        ring.write(0, &counted(0, 200_000));
        drain(&mut ring, 100_000);
        let delayed = ring.set_delay(40_000, 340_000);
        assert_eq!(delayed.by, -60_000);
        ring.write(200_000, &counted(200_000, 10_000));
        let out = drain(&mut ring, 160_000);
        let joint = delayed.joint as usize - 100_000;
        assert!((joint + FADE..145_000 - FADE).all(|n| out[n] == (n + 60_001) as f32), "a hole behind the joint");
        assert_eq!(ring.ahead(), 0);
    }

    #[test]
    fn the_joint_lies_where_nobody_speaks() {
        for (before, after) in [(0, 50_000), (50_000, 0)] {
            let mut ring = Ring::new(300_000, 0);
            ring.set_delay(before, 400_000);
            // Silent from 30 000 on for 100 ms, and as far behind as the joint reaches.
            let silent = |n: u64| (30_000..34_800).contains(&n) || (80_000..84_800).contains(&n);
            let speech: Vec<StereoSample> =
                (0..200_000).map(|n| if silent(n) { [0.0; 2] } else { [0.5, (n % 90) as f32 / 90.0] }).collect();
            ring.write(-(before as i64), &speech);
            let joint = ring.set_delay(after, 400_000).joint;
            assert!((30_000 - WINDOW..34_800).contains(&joint), "from {before} to {after} at {joint}");
        }
    }

    #[test]
    fn what_was_cut_is_not_heard_however_late_it_comes_and_all_else_is() {
        for (last, lead, expected_from) in [(Some(20_000), 0, 80_000), (None, 0, SOON), (Some(20_000), 30_000, 110_000)]
        {
            let mut ring = Ring::new(400_000, 0);
            ring.set_delay(100_000, 400_000);
            ring.set_lead(lead);
            ring.write(-100_000, &counted(0, 100_000));
            let cut = ring.cut(last);
            assert_eq!(cut, Cut { from: expected_from, to: 100_000 + lead });
            // The source gives what it had for that time all the same, and goes on.
            ring.write(0, &counted(100_000, 100_000));
            let heard = heard(&drain(&mut ring, 250_000));
            assert!(heard.iter().all(|n| !(cut.from..cut.to).contains(n)), "{last:?} {lead}");
            let fades = 2 * FADE as u64;
            let whole = (0..200_000_u64).filter(|n| *n + fades < cut.from || *n >= cut.to + fades);
            assert!(whole.filter(|n| *n >= fades && *n + fades < 200_000).all(|n| heard.binary_search(&n).is_ok()));
        }
    }

    #[test]
    fn a_cut_without_a_delay_takes_what_the_source_lies_ahead() {
        let mut ring = Ring::new(400_000, 0);
        ring.write(0, &counted(0, 96_000));
        assert_eq!(ring.cut(Some(480_000)), Cut { from: SOON, to: 96_000 });
        let mut empty = Ring::new(400_000, 7);
        let Cut { from, to } = empty.cut(None);
        assert_eq!(from, to, "there is nothing to cut");
    }

    #[test]
    fn a_cut_moves_with_the_delay() {
        let mut ring = Ring::new(400_000, 0);
        ring.set_delay(200_000, 600_000);
        ring.write(-100_000, &counted(0, 100_000));
        ring.cut(Some(10_000));
        let joint = ring.set_delay(250_000, 650_000).joint;
        assert!(joint < 190_000);
        ring.write(-10_000, &counted(90_000, 30_000));
        let heard = heard(&drain(&mut ring, 400_000));
        assert!(!heard.iter().any(|n| (90_000..100_000).contains(n)));
        assert!(heard.contains(&110_000));
    }

    /// What is heard of a source that stays 12 000 samples ahead of the air, through steps of a delay, the length of what
    /// the source writes at once, and how much is read before the next step.
    fn heard_through(steps: &[(u64, u64, usize)]) -> Vec<u64> {
        let mut ring = Ring::new(60_000, 0);
        let (mut written, mut out) = (0_u64, Vec::new());
        for (delay, length, read) in steps {
            while written < out.len() as u64 + 12_000 {
                ring.write(written as i64, &counted(written, *length));
                written += length;
            }
            ring.set_delay(*delay, *delay as usize + 60_000);
            assert!(ring.spans.windows(2).all(|pair| pair[0].end <= pair[1].start));
            out.extend(drain(&mut ring, *read));
        }
        out.extend(drain(&mut ring, 60_000));
        heard(&out)
    }

    #[test]
    fn a_hole_ahead_is_not_filled_with_what_was_said_later() {
        // Longer in two steps, so that a hole lies ahead; then shorter, behind all that is written.
        let steps =
            [(9026, 24_000, 4000), (17_672, 1133, 2324), (9806, 7386, 3840), (9967, 1386, 7138), (9608, 4459, 9)];
        for from in 0..steps.len() {
            let heard = heard_through(&steps[from..]);
            assert!(heard.windows(2).all(|pair| pair[0] < pair[1]), "{from}");
        }
        let found = [(717, 1605, 3720), (1065, 1, 6818), (2272, 136, 1694), (9026, 1419, 6900)];
        let found =
            [&found[..], &[(17_672, 1133, 2324), (9806, 7386, 3840), (9967, 1386, 7138), (9608, 4459, 4631)]].concat();
        let heard = heard_through(&found);
        assert!(heard.windows(2).all(|pair| pair[0] < pair[1]));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn no_change_of_the_delay_makes_anything_heard_twice_or_out_of_order(
            steps in proptest::collection::vec((0_u64..20_000, 1_u64..8_000, 0_usize..8_000), 1..10),
        ) {
            let heard = heard_through(&steps);
            prop_assert!(heard.windows(2).all(|pair| pair[0] < pair[1]), "out of order");
        }
    }
}
