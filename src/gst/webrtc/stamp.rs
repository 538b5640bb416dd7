//! The time of a track's packets as their sender counts it.
//!
//! A jitter buffer stamps packets by when they arrive, smoothed: in a connection's first seconds its guess of the
//! sender's clock moves by tens of milliseconds, and every fresh report of the sender may move it again. The packets'
//! own numbers (RFC 3550 §5.1) are exact. Only the first packet's place is taken from the buffer.

use std::sync::{Mutex, MutexGuard};

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
    /// Packets after the last one that were told to be lost.
    told: u16,
}

/// Packets that are made up at most, one after the other; a longer hole is a silence.
const MADE_UP_MAX: u16 = 10;

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
        self.told = 0;
        place
    }

    /// Sequence numbers of lost packets before `sequence` that nobody told of. Not every jitter buffer tells.
    fn untold(&self, sequence: u16) -> Vec<u16> {
        let Some((before, ..)) = self.last else { return Vec::new() };
        let missing = sequence.wrapping_sub(before).wrapping_sub(1);
        if missing > MADE_UP_MAX {
            Vec::new()
        } else {
            (self.told..missing).map(|n| before.wrapping_add(1 + n)).collect()
        }
    }

    /// Where the lost packet lies whose sequence number is `sequence`, and how long one lasts.
    fn lost(&mut self, sequence: u16) -> Option<(u64, u64)> {
        let (before, _, place) = self.last?;
        let spacing = self.spacing.unwrap_or(USUAL);
        let packets = i64::from(sequence.wrapping_sub(before).cast_signed());
        self.told = self.told.max(u16::try_from(packets).unwrap_or_default());
        (packets > 0 && packets * spacing <= FAR)
            .then(|| (place.saturating_add_signed(packets * spacing), spacing as u64))
    }
}

/// Stamps everything that enters by `pad` anew.
pub(super) fn by_the_sender(pad: &gst::Pad) {
    let count = Mutex::new(Count::default());
    pad.add_probe(gst::PadProbeType::BUFFER | gst::PadProbeType::EVENT_DOWNSTREAM, move |pad, info| {
        match &mut info.data {
            Some(gst::PadProbeData::Buffer(buffer)) => {
                let Some((sequence, time)) = header(buffer) else { return gst::PadProbeReturn::Ok };
                let untold = locked(&count).untold(sequence);
                for event in untold.into_iter().map(missing) {
                    // It comes through here again, and is stamped.
                    pad.send_event(event);
                }
                packet(&mut locked(&count), buffer, sequence, time);
            }
            Some(gst::PadProbeData::Event(event)) => {
                if let Some(anew) = lost(&mut locked(&count), event) {
                    *event = anew;
                }
            }
            _ => {}
        }
        gst::PadProbeReturn::Ok
    });
}

fn locked(count: &Mutex<Count>) -> MutexGuard<'_, Count> {
    count.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Sequence number and time of a packet.
fn header(buffer: &gst::Buffer) -> Option<(u16, u32)> {
    let mut bytes = [0_u8; 8];
    buffer.copy_to_slice(0, &mut bytes).ok()?;
    Some((u16::from_be_bytes([bytes[2], bytes[3]]), u32::from_be_bytes([bytes[4], bytes[5], bytes[6], bytes[7]])))
}

/// What a jitter buffer tells of a lost packet.
fn missing(sequence: u16) -> gst::Event {
    let lost = gst::Structure::builder("GstRTPPacketLost")
        .field("seqnum", u32::from(sequence))
        .field("timestamp", 0_u64)
        .field("duration", 0_u64)
        .field("retry", 0_u32)
        .build();
    gst::event::CustomDownstream::new(lost)
}

fn packet(count: &mut Count, buffer: &mut gst::Buffer, sequence: u16, time: u32) {
    let Some(guess) = buffer.pts() else { return };
    let place = clock_time(count.packet(sequence, time, sample_count(guess)));
    buffer.make_mut().set_pts(place);
}

fn lost(count: &mut Count, event: &gst::Event) -> Option<gst::Event> {
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
        assert_eq!(count.untold(4), Vec::<u16>::new());
        assert_eq!(count.packet(4, 960 * 5, 0), 55_760);
        assert_eq!(count.untold(7), [5, 6]);
        assert_eq!((count.lost(5), count.untold(7)), (Some((56_720, 960)), vec![6]));
        assert!(count.untold(5).is_empty() && count.untold(100).is_empty());
        assert_eq!(count.packet(5, 960 * 3000, 123), 123, "another count begins where it is heard");
    }
}
