//! One speaker's packets of Opus made audible, and what is missing between them made up.
//!
//! What is missing is told from the packets' own times and lengths: a sender's time is exact (RFC 3550 §5.1). It is known
//! when the next packet comes, and that may carry a copy of it (RFC 6716 §2.1.7), so nothing is ever held back for it.

use std::num::NonZeroU64;

use opusic_c::{Channels, Decoder, ErrorCode, SampleRate};

use crate::media::{StereoSample, opus};

/// Longest packet that is decoded, in samples: 120 ms (RFC 6716 §3.2.5).
const LONGEST: usize = 5760;

/// The library makes up times that are whole multiples of this, in samples: 2.5 ms.
const STEP: u64 = 120;

/// Places closer to the end of what came last than this continue it: half of the shortest packet. Places come as
/// nanoseconds, which are rounded, and a joint of one sample clicks.
const JOINT: u64 = 60;

/// Longest hole that is made up: 200 ms. A longer one is a silence, as a sender makes that saves its packets.
const MADE_UP_MAX: u64 = 9600;

/// What decodes one speaker.
pub(super) struct Voice {
    decoder: Decoder,
    seam: Seam,
    /// What was decoded last.
    samples: Vec<StereoSample>,
}

impl std::fmt::Debug for Voice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Voice").field("seam", &self.seam).finish_non_exhaustive()
    }
}

impl Voice {
    /// A speaker of whom nothing was heard yet.
    ///
    /// # Errors
    /// When the library has no memory for it.
    pub(super) fn new() -> Result<Self, ErrorCode> {
        let decoder = Decoder::new(Channels::Stereo, SampleRate::Hz48000)?;
        Ok(Self { decoder, seam: Seam::default(), samples: vec![[0.0; 2]; LONGEST] })
    }

    /// Takes the packet whose first sample is to be heard at `at`; gives `heard` what that makes audible, each piece with
    /// its place. A packet that is none is passed over, and missing when the next one comes.
    pub(super) fn take(&mut self, at: u64, packet: &[u8], mut heard: impl FnMut(u64, &[StereoSample])) {
        let Some(length) = opus::duration(packet) else { return };
        let (at, missing) = self.seam.packet(at, u64::from(length));
        let last = missing.len().saturating_sub(1);
        for (index, (start, count)) in missing.into_iter().enumerate() {
            // Only the one before it can be in this packet.
            let copy = if index == last { packet } else { &[] };
            self.decode(start, copy, Some(count), &mut heard);
        }
        self.decode(at, packet, None, &mut heard);
    }

    /// Decodes `packet`, or what was before it where `lost` samples are missing there.
    fn decode(
        &mut self,
        at: u64,
        packet: &[u8],
        lost: Option<NonZeroU64>,
        heard: &mut impl FnMut(u64, &[StereoSample]),
    ) {
        let room = lost.map_or(LONGEST, |lost| lost.get() as usize);
        let Some(room) = self.samples.get_mut(..room) else { return };
        match self.decoder.decode_float_to_slice(packet, room.as_flattened_mut(), lost.is_some()) {
            Ok(count) => heard(at, &self.samples[..count.min(LONGEST)]),
            Err(error) => tracing::debug!(?error, "A packet of Opus cannot be decoded."),
        }
    }
}

/// What has come of a track, packet after packet.
#[derive(Debug, Default)]
struct Seam {
    /// Where the next packet belongs, and how long the last one was.
    next: Option<(u64, u64)>,
}

impl Seam {
    /// Takes a packet; gives its place, and the places and lengths of those that are missing before it.
    fn packet(&mut self, place: u64, length: u64) -> (u64, Vec<(u64, NonZeroU64)>) {
        let before = self.next;
        let place = before.map(|(next, _)| next).filter(|next| place.abs_diff(*next) <= JOINT).unwrap_or(place);
        self.next = Some((place + length, length));
        let Some((from, each)) = before else { return (place, Vec::new()) };
        if place <= from || place - from > MADE_UP_MAX {
            return (place, Vec::new());
        }
        let piece = |start: u64| {
            let count = each.min(place - start) / STEP * STEP;
            NonZeroU64::new(count).map(|count| (start, count))
        };
        (place, (from..place).step_by(each as usize).filter_map(piece).collect())
    }
}

#[cfg(test)]
mod tests {
    use opusic_c::{Application, Bitrate, Encoder, InbandFec, Signal};

    use super::*;

    const PACKET: u64 = 960;

    /// Like a voice: twenty harmonics of 120 Hz that swell three times a second.
    fn voice(at: u64) -> f32 {
        let turns = at as f64 / 48_000.0 * std::f64::consts::TAU;
        let sum: f64 = (1..20).map(|harmonic| (turns * 120.0 * f64::from(harmonic)).sin() / f64::from(harmonic)).sum();
        (0.15 * sum * (0.6 + 0.4 * (turns * 3.0).sin())) as f32
    }

