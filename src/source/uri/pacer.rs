//! Hands decoded audio on in real time, whatever bursts it comes in. Pure: no clock, no I/O.
//!
//! Servers greet a listener with seconds of audio at once, and a file comes as fast as it can be read. What is early
//! waits here; it is also what a short break of the connection is bridged with. What is late goes on at once.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::media::{PcmBlock, SAMPLE_RATE};

/// Audio that may wait, in samples: 20 s are more than any server's greeting, and 8 MB.
const ROOM: usize = 20 * SAMPLE_RATE as usize;

/// Audio that is later than the default delay of the source was missed on the air: what comes now begins anew, so that
/// all of it is heard, instead of hurrying after a time that is over.
const LATE: Duration = super::DELAY;

/// A queue of blocks with the time at which each is due.
#[derive(Debug, Default)]
pub(super) struct Pacer {
    /// A moment, and the media time that was due then.
    zero: Option<(Instant, i64)>,
    blocks: VecDeque<PcmBlock>,
    waiting: usize,
}

impl Pacer {
    pub(super) fn push(&mut self, block: PcmBlock) {
        self.waiting += block.samples.len();
        self.blocks.push_back(block);
    }

    /// Whether more should be read from where the audio comes from.
    pub(super) fn has_room(&self) -> bool {
        self.waiting < ROOM
    }

    pub(super) fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// When the next block is due; none if there is none.
    pub(super) fn next_due(&self, now: Instant) -> Option<Instant> {
        let block = self.blocks.front()?;
        let Some((at, media_time)) = self.zero else { return Some(now) };
        let ahead = u64::try_from(block.media_time - media_time).unwrap_or(0);
        Some(at + Duration::from_nanos(ahead.saturating_mul(1_000_000_000) / u64::from(SAMPLE_RATE)))
    }

    /// The next block, if it is due.
    pub(super) fn pop(&mut self, now: Instant) -> Option<PcmBlock> {
        let due = self.next_due(now).filter(|due| *due <= now)?;
        let block = self.blocks.pop_front()?;
        self.waiting -= block.samples.len();
        if self.zero.is_none() || now - due > LATE {
            self.zero = Some((now, block.media_time));
        }
        Some(block)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(second: i64) -> PcmBlock {
        PcmBlock { media_time: second * 48_000, samples: vec![[0.0; 2]; 48_000] }
    }

    fn popped(pacer: &mut Pacer, now: Instant) -> Vec<i64> {
        std::iter::from_fn(|| pacer.pop(now)).map(|block| block.media_time / 48_000).collect()
    }

    #[test]
    fn a_burst_goes_on_the_air_second_by_second() {
        let (mut pacer, start) = (Pacer::default(), Instant::now());
        (0..5).for_each(|second| pacer.push(block(second)));
        assert_eq!(popped(&mut pacer, start), [0]);
        assert_eq!(pacer.next_due(start), Some(start + Duration::from_secs(1)));
        assert_eq!(popped(&mut pacer, start + Duration::from_millis(1900)), [1]);
        assert_eq!(popped(&mut pacer, start + Duration::from_millis(3000)), [2, 3]);
    }

    #[test]
    fn a_little_late_is_made_up_for_and_a_long_break_is_heard_to_its_end() {
        let (mut pacer, start) = (Pacer::default(), Instant::now());
        let at = |seconds: f64| start + Duration::from_secs_f64(seconds);
        pacer.push(block(0));
        assert_eq!(popped(&mut pacer, start), [0]);
        (1..3).for_each(|second| pacer.push(block(second)));
        assert_eq!(popped(&mut pacer, at(2.0)), [1, 2]);
        (3..8).for_each(|second| pacer.push(block(second)));
        assert_eq!(popped(&mut pacer, at(10.0)), [3]);
        assert_eq!(popped(&mut pacer, at(11.0)), [4]);
    }

    #[test]
    fn a_file_is_not_read_into_memory() {
        let mut pacer = Pacer::default();
        (0..20).for_each(|second| pacer.push(block(second)));
        assert!(!pacer.has_room());
        pacer.pop(Instant::now());
        assert!(pacer.has_room());
    }
}
