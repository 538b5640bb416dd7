//! What is told back to who sends: which packets are lost, and how each track fares.
//!
//! A packet that is asked for comes in time only if nothing holds the question up, and RTCP's rules hold up much: its share
//! of a voice's bandwidth is one packet in some seconds (RFC 4585 §3.5.2). Gateways are particular too. Janus takes all
//! that a packet of RTCP says as said of the one track that it names first, and keeps packets for sending them again only
//! where it knows a track's round trip, from a report that was named first.

use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

use gstreamer as gst;
use gstreamer::prelude::*;

/// What feedback may take, in bits a second: a question is asked within a millisecond.
const BANDWIDTH: f64 = 2e6;

/// How often, in nanoseconds, all tracks are reported on; half as long and half as long again too, by chance.
const REPORTS: u64 = 1_000_000_000;

/// RTCP's receiver report (RFC 3550 §6.4.2): 8 bytes, and 24 for each track.
const RECEIVER_REPORT: u8 = 201;
const HEAD: usize = 8;
const BLOCK: usize = 24;

/// Has `session`, an `rtpsession`, ask for lost packets at once, each question in a packet of its own, and name another
/// track first in each report.
pub(super) fn at_once(session: &gst::Element) {
    session.set_property("rtcp-fraction", BANDWIDTH);
    session.set_property("rtcp-min-interval", REPORTS);
    // Whoever speaks WebRTC takes it (RFC 8834 §4.8).
    session.property::<gst::glib::Object>("internal-session").set_property("rtcp-reduced-size", true);
    session.connect_pad_added(|_, pad| {
        if pad.name() != "send_rtcp_src" {
            return;
        }
        let turn = AtomicUsize::new(0);
        pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
            if let Some(mut packet) = info.buffer_mut().and_then(|buffer| buffer.make_mut().map_writable().ok()) {
                // Questions go out in between, and have no turn.
                if name_another_first(&mut packet, turn.load(Relaxed)) {
                    turn.fetch_add(1, Relaxed);
                }
            }
            gst::PadProbeReturn::Ok
        });
    });
}

/// Puts the block of the track whose turn it is first, if `packet` begins with a report; whether it does.
fn name_another_first(packet: &mut [u8], turn: usize) -> bool {
    let &[first, RECEIVER_REPORT, ..] = &*packet else { return false };
    let count = usize::from(first & 0x1f);
    let blocks = packet.get_mut(HEAD..HEAD + count * BLOCK).filter(|blocks| !blocks.is_empty());
    let is_report = blocks.is_some();
    if let Some(blocks) = blocks {
        blocks.rotate_left(turn % count * BLOCK);
    }
    is_report
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A report on the tracks `1..=count`, and what follows it.
    fn report(count: u8) -> Vec<u8> {
        let mut packet = vec![0x80 | count, RECEIVER_REPORT, 0, 1 + 6 * count, 9, 9, 9, 9];
        packet.extend((1..=count).flat_map(|track| [track; BLOCK]));
        packet.extend([0x81, 202, 0, 1, 7, 7, 7, 7]);
        packet
    }

    #[test]
    fn every_track_is_named_first_in_its_turn_and_none_is_lost() {
        for turn in 0..9 {
            let mut packet = report(3);
            assert!(name_another_first(&mut packet, turn));
            let tracks: Vec<u8> = packet[HEAD..HEAD + 3 * BLOCK].chunks(BLOCK).map(|block| block[0]).collect();
            let wanted: Vec<u8> = (0..3).map(|place| ((turn + place) % 3) as u8 + 1).collect();
            assert_eq!(tracks, wanted);
            assert_eq!(
                (&packet[..HEAD], &packet[HEAD + 3 * BLOCK..]),
                (&report(3)[..HEAD], &report(3)[HEAD + 3 * BLOCK..])
            );
        }
    }

    #[test]
    fn a_question_a_report_on_nobody_and_half_a_report_stay_as_they_are() {
        let question = [0x81, 205, 0, 3, 1, 1, 1, 1, 2, 2, 2, 2, 0, 5, 0, 0];
        for packet in [&question[..], &report(0), &report(2)[..40], &[], &[0x80]] {
            let mut same = packet.to_vec();
            assert!(!name_another_first(&mut same, 1), "it has no turn");
            assert_eq!(same, packet);
        }
        let mut alone = report(1);
        assert!(name_another_first(&mut alone, 1));
        assert_eq!(alone, report(1));
    }
}
