//! The forms of AAC that the simulated space can speak, and how their frames lie on the ruler. Pure arithmetic.

use serde::{Deserialize, Serialize};

use crate::media::{AAC_FRAME_SAMPLES, SAMPLE_RATE};

/// Joints of frames lie every 256/75 s: there a frame starts at 48 000 Hz (every 160) and at 44 100 Hz (every 147), so
/// that a change of the rate between them neither loses nor repeats a sample. In samples of 48 000 Hz.
pub(super) const JOINT_SAMPLES: u64 = 163_840;
/// Joints per 300 samples of a rate: 48 000 / 300 = 160 frames.
const RATE_PER_JOINT: u32 = 300;

/// Rate and channels of AAC-LC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SoundFormat {
    /// 44 100 or 48 000 Hz.
    pub sample_rate: u32,
    /// 1 or 2.
    pub channels: u8,
}

impl Default for SoundFormat {
    /// What X speaks (ffprobe output in yt-dlp issue 7536).
    fn default() -> Self {
        Self { sample_rate: SAMPLE_RATE, channels: 2 }
    }
}

impl SoundFormat {
    /// Whether the simulated space can speak it.
    pub fn is_known(self) -> bool {
        matches!(self.sample_rate, 44_100 | 48_000) && matches!(self.channels, 1 | 2)
    }

    /// Time of the start of frame `frame`, in ms, rounded up.
    pub fn ms_of(self, frame: u64) -> u64 {
        (frame * AAC_FRAME_SAMPLES * 1000).div_ceil(u64::from(self.sample_rate))
    }

    /// The frame that sounds at `ms`.
    pub fn frame_at(self, ms: u64) -> u64 {
        ms * u64::from(self.sample_rate) / 1000 / AAC_FRAME_SAMPLES
    }

    /// Where frame `frame` starts on the ruler, in samples of 48 000 Hz.
    pub fn ruler_sample(self, frame: u64) -> u64 {
        frame * AAC_FRAME_SAMPLES * u64::from(SAMPLE_RATE) / u64::from(self.sample_rate)
    }

    /// Frames between two joints.
    pub(super) fn joint_frames(self) -> u64 {
        u64::from(self.sample_rate / RATE_PER_JOINT)
    }

    /// The sampling frequency index of an ADTS header (ISO/IEC 14496-3, table 1.18).
    pub(super) fn adts_index(self) -> u8 {
        if self.sample_rate == 44_100 { 4 } else { 3 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_both_rates_start_together_at_every_joint() {
        for sample_rate in [44_100, 48_000] {
            let format = SoundFormat { sample_rate, channels: 1 };
            assert!(format.is_known());
            for joint in [0, 1, 2, 75, 1000] {
                assert_eq!(format.ruler_sample(joint * format.joint_frames()), joint * JOINT_SAMPLES, "{sample_rate}");
            }
        }
        assert!(!SoundFormat { sample_rate: 96_000, channels: 2 }.is_known());
    }

    #[test]
    fn a_time_and_its_frame_agree() {
        let format = SoundFormat { sample_rate: 44_100, channels: 2 };
        assert_eq!((format.frame_at(10_000), format.ms_of(430)), (430, 9985));
        assert_eq!(SoundFormat::default().ms_of(141), 3008);
    }
}
