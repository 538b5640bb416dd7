//! The time of a track's packets as their sender counts it.
//!
//! A jitter buffer stamps packets by when they arrive, smoothed: in a connection's first seconds its guess of the
//! sender's clock moves by tens of milliseconds, and every fresh report of the sender may move it again. The packets'
//! own times (RFC 3550 §5.1) are exact. Only the first packet's place is taken from the buffer.

use std::sync::{Mutex, MutexGuard};

use gstreamer as gst;
use gstreamer::prelude::*;

use crate::gst::samples::{clock_time, sample_count};

/// A packet whose time lies further off belongs to another count: 10 s, in 48 kHz samples.
const FAR: i64 = 480_000;

/// What has come of a track, in the sender's time.
#[derive(Debug, Default)]
struct Count {
    /// RTP time and place of the packet that came last.
    last: Option<(u32, u64)>,
}

impl Count {
    /// Where a packet lies that the jitter buffer would have put at `guess`.
    fn packet(&mut self, time: u32, guess: u64) -> u64 {
        let place = match self.last {
            Some((last, place)) => {
                let passed = i64::from(time.wrapping_sub(last).cast_signed());
                if passed.abs() <= FAR { place.saturating_add_signed(passed) } else { guess }
            }
            None => guess,
        };
        self.last = Some((time, place));
        place
    }
}

/// Stamps every packet that enters `depayloader` anew, and gives every packet that leaves it to `heard`.
pub(super) fn by_the_sender(
    depayloader: &gst::Element,
    heard: impl Fn(&gst::Buffer) + Send + Sync + 'static,
) -> Option<()> {
    let (entry, exit) = (depayloader.static_pad("sink")?, depayloader.static_pad("src")?);
    let count = Mutex::new(Count::default());
    entry.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        if let Some(gst::PadProbeData::Buffer(buffer)) = &mut info.data {
            stamp(&mut locked(&count), buffer);
        }
        gst::PadProbeReturn::Ok
    });
    exit.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        if let Some(gst::PadProbeData::Buffer(buffer)) = &info.data {
            heard(buffer);
        }
        gst::PadProbeReturn::Ok
    });
    Some(())
}

fn locked<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn stamp(count: &mut Count, buffer: &mut gst::Buffer) {
    let mut time = [0_u8; 4];
    let (Some(guess), Ok(())) = (buffer.pts(), buffer.copy_to_slice(4, &mut time)) else { return };
    let place = clock_time(count.packet(u32::from_be_bytes(time), sample_count(guess)));
    buffer.make_mut().set_pts(place);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_follow_the_senders_count_whatever_the_buffer_guesses() {
        let mut count = Count::default();
        assert_eq!(count.packet(u32::MAX - 959, 50_000), 50_000);
        assert_eq!(count.packet(0, 50_000), 50_960);
        assert_eq!(count.packet(960, 99_999), 51_920);
        assert_eq!(count.packet(960 * 5, 0), 55_760);
        assert_eq!(count.packet(960 * 3000, 123), 123, "another count begins where it is heard");
    }
}
