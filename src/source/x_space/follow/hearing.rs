//! Silence that is real against silence that is a fault. Pure.

use std::time::{Duration, Instant};

use crate::media::{PcmBlock, SAMPLE_RATE};
use crate::source::Notice;

/// Below this peak there is nothing to hear: -70 dBFS.
const FLOOR: f32 = 0.000_316_227_77;

/// Silence of this much audio is told.
const LONG_SILENCE: u64 = 20 * SAMPLE_RATE as u64;

/// Segments that arrive and give no sound for this long are a fault.
const MUTE: Duration = Duration::from_secs(10);

/// What is heard of the segments that arrive.
#[derive(Debug, Clone, Default)]
pub(super) struct Hearing {
    /// Silent samples in a row.
    silent: u64,
    told_silent: bool,
    /// When the first segment came that nothing was decoded after, and how many there are.
    unheard: Option<(Instant, u32)>,
    told_mute: bool,
}

impl Hearing {
    /// A segment arrived.
    pub(super) fn on_segment(&mut self, now: Instant) {
        let (since, count) = self.unheard.unwrap_or((now, 0));
        self.unheard = Some((since, count + 1));
    }

    /// Audio was decoded.
    pub(super) fn on_block(&mut self, block: &PcmBlock) -> Option<Notice> {
        self.unheard = None;
        if block.samples.iter().flatten().any(|value| value.abs() >= FLOOR) {
            self.silent = 0;
            let was_told = std::mem::take(&mut self.told_silent) | std::mem::take(&mut self.told_mute);
            return was_told.then(|| Notice::info("source.sound", "the Space can be heard again"));
        }
        self.silent += block.samples.len() as u64;
        if self.told_silent || self.silent < LONG_SILENCE {
            return None;
        }
        (self.told_silent, self.told_mute) = (true, false);
        Some(Notice::info("source.silent", "the Space is silent: segments arrive and hold silence"))
    }

    /// Time went by.
    pub(super) fn on_tick(&mut self, now: Instant) -> Option<Notice> {
        let (since, count) = self.unheard?;
        if self.told_mute || count < 2 || now.saturating_duration_since(since) < MUTE {
            return None;
        }
        self.told_mute = true;
        let message = "segments arrive and nothing in them can be decoded; they are recorded as they are";
        let remedy = "If it lasts, the Space's sound is of a kind that is not known here: listen in a browser, and keep the recording.";
        Some(Notice::warning("source.undecodable", message, Some(remedy)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(level: f32) -> PcmBlock {
        PcmBlock { media_time: 0, samples: vec![[level, -level]; SAMPLE_RATE as usize] }
    }

    #[test]
    fn real_silence_is_told_once_after_twenty_seconds_and_so_is_its_end() {
        let mut hearing = Hearing::default();
        let mut codes = Vec::new();
        for level in [0.1].into_iter().chain([0.0003; 40]).chain([0.0004; 3]).chain([0.0; 19]).chain([0.1]) {
            codes.push(hearing.on_block(&block(level)).map(|notice| notice.code));
        }
        let told: Vec<_> = codes.iter().enumerate().filter_map(|(n, code)| code.map(|code| (n, code))).collect();
        assert_eq!(told, [(20, "source.silent"), (41, "source.sound")]);
    }

    #[test]
    fn segments_that_give_no_sound_are_a_fault_after_ten_seconds_and_none_at_all_are_not() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut hearing = Hearing::default();
        hearing.on_segment(start);
        assert_eq!(hearing.on_tick(at(60)), None);
        hearing.on_block(&block(0.1));
        hearing.on_segment(at(60));
        hearing.on_segment(at(63));
        assert_eq!(hearing.on_tick(at(69)), None);
        assert_eq!(hearing.on_tick(at(70)).map(|notice| notice.code), Some("source.undecodable"));
        assert_eq!(hearing.on_tick(at(71)), None);
        assert_eq!(hearing.on_block(&block(0.1)).map(|notice| notice.code), Some("source.sound"));
    }
}