    /// Packets of it, each with a copy of the one before it.
    fn packets(count: u64) -> Vec<Vec<u8>> {
        let mut encoder = Encoder::new(Channels::Mono, SampleRate::Hz48000, Application::Voip).expect("an encoder");
        encoder.set_bitrate(Bitrate::Value(32_000)).expect("a rate");
        encoder.set_signal(Signal::Voice).expect("a kind");
        encoder.set_inband_fec(InbandFec::Mode1).expect("copies");
        encoder.set_packet_loss(20).expect("a loss");
        let packet = |index: u64| {
            let samples: Vec<f32> = (index * PACKET..(index + 1) * PACKET).map(voice).collect();
            let mut packet = vec![0; 1500];
            let length = encoder.encode_float_to_slice(&samples, &mut packet).expect("a packet");
            packet.truncate(length);
            packet
        };
        (0..count).map(packet).collect()
    }

    /// What is heard of the packets that are not lost, by place.
    fn heard(packets: &[Vec<u8>], lost: &[u64]) -> Vec<(u64, Vec<StereoSample>)> {
        let mut voice = Voice::new().expect("a decoder");
        let mut heard = Vec::new();
        for (index, packet) in packets.iter().enumerate().filter(|(index, _)| !lost.contains(&(*index as u64))) {
            voice.take(index as u64 * PACKET, packet, |at, samples| heard.push((at, samples.to_vec())));
        }
        heard
    }

    fn rms(samples: &[StereoSample]) -> f32 {
        (samples.iter().map(|sample| sample[0] * sample[0]).sum::<f32>() / samples.len() as f32).sqrt()
    }

    #[test]
    fn a_packet_that_was_lost_is_heard_from_the_copy_in_the_next_one() {
        let packets = packets(100);
        let whole = heard(&packets, &[]);
        let lost: Vec<u64> = (12..90).step_by(5).collect();
        let mended = heard(&packets, &lost);
        let places: Vec<u64> = mended.iter().map(|(at, _)| *at).collect();
        assert_eq!(places, (0..100).map(|index| index * PACKET).collect::<Vec<_>>(), "no hole, nothing twice");
        let is_copy = |index: &&u64| {
            let (whole, mended) = (&whole[**index as usize].1, &mended[**index as usize].1);
            let off: Vec<StereoSample> = whole.iter().zip(mended).map(|(a, b)| [a[0] - b[0], 0.0]).collect();
            rms(&off) < 0.3 * rms(whole)
        };
        let copies = lost.iter().filter(is_copy).count();
        // The encoder leaves them out where it hears no voice.
        assert!(copies * 2 >= lost.len(), "{copies} of {}", lost.len());
        // Of two in succession the first is a guess, and nothing is a hole.
        let guessed = heard(&packets, &[30, 31, 60, 61, 62]);
        assert_eq!(guessed.len(), 100);
        assert!(rms(&guessed[30].1) > 0.2 * rms(&whole[30].1));
    }

    #[test]
    fn each_packet_that_is_missing_is_told_and_a_senders_silence_is_not() {
        let mut seam = Seam::default();
        let mut packet = |place, length| {
            let (at, missing) = seam.packet(place, length);
            (at, missing.into_iter().map(|(start, count)| (start, count.get())).collect::<Vec<_>>())
        };
        assert_eq!(packet(5000, 960), (5000, vec![]));
        assert_eq!(packet(5961, 960), (5960, vec![]), "a rounded nanosecond");
        assert_eq!(packet(8840, 960), (8840, vec![(6920, 960), (7880, 960)]));
        assert_eq!(packet(9741, 960), (9800, vec![]));
        assert_eq!(packet(12_680, 2880), (12_680, vec![(10_760, 960), (11_720, 960)]));
        assert_eq!(packet(16_040, 480), (16_040, vec![(15_560, 480)]), "shorter than the one before it");
        assert_eq!(packet(16_520 + 9601, 480).1, vec![], "a silence");
        assert_eq!(packet(3000, 960), (3000, vec![]), "another count");
        assert_eq!(packet(3960, 960), (3960, vec![]));
        assert_eq!(packet(5020, 960), (5020, vec![]), "too short for anything to be made up");
    }

    #[test]
    fn nonsense_in_place_of_a_packet_harms_nobody() {
        let mut random = fastrand::Rng::with_seed(3);
        let packets = packets(400);
        let mut voice = Voice::new().expect("a decoder");
        let mut count = 0;
        for (index, packet) in packets.iter().enumerate() {
            let mut packet = packet.clone();
            if index % 3 == 0 {
                packet = vec![0; random.usize(0..200)];
                random.fill(&mut packet);
            }
            let at = if index % 50 == 7 { random.u64(..u64::MAX / 2) } else { index as u64 * PACKET };
            voice.take(at, &packet, |_, samples| {
                count += 1;
                assert!(samples.len() <= LONGEST && samples.iter().flatten().all(|value| value.is_finite()));
            });
        }
        assert!(count > 200, "{count}");
    }
}
