//! The last of what a path gave, by its place: what another path is compared with, and what stands in for it.
//!
//! Pure. Places are samples of whatever axis the owner counts on: media time of a source that stands by, program samples
//! of what was aired.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use crate::media::StereoSample;

/// One stretch without a hole.
#[derive(Debug, Clone)]
struct Block {
    start: i64,
    samples: Arc<[StereoSample]>,
}

impl Block {
    fn end(&self) -> i64 {
        self.start + self.samples.len() as i64
    }
}

/// A bounded store of the newest samples.
#[derive(Debug, Clone)]
pub struct Reserve {
    blocks: VecDeque<Block>,
    room: i64,
}

impl Reserve {
    /// A store of the newest `room` samples.
    pub fn new(room: u64) -> Self {
        Self { blocks: VecDeque::new(), room: room as i64 }
    }

    /// Takes samples that begin at `at`. What lies before the end of what is there is left out: time does not go back,
    /// unless by more than there is room for; then everything starts again.
    pub fn push(&mut self, at: i64, samples: &[StereoSample]) {
        let Some(end) = at.checked_add(samples.len() as i64) else { return };
        if self
            .end()
            .is_some_and(|newest| at < newest.saturating_sub(self.room) || at > newest.saturating_add(self.room))
        {
            self.blocks.clear();
        }
        let known = self.end().map_or(0, |newest| (newest - at).max(0));
        if known < samples.len() as i64 {
            self.blocks.push_back(Block { start: at + known, samples: samples[known as usize..].into() });
        }
        while self.blocks.front().is_some_and(|block| block.end() < end - self.room) {
            self.blocks.pop_front();
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.blocks.clear();
    }

    /// Forgets what lies at `from` and after it.
    pub fn truncate(&mut self, from: i64) {
        self.blocks.retain(|block| block.start < from);
        if let Some(block) = self.blocks.back_mut()
            && block.end() > from
        {
            block.samples = block.samples[..(from - block.start) as usize].into();
        }
    }

    /// First place that is there.
    pub fn start(&self) -> Option<i64> {
        self.blocks.front().map(|block| block.start)
    }

    /// Place after the last one that is there.
    pub fn end(&self) -> Option<i64> {
        self.blocks.back().map(Block::end)
    }

    /// What is there of `range`, as stretches with their places.
    pub fn pieces(&self, range: Range<i64>) -> impl Iterator<Item = (i64, &[StereoSample])> {
        let first = self.blocks.partition_point(|block| block.end() <= range.start);
        let blocks = self.blocks.range(first..).take_while({
            let end = range.end;
            move |block| block.start < end
        });
        blocks.filter_map(move |block| {
            let (from, to) = (block.start.max(range.start), block.end().min(range.end));
            let piece = block.samples.get((from - block.start) as usize..(to.max(from) - block.start) as usize)?;
            (!piece.is_empty()).then_some((from, piece))
        })
    }

    /// All that is there in mono, with its first place; holes are silent.
    pub fn mono(&self) -> Option<(i64, Vec<f32>)> {
        let (start, end) = (self.start()?, self.end()?);
        let mut out = vec![0.0; (end - start) as usize];
        for (at, piece) in self.pieces(start..end) {
            let out = &mut out[(at - start) as usize..];
            out.iter_mut().zip(piece).for_each(|(out, sample)| *out = (sample[0] + sample[1]) / 2.0);
        }
        Some((start, out))
    }

    /// Root mean square of `range`; none where any of it is not there.
    pub fn rms(&self, range: Range<i64>) -> Option<f32> {
        let (mut sum, mut count) = (0.0_f64, 0_i64);
        for (_, piece) in self.pieces(range.clone()) {
            count += piece.len() as i64;
            sum += piece.iter().flatten().map(|value| f64::from(*value * *value)).sum::<f64>();
        }
        let whole = count > 0 && count == range.end - range.start;
        whole.then(|| (sum / (2 * count) as f64).sqrt() as f32)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn samples(from: i64, count: usize) -> Vec<StereoSample> {
        (from..from + count as i64).map(|n| [n as f32, -(n as f32)]).collect()
    }

    #[test]
    fn holes_stay_holes_and_nothing_is_there_twice() {
        let mut reserve = Reserve::new(10_000);
        reserve.push(100, &samples(100, 100));
        reserve.push(150, &samples(150, 100));
        reserve.push(300, &samples(300, 50));
        let pieces: Vec<_> = reserve.pieces(0..1_000).map(|(at, piece)| (at, piece.len(), piece[0][0])).collect();
        assert_eq!(pieces, [(100, 100, 100.0), (200, 50, 200.0), (300, 50, 300.0)]);
        assert_eq!((reserve.rms(120..240).is_some(), reserve.rms(240..310)), (true, None));
        assert_eq!(reserve.mono().map(|(start, mono)| (start, mono.len())), Some((100, 250)));
    }

    #[test]
    fn a_clock_that_jumps_far_starts_again_and_room_is_kept() {
        let mut reserve = Reserve::new(1_000);
        for n in 0..50 {
            reserve.push(n * 100, &samples(n * 100, 100));
        }
        assert_eq!((reserve.start(), reserve.end()), (Some(3_900), Some(5_000)));
        reserve.push(0, &samples(0, 10));
        assert_eq!((reserve.start(), reserve.end()), (Some(0), Some(10)));
        reserve.push(i64::MAX - 3, &samples(0, 10));
        assert_eq!(reserve.end(), Some(10), "places beyond all counting are ignored");
    }

    #[test]
    fn truncating_leaves_what_lies_before() {
        let mut reserve = Reserve::new(1_000);
        reserve.push(0, &samples(0, 100));
        reserve.push(100, &samples(100, 100));
        reserve.truncate(150);
        assert_eq!(reserve.end(), Some(150));
        reserve.push(150, &samples(150, 10));
        assert!(reserve.rms(140..160).is_some());
        reserve.truncate(0);
        assert_eq!(reserve.end(), None);
    }

    proptest! {
        #[test]
        fn every_sample_is_given_back_at_its_own_place(pushes in proptest::collection::vec((0_i64..3_000, 1_usize..400), 1..30)) {
            let mut reserve = Reserve::new(1_500);
            for (at, count) in pushes {
                reserve.push(at, &samples(at, count));
                let mut end = i64::MIN;
                for (at, piece) in reserve.pieces(-10..9_000) {
                    prop_assert!(at >= end);
                    end = at + piece.len() as i64;
                    prop_assert!(piece.iter().zip(at..).all(|(sample, place)| sample[0] == place as f32));
                }
            }
        }
    }
}
