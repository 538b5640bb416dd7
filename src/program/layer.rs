//! Lays a source's blocks one after the other onto the program, at the pace of the source's clock.
//!
//! Pure: it says where samples go, and writes nothing.

use super::{Placement, Stretcher};
use crate::media::{PcmBlock, StereoSample};

/// What lays the blocks of one session.
#[derive(Debug, Default)]
pub struct Layer {
    stretcher: Stretcher,
    /// Media time of the end of the last block: what begins there follows on it.
    follows: Option<i64>,
}

impl Layer {
    /// Where `block` goes, and its samples at the source's pace; none while its session has no place. Blocks that follow
    /// on each other in media time do so on the program, sample by sample, whatever the pace; after a jump of media time
    /// the place of the new one counts. `now` is the program's position.
    pub fn lay<'a>(
        &'a mut self,
        block: &'a PcmBlock,
        placement: &mut Placement,
        now: u64,
    ) -> Option<(i64, &'a [StereoSample])> {
        if self.follows != Some(block.media_time) {
            self.stretcher.reset();
        }
        let length = block.samples.len() as i64;
        self.follows = Some(block.media_time + length);
        let held = self.stretcher.held();
        let at = placement.program_sample(block.media_time)? - held as i64;
        let (samples, held_now) = self.stretcher.process(&block.samples, placement.correction(now));
        placement.stretched(samples.len() as i64 + held_now as i64 - held as i64 - length);
        Some((at, samples))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::program::Edge;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn no_hole_and_no_overlap_wherever_media_time_goes_on(
            blocks in proptest::collection::vec((1_usize..4_000, 0_u8..20, 0_i64..90_000), 1..80),
            drift in -4e-4..4e-4_f64,
        ) {
            let (mut placement, mut layer) = (Placement::new(96_000), Layer::default());
            // A clock that is known to be off, from an hour of arrivals.
            for n in 0..1_200_i64 {
                let end = n * 144_000;
                let seen = end as f64 * (1.0 + drift);
                placement.on_edge(Edge { end, piece: 48_000, in_hand: true }, seen as u64);
            }
            let first = 1_200 * 144_000_i64;
            let (mut media, mut expected) = (first, None);
            for (length, chance, jump) in blocks {
                if chance == 0 {
                    media += jump;
                    expected = expected.filter(|_| jump == 0);
                }
                let block = PcmBlock { media_time: media, samples: vec![[0.25; 2]; length] };
                let (at, samples) = layer.lay(&block, &mut placement, media as u64).expect("a place");
                let count = samples.len() as i64;
                prop_assert!(expected.is_none_or(|expected| expected == at), "{:?} and {}", expected, at);
                media += length as i64;
                expected = Some(at + count);
                let written = placement.program_sample(media).expect("a place") - (at + count);
                // What the resampler still holds lies between what is written and the anchor's word.
                prop_assert!((0..=12).contains(&written), "{}", written);
            }
        }
    }
}
