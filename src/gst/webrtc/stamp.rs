//! The time of a track's packets as their sender counts it, and what is missing between them.
//!
//! A jitter buffer stamps packets by when they arrive, smoothed: in a connection's first seconds its guess of the
//! sender's clock moves by tens of milliseconds, and every fresh report of the sender may move it again. The packets'
//! own times (RFC 3550 §5.1) are exact. Only the first packet's place is taken from the buffer.
//!
//! Losses are told from these times too. Sequence numbers do not survive the way here: an element of WebRTC's chain that
//! looks for redundant packets numbers anew what passes it, and then the jitter buffer's own word of a loss is ignored
//! by the depayloader.

use std::sync::{Mutex, MutexGuard};

use gstreamer as gst;
use gstreamer::prelude::*;

use crate::gst::samples::{clock_time, sample_count};
use crate::media::opus;

/// A packet whose time lies further off belongs to another count: 10 s, in 48 kHz samples.
const FAR: i64 = 480_000;

/// Shortest hole: half of Opus' shortest frame, 1.25 ms. Nanoseconds are rounded.
const HOLE_MIN: u64 = 60;

/// Longest hole that is made up: 200 ms. A longer one is a silence, as a sender makes that saves its packets.
const MADE_UP_MAX: u64 = 9600;

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

/// What has come of a track, packet after packet.
#[derive(Debug, Default)]
struct Seam {
    /// Where the next packet belongs, and how long the last one was.
    next: Option<(u64, u64)>,
}

impl Seam {
    /// Takes a packet; gives the places and lengths of those that are missing before it.
    fn packet(&mut self, place: u64, length: u64) -> Vec<(u64, u64)> {
        let before = self.next.replace((place + length, length));
        let Some((from, each)) = before else { return Vec::new() };
        let hole = place.saturating_sub(from);
        if !(HOLE_MIN..=MADE_UP_MAX).contains(&hole) {
            return Vec::new();
        }
        let starts = (from..place.saturating_sub(HOLE_MIN)).step_by(each as usize);
        starts.map(|start| (start, each.min(place - start))).collect()
    }
}

/// Stamps every packet that enters `depayloader` anew, and tells its decoder of each that is missing before it. Gives
/// every packet that leaves to `heard`.
pub(super) fn by_the_sender(
    depayloader: &gst::Element,
    heard: impl Fn(&gst::Buffer) + Send + Sync + 'static,
) -> Option<()> {
    let (entry, exit) = (depayloader.static_pad("sink")?, depayloader.static_pad("src")?);
    let count = Mutex::new(Count::default());
    entry.add_probe(gst::PadProbeType::BUFFER | gst::PadProbeType::EVENT_DOWNSTREAM, move |_, info| {
        match &mut info.data {
            Some(gst::PadProbeData::Event(event)) if event.has_name("GstRTPPacketLost") => {
                // Told on the other side. Taken, not dropped: the library would let go once more of what is dropped.
                drop(info.data.take());
                return gst::PadProbeReturn::Handled;
            }
            Some(gst::PadProbeData::Buffer(buffer)) => stamp(&mut locked(&count), buffer),
            _ => {}
        }
        gst::PadProbeReturn::Ok
    });
    let seam = Mutex::new(Seam::default());
    exit.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
        let Some(gst::PadProbeData::Buffer(buffer)) = &info.data else { return gst::PadProbeReturn::Ok };
        for (place, length) in missing(&mut locked(&seam), buffer) {
            pad.push_event(gst::event::Gap::builder(clock_time(place)).duration(clock_time(length)).build());
        }
        heard(buffer);
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

/// What is missing before a packet of Opus.
fn missing(seam: &mut Seam, packet: &gst::Buffer) -> Vec<(u64, u64)> {
    let mut begin = [0_u8; 2];
    let read = packet.size().min(2);
    let known = packet.copy_to_slice(0, &mut begin[..read]).is_ok();
    match (packet.pts(), opus::duration(&begin[..read])) {
        (Some(at), Some(length)) if known => seam.packet(sample_count(at), u64::from(length)),
        _ => Vec::new(),
    }
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

    #[test]
    fn each_packet_that_is_missing_is_told_and_a_senders_silence_is_not() {
        let mut seam = Seam::default();
        assert!(seam.packet(5000, 960).is_empty() && seam.packet(5960, 960).is_empty());
        assert_eq!(seam.packet(8840, 960), [(6920, 960), (7880, 960)]);
        assert!(seam.packet(9801, 960).is_empty(), "a rounded nanosecond");
        assert_eq!(seam.packet(12_681, 2880), [(10_761, 960), (11_721, 960)]);
        assert_eq!(seam.packet(16_041, 480), [(15_561, 480)], "shorter than the one before it");
        assert!(seam.packet(16_521 + 9601, 480).is_empty(), "a silence");
        assert!(seam.packet(3000, 960).is_empty(), "another count");
        assert!(seam.packet(3960, 960).is_empty());
    }
}
