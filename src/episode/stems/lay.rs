//! Puts blocks of samples at their places on one axis of a fixed length: silence between them, no sample twice. Pure.

use std::collections::VecDeque;

use crate::media::{SAMPLE_RATE, StereoSample};

/// Silence that is handed out at once.
const SILENCE: u64 = SAMPLE_RATE as u64;

/// What waits to be handed out.
#[derive(Debug)]
enum Piece {
    Silence(u64),
    Samples(Vec<StereoSample>),
}

/// An axis that is filled from its start to its end.
#[derive(Debug)]
pub(super) struct Lay {
    length: u64,
    /// Where the next sample goes.
    at: u64,
    pieces: VecDeque<Piece>,
}

impl Lay {
    pub(super) fn new(length: u64) -> Self {
        Self { length, at: 0, pieces: VecDeque::new() }
    }

    /// Puts a block at `at`, which may lie before the axis; what does not fit there is left out.
    pub(super) fn put(&mut self, at: i64, mut samples: Vec<StereoSample>) {
        let before = usize::try_from((self.at as i64).saturating_sub(at)).unwrap_or(0).min(samples.len());
        samples.drain(..before);
        let at = at.saturating_add(before as i64).max(0).unsigned_abs();
        if samples.is_empty() || at >= self.length {
            return;
        }
        samples.truncate(usize::try_from(self.length - at).unwrap_or(usize::MAX));
        self.silence(at);
        self.at = at + samples.len() as u64;
        self.pieces.push_back(Piece::Samples(samples));
    }

    /// Nothing more comes.
    pub(super) fn end(&mut self) {
        self.silence(self.length);
    }

    fn silence(&mut self, to: u64) {
        if to > self.at {
            self.pieces.push_back(Piece::Silence(to - self.at));
            self.at = to;
        }
    }

    /// The next samples, a second at most or one block; none where more must be put first.
    pub(super) fn next(&mut self) -> Option<Vec<StereoSample>> {
        match self.pieces.pop_front()? {
            Piece::Samples(samples) => Some(samples),
            Piece::Silence(left) => {
                let now = left.min(SILENCE);
                if left > now {
                    self.pieces.push_front(Piece::Silence(left - now));
                }
                Some(vec![[0.0; 2]; now as usize])
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(lay: &mut Lay) -> Vec<f32> {
        let mut out = Vec::new();
        while let Some(samples) = lay.next() {
            assert!(samples.len() <= 48_000);
            out.extend(samples.into_iter().map(|sample| sample[0]));
        }
        out
    }

    #[test]
    fn blocks_lie_where_they_belong_whatever_overlaps_or_lacks() {
        let mut lay = Lay::new(10);
        lay.put(-2, vec![[1.0; 2]; 3]);
        lay.put(3, vec![[2.0; 2]; 2]);
        lay.put(4, vec![[3.0; 2]; 2]);
        lay.put(2, vec![[9.0; 2]; 1]);
        lay.put(9, vec![[4.0; 2]; 5]);
        lay.put(20, vec![[9.0; 2]; 5]);
        lay.end();
        assert_eq!(all(&mut lay), [1.0, 0.0, 0.0, 2.0, 2.0, 3.0, 0.0, 0.0, 0.0, 4.0]);
    }

    proptest! {
        #[test]
        fn whatever_comes_the_axis_has_its_length(
            length in 0_u64..100_000,
            blocks in proptest::collection::vec((-2000_i64..120_000, 0_usize..2000), 0..30),
        ) {
            let mut lay = Lay::new(length);
            blocks.into_iter().for_each(|(at, count)| lay.put(at, vec![[1.0; 2]; count]));
            lay.end();
            prop_assert_eq!(all(&mut lay).len() as u64, length);
        }
    }
}
