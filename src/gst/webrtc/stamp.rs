//! The time of a track's packets as their sender counts it.
//!
//! A jitter buffer stamps packets by when they arrive, smoothed: in a connection's first seconds its guess of the
//! sender's clock moves by tens of milliseconds, and every fresh report of the sender may move it again. The packets'
//! own numbers (RFC 3550 §5.1) are exact. Only the first packet's place is taken from the buffer.

use std::sync::Mutex;

use gstreamer as gst;
use gstreamer::prelude::*;

use crate::gst::samples::{clock_time, sample_count};

/// A packet whose number lies further off belongs to another count: 10 s, in 48 kHz samples.
const FAR: i64 = 480_000;

/// A packet lasts this long until two of them tell otherwise: 20 ms.
const USUAL: i64 = 960;

/// Longest packet: 120 ms (RFC 6716 §2.1.4).
const LONGEST: i64 = 5760;

/// What has come of a track.
#[derive(Debug, Default)]
struct Count {
    /// Sequence number, RTP time and place of the packet that came last.
    last: Option<(u16, u32, u64)>,
    /// How long a packet lasts.
    spacing: Option<i64>,
}

impl Count {
    /// Where a packet lies that the jitter buffer would have put at `guess`.
    fn packet(&mut self, sequence: u16, time: u32, guess: u64) -> u64 {
        let place = match self.last {
            Some((before, last, place)) => {
                let passed = i64::from(time.wrapping_sub(last).cast_signed());
                if sequence == before.wrapping_add(1) && (1..=LONGEST).contains(&passed) {
                    self.spacing = Some(passed);
                }
                if passed.abs() <= FAR { place.saturating_add_signed(passed) } else { guess }
            }
            None => guess,
        };
        self.last = Some((sequence, time, place));
        place
    }

    /// Where the lost packet lies whose sequence number is `sequence`, and how long one lasts.
    fn lost(&self, sequence: u16) -> Option<(u64, u64)> {
        let (before, _, place) = self.last?;
        let spacing = self.spacing.unwrap_or(USUAL);
        let packets = i64::from(sequence.wrapping_sub(before).cast_signed());
        (packets > 0 && packets * spacing <= FAR)
            .then(|| (place.saturating_add_signed(packets * spacing), spacing as u64))
    }
}

/// Stamps everything that enters by `pad` anew.
pub(super) fn by_the_sender(pad: &gst::Pad) {
    let count = Mutex::new(Count::default());
    pad.add_probe(gst::PadProbeType::BUFFER | gst::PadProbeType::EVENT_DOWNSTREAM, move |_, info| {
        let mut count = count.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match &mut info.data {
            Some(gst::PadProbeData::Buffer(buffer)) => packet(&mut count, buffer),
            Some(gst::PadProbeData::Event(event)) => {
                if let Some(anew) = lost(&count, event) {
                    *event = anew;
                }
            }
            _ => {}
        }
        gst::PadProbeReturn::Ok
    });
}

fn packet(count: &mut Count, buffer: &mut gst::Buffer) {
    let mut header = [0_u8; 8];
    if buffer.copy_to_slice(0, &mut header).is_err() {
        return;
    }
    let Some(guess) = buffer.pts() else { return };
    let sequence = u16::from_be_bytes([header[2], header[3]]);
    let time = u32::from_be_bytes([header[4], header[5], header[6], header[7]]);
    let place = clock_time(count.packet(sequence, time, sample_count(guess)));
    buffer.make_mut().set_pts(place);
}

fn lost(count: &Count, event: &gst::Event) -> Option<gst::Event> {
    let structure = event.structure().filter(|structure| structure.name() == "GstRTPPacketLost")?;
    let sequence = u16::try_from(structure.get::<u32>("seqnum").ok()?).ok()?;
    let (place, spacing) = count.lost(sequence)?;
    let usual = structure.get::<u64>("duration").ok().map_or(spacing, |nanos| {
        let samples = sample_count(gst::ClockTime::from_nseconds(nanos));
        ((samples + spacing / 2) / spacing).clamp(1, 10) * spacing
    });
    let mut anew = structure.to_owned();
    anew.set("timestamp", clock_time(place).nseconds());
    anew.set("duration", clock_time(usual).nseconds());
    Some(gst::event::CustomDownstream::builder(anew).seqnum(event.seqnum()).build())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_follow_the_senders_count_whatever_the_buffer_guesses() {
        let mut count = Count::default();
        assert_eq!(count.packet(65_534, u32::MAX - 959, 50_000), 50_000);
        assert_eq!(count.packet(65_535, 0, 50_000), 50_960);
        assert_eq!(count.packet(0, 960, 99_999), 51_920);
        assert_eq!(count.lost(1), Some((52_880, 960)));
        assert_eq!(count.lost(3), Some((54_800, 960)));
        assert_eq!(count.lost(0), None);
        assert_eq!(count.packet(4, 960 * 5, 0), 55_760);
        assert_eq!(count.packet(5, 960 * 3000, 123), 123, "another count begins where it is heard");
    }
}
