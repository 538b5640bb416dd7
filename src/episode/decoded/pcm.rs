//! A captured stream of uncompressed sound: its samples on media time, cut to the piece that is wanted.

use crate::episode::error::EpisodeError;
use crate::episode::reel::{Range, Reel};
use crate::gst::decode_capture::CapturedSamples;
use crate::media::StereoSample;

/// Times in the stream are rounded to milliseconds: what is closer than this follows what came before.
const ROUNDING: u64 = 96;

/// See the module.
pub(super) struct Pcm {
    stream: CapturedSamples,
    /// Media time of its zero.
    origin: i64,
    range: Range,
    /// Where in the stream the next samples are expected.
    next: u64,
    /// Samples that are not handed out yet, and their media time.
    pub(super) waiting: Option<(i64, Vec<StereoSample>)>,
}

impl Pcm {
    /// Opens the stream of a reel's archive whose zero lies at media time `origin`.
    pub(super) fn open(reel: &Reel, file: &str, origin: i64) -> Result<Self, EpisodeError> {
        let stream = CapturedSamples::open(&reel.folder().path().join(file))?;
        Ok(Self { stream, origin, range: reel.range(), next: 0, waiting: None })
    }

    /// The next samples and their media time; none at the end.
    pub(super) fn next(&mut self) -> Result<Option<(i64, Vec<StereoSample>)>, EpisodeError> {
        if let Some(waiting) = self.waiting.take() {
            return Ok(Some(waiting));
        }
        while let Some((at, block)) = self.stream.next().transpose()? {
            let at = if at.abs_diff(self.next) <= ROUNDING { self.next } else { at };
            self.next = at + block.len() as u64;
            let media_time = self.origin.saturating_add_unsigned(at);
            if self.range.end.is_some_and(|end| media_time >= end) {
                return Ok(None);
            }
            let (media_time, block) = cut(media_time, block, self.range);
            if !block.is_empty() {
                return Ok(Some((media_time, block)));
            }
        }
        Ok(None)
    }

    /// Everything from `block` on comes earlier, so that the block begins at media time `to`.
    pub(super) fn shift(&mut self, by: u64, block: Vec<StereoSample>, to: i64) {
        self.origin = self.origin.saturating_sub_unsigned(by);
        self.waiting = Some((to, block));
    }
}

/// What of a block lies in a piece.
fn cut(media_time: i64, mut block: Vec<StereoSample>, range: Range) -> (i64, Vec<StereoSample>) {
    if let Some(end) = range.end {
        block.truncate(usize::try_from(end.saturating_sub(media_time)).unwrap_or(0));
    }
    let before = range.start.map_or(0, |start| start.saturating_sub(media_time).max(0));
    let before = usize::try_from(before).unwrap_or(usize::MAX).min(block.len());
    block.drain(..before);
    (media_time.saturating_add(before as i64), block)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_is_cut_to_the_sample() {
        let block = || vec![[0.0; 2]; 100];
        for (start, end, wanted) in [
            (None, None, (1000, 100)),
            (Some(1010), None, (1010, 90)),
            (None, Some(1090), (1000, 90)),
            (Some(1010), Some(1020), (1010, 10)),
            (Some(2000), None, (1100, 0)),
            (None, Some(500), (1000, 0)),
        ] {
            let (at, left) = cut(1000, block(), Range { start, end });
            assert_eq!((at, left.len()), wanted, "{start:?} {end:?}");
        }
    }
}
