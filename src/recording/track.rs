//! One finished `.m4a` on its way: frames at their places, silence where there are none.

use std::path::PathBuf;

use bytes::Bytes;

use super::adts::AacConfig;
use crate::gst::remux::{M4aWriter, silent_frame};
use crate::gst::{FileTags, GstError};
use crate::media::AAC_FRAME_SAMPLES;

/// Longer holes are not filled with silence: nobody posts them, and a broken timestamp must not fill a disk.
const LONGEST_FILL_SECONDS: u64 = 24 * 3600;

/// What to do so that the next frame lies at its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Placing {
    /// Silent frames to put before it; 0 when it follows.
    Fill(u64),
    /// Frames that are in the file already and must not be there twice.
    Drop(u64),
    /// It is too far away for one file.
    Apart,
}

/// Where a frame belongs whose place is `expected` frames from the file's start, when `written` are in the file.
/// Less than `slack` frames are rounding.
pub(super) fn place(expected: i64, written: u64, slack: u64, longest: u64) -> Placing {
    let ahead = expected.saturating_sub_unsigned(written);
    match u64::try_from(ahead) {
        Ok(missing) if missing > longest => Placing::Apart,
        Ok(missing) if missing >= slack => Placing::Fill(missing),
        Ok(_) => Placing::Fill(0),
        // A frame or two too many is rounding on the source's side too.
        Err(_) if ahead >= -2 => Placing::Fill(0),
        Err(_) => Placing::Drop(ahead.unsigned_abs()),
    }
}

/// A file that takes frames of one configuration.
#[derive(Debug)]
pub(super) struct Track {
    writer: M4aWriter,
    pub(super) config: AacConfig,
    /// Media time of its first sample.
    pub(super) origin: i64,
    silent: Option<Bytes>,
    filled: u64,
    repeated: u64,
}

impl Track {
    /// Starts a file at `path`; what it starts with lies at media time `origin`.
    pub(super) fn start(
        path: PathBuf,
        scratch: PathBuf,
        config: AacConfig,
        origin: i64,
        tags: &FileTags,
    ) -> Result<Self, GstError> {
        let asc = config.specific_config();
        let writer = M4aWriter::create(&path, &scratch, &asc, config.sample_rate, config.channels, tags)?;
        Ok(Self { writer, config, origin, silent: None, filled: 0, repeated: 0 })
    }

    /// Makes ready for frames that lie `samples` (of 48 000 a second) after the file's start, fills what is missing
    /// before them, and says how many of them to leave out. None when they belong into another file.
    pub(super) fn seek(&mut self, samples: i64, slack: u64) -> Result<Option<u64>, GstError> {
        let rate = i128::from(self.config.sample_rate);
        let unit = 48_000 * AAC_FRAME_SAMPLES as i128;
        let expected = (i128::from(samples) * rate + unit / 2).div_euclid(unit);
        let longest = LONGEST_FILL_SECONDS * u64::from(self.config.sample_rate) / AAC_FRAME_SAMPLES;
        match place(expected.clamp(i64::MIN.into(), i64::MAX.into()) as i64, self.writer.frames(), slack, longest) {
            Placing::Fill(0) => Ok(Some(0)),
            // Only AAC-LC is encoded here: other kinds go on in a file of their own.
            Placing::Fill(_) if self.config.object_type != 2 => Ok(None),
            Placing::Fill(count) => self.fill(count).map(|()| Some(0)),
            Placing::Drop(count) => {
                self.repeated += count;
                Ok(Some(count))
            }
            Placing::Apart => Ok(None),
        }
    }

    fn fill(&mut self, count: u64) -> Result<(), GstError> {
        let frame = match &self.silent {
            Some(frame) => frame.clone(),
            None => silent_frame(self.config.sample_rate, self.config.channels)?,
        };
        for _ in 0..count {
            self.writer.push(frame.clone())?;
        }
        self.filled += count;
        self.silent = Some(frame);
        Ok(())
    }

    /// Appends a frame.
    pub(super) fn push(&mut self, data: Bytes) -> Result<(), GstError> {
        self.writer.push(data)
    }

    /// Length so far, in seconds.
    pub(super) fn seconds(&self) -> f64 {
        self.duration(self.writer.frames())
    }

    /// Silence in place of missing audio, in seconds.
    pub(super) fn filled_seconds(&self) -> f64 {
        self.duration(self.filled)
    }

    /// Frames that were left out because they were in the file already.
    pub(super) fn repeated(&self) -> u64 {
        self.repeated
    }

    /// Makes the file whole.
    pub(super) fn finish(self) -> Result<(), GstError> {
        self.writer.finish()
    }

    fn duration(&self, frames: u64) -> f64 {
        (frames * AAC_FRAME_SAMPLES) as f64 / f64::from(self.config.sample_rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_find_their_place_by_table() {
        for (expected, written, slack, wanted) in [
            (0, 0, 1, Placing::Fill(0)),
            (141, 141, 1, Placing::Fill(0)),
            (142, 141, 1, Placing::Fill(1)),
            (142, 141, 2, Placing::Fill(0)),
            (143, 141, 2, Placing::Fill(2)),
            (139, 141, 1, Placing::Fill(0)),
            (138, 141, 1, Placing::Drop(3)),
            (-5, 1, 1, Placing::Drop(6)),
            (1141, 141, 1, Placing::Fill(1000)),
            (1142, 141, 1, Placing::Apart),
        ] {
            assert_eq!(place(expected, written, slack, 1000), wanted, "{expected} after {written}");
        }
    }
}
