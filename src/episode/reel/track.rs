//! The track on which a reel puts frames of one configuration: where each belongs, and the silence between them.

use bytes::Bytes;

use crate::episode::error::EpisodeError;
use crate::episode::place::{Placing, place};
use crate::gst::remux::silent_frame;
use crate::media::{AAC_FRAME_SAMPLES, SAMPLE_RATE};
use crate::recording::adts::AacConfig;

/// Longer holes are not filled with silence: nobody posts them, and a broken timestamp must not fill a disk.
const LONGEST_FILL_SECONDS: u64 = 24 * 3600;

/// Where frames are being put.
#[derive(Debug)]
pub(super) struct Track {
    pub(super) config: AacConfig,
    pub(super) origin: i64,
    pub(super) frames: u64,
    pub(super) silent: Option<Bytes>,
}

impl Track {
    /// Where a frame at media time `at` belongs.
    pub(super) fn place(&self, at: i64, slack: u64) -> Placing {
        let rate = i128::from(self.config.sample_rate);
        let unit = i128::from(SAMPLE_RATE) * AAC_FRAME_SAMPLES as i128;
        let ahead = i128::from(at.saturating_sub(self.origin));
        let expected = (ahead * rate + unit / 2).div_euclid(unit);
        let longest = LONGEST_FILL_SECONDS * u64::from(self.config.sample_rate) / AAC_FRAME_SAMPLES;
        place(expected.clamp(i64::MIN.into(), i64::MAX.into()) as i64, self.frames, slack, longest)
    }

    pub(super) fn silence(&mut self) -> Result<Bytes, EpisodeError> {
        let frame = match &self.silent {
            Some(frame) => frame.clone(),
            None => silent_frame(self.config.sample_rate, self.config.channels)?,
        };
        self.silent = Some(frame.clone());
        Ok(frame)
    }
}
