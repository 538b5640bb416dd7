//! One segment's bytes into ADTS frames and ID3 tags, whatever stands between them.
//!
//! Spaces open segments with a tag, repeat tags about once a second between frames, and sometimes begin with junk such
//! as a torn MPEG-TS header (observed by tslazer and twspace-crawler). Nothing is decoded here, and the bytes as
//! received are never changed: frames are slices of them.

use bytes::Bytes;

use super::id3::{self, Id3};
use crate::media::{AAC_FRAME_SAMPLES, SAMPLE_RATE};
use crate::source::SegmentFact;
use crate::source::hls::Looks;

/// Shortest ADTS header.
const ADTS_HEADER: usize = 7;

/// Most facts of one segment that are told: a real one has about ten.
const MAX_FACTS: usize = 256;

/// Tags with a false length that are looked into, per segment: each could point at the same bytes again.
const MAX_LYING_TAGS: u32 = 16;

/// A segment that lacks more than this part of what the playlist told is short: lists round their durations by less.
const SHORT_OF_LISTED: u64 = 10;

/// Sample rates by index (ISO/IEC 14496-3, table 1.18).
const RATES: [u32; 13] =
    [96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350];

/// Parts of a sample in which every rate of AAC counts exactly: a sample at 44.1 kHz is 160/147 at 48 kHz, one at
/// 64 kHz 3/4.
pub(super) const SAMPLE_PARTS: u64 = 588;

/// What is in a segment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Split {
    /// The frames, in order.
    pub frames: Vec<Frame>,
    /// Duration of all frames, in 48 kHz samples, rounded down.
    pub duration: u64,
    /// What was rounded off: 588ths of a sample.
    pub rest: u32,
    /// Whether it ends in the middle of a frame.
    pub torn: bool,
    /// Bytes that are neither frame nor tag.
    pub bad_bytes: usize,
    /// Time of the segment's first sample, in 90 kHz ticks of 33 bits.
    pub timestamp: Option<u64>,
    /// What the tags say.
    pub facts: Vec<SegmentFact>,
}

/// One ADTS frame, header included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Start inside the segment, in 48 kHz samples.
    pub offset: u64,
    /// The frame.
    pub bytes: Bytes,
}

/// What an ADTS header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Header {
    /// The fixed part, which does not change within a stream: version, profile, rate, channels.
    fixed: u32,
    length: usize,
    rate: u32,
    blocks: u64,
}

/// Splits a segment.
pub fn split(bytes: &Bytes) -> Split {
    let mut splitter =
        Splitter { bytes, at: 0, parts: 0, last: None, fixed: None, lying_tags: 0, split: Split::default() };
    while splitter.at < bytes.len() {
        splitter.step();
    }
    splitter.split.duration = splitter.parts / SAMPLE_PARTS;
    splitter.split.rest = (splitter.parts % SAMPLE_PARTS) as u32;
    splitter.split
}

/// What can be seen of a segment's bytes without decoding them. `listed` is its duration by the playlist, in 48 kHz
/// samples: what was cut between two frames is only short.
pub fn looks(bytes: &Bytes, listed: u64) -> Looks {
    let text = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
    let is_text = matches!(text, None | Some(b'<' | b'{' | b'#'));
    let split = split(bytes);
    let short = split.duration + listed / SHORT_OF_LISTED < listed;
    match (split.frames.is_empty(), split.torn || short) {
        (true, _) if is_text => Looks::Foreign,
        (true, _) | (_, true) => Looks::Damaged,
        _ => Looks::Whole,
    }
}

struct Splitter<'a> {
    bytes: &'a Bytes,
    at: usize,
    /// Samples so far, in parts.
    parts: u64,
    /// The last frame's header, while nothing but tags came since.
    last: Option<Header>,
    /// The fixed part of the newest frame's header.
    fixed: Option<u32>,
    lying_tags: u32,
    split: Split,
}

impl Splitter<'_> {
    fn step(&mut self) {
        let rest = &self.bytes[self.at..];
        if let Some(length) = id3::claimed_length(rest) {
            if length <= rest.len() {
                self.take_tag(length);
                return;
            }
            // It claims more than there is: its content is read as far as it goes, and frames are looked for behind
            // its header, so that a lying tag hides no audio.
            self.lying_tags += 1;
            if self.lying_tags <= MAX_LYING_TAGS {
                self.take_facts(&id3::parse(rest));
            }
            self.skip(id3::HEADER.min(rest.len()));
            return;
        }
        match self.frame_at(rest) {
            Some(header) => self.take_frame(header),
            None => {
                self.split.torn |= self.is_torn_frame(rest);
                self.skip(1);
            }
        }
    }

    fn skip(&mut self, count: usize) {
        self.split.bad_bytes += count;
        self.at += count;
        self.last = None;
    }

    /// The frame here, if it is one: like the one before, or with another frame, a tag or the end behind it.
    fn frame_at(&self, rest: &[u8]) -> Option<Header> {
        let header = adts(rest)?;
        let after = rest.get(header.length..)?;
        let same = self.last.is_some_and(|last| last.fixed == header.fixed);
        let followed = after.is_empty()
            || id3::claimed_length(after).is_some()
            || adts(after).is_some_and(|next| next.fixed == header.fixed);
        (same || followed).then_some(header)
    }

    /// Whether a frame like those before begins here and the bytes end before it does.
    fn is_torn_frame(&self, rest: &[u8]) -> bool {
        let Some(fixed) = self.fixed else { return false };
        match adts(rest) {
            Some(header) => header.fixed == fixed && header.length > rest.len(),
            // Not even a whole header: it must stand right behind a frame.
            None => rest.len() < ADTS_HEADER && self.last.is_some() && rest[0] == 0xFF,
        }
    }

    fn take_frame(&mut self, header: Header) {
        let bytes = self.bytes.slice(self.at..self.at + header.length);
        self.split.frames.push(Frame { offset: self.offset(), bytes });
        let samples = header.blocks * AAC_FRAME_SAMPLES;
        self.parts += samples * SAMPLE_PARTS * u64::from(SAMPLE_RATE) / u64::from(header.rate);
        self.at += header.length;
        self.last = Some(header);
        self.fixed = Some(header.fixed);
    }

    fn take_tag(&mut self, length: usize) {
        let tag = id3::parse(&self.bytes[self.at..self.at + length]);
        self.take_facts(&tag);
        self.at += length;
    }

    fn take_facts(&mut self, tag: &Id3) {
        let offset = self.offset();
        // A tag in the middle tells the time of its own place.
        if let (None, Some(ticks)) = (self.split.timestamp, tag.timestamp) {
            let before = offset * 90_000 / u64::from(SAMPLE_RATE);
            self.split.timestamp = Some(ticks.wrapping_sub(before) & 0x1_FFFF_FFFF);
        }
        let facts = &mut self.split.facts;
        if facts.len() >= MAX_FACTS {
            return;
        }
        facts.extend(tag.ntp_seconds.map(|seconds| SegmentFact::NtpTime { offset, seconds }));
        facts.extend(tag.participants.clone().map(|names| SegmentFact::Participants { offset, names }));
        facts.extend(tag.levels.clone().map(|levels| SegmentFact::AudioLevels { offset, levels }));
    }

    fn offset(&self) -> u64 {
        (self.parts + SAMPLE_PARTS / 2) / SAMPLE_PARTS
    }
}

/// The ADTS header at the start of `bytes` (ISO/IEC 13818-7, 6.2), if it can be one of a Space.
fn adts(bytes: &[u8]) -> Option<Header> {
    let [b0, b1, b2, b3, b4, b5, b6]: [u8; ADTS_HEADER] = *bytes.first_chunk()?;
    let sync = b0 == 0xFF && b1 & 0xF6 == 0xF0;
    let rate = *RATES.get(usize::from(b2 >> 2 & 0xF))?;
    let channels = (b2 & 1) << 2 | b3 >> 6;
    let length = usize::from(b3 & 3) << 11 | usize::from(b4) << 3 | usize::from(b5 >> 5);
    let header = if b1 & 1 == 1 { ADTS_HEADER } else { ADTS_HEADER + 2 };
    // Channel configuration 0 puts the layout inside the first frame, which no decoder could be set up for here.
    let valid = sync && (1..=7).contains(&channels) && length > header;
    let fixed = u32::from_be_bytes([b0, b1, b2, b3 & 0xC0]);
    valid.then_some(Header { fixed, length, rate, blocks: u64::from(b6 & 3) + 1 })
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::super::id3::tests::{priv_frame, tag, user_text};
    use super::*;

    /// A frame of `size` bytes of payload at rate index `index`.
    pub(in super::super) fn frame(size: usize, index: u8) -> Vec<u8> {
        let length = size + ADTS_HEADER;
        let mut bytes = vec![0xFF, 0xF1, 0x40 | index << 2, 0x80 | (length >> 11) as u8 & 3, (length >> 3) as u8];
        bytes.extend_from_slice(&[(length << 5) as u8 | 0x1F, 0xFC]);
        bytes.extend((0..size).map(|n| (n * 37) as u8));
        bytes
    }

    fn frames(count: usize) -> Vec<u8> {
        (0..count).flat_map(|n| frame(200 + n % 7, 3)).collect()
    }

    fn joined(parts: &[&[u8]]) -> Split {
        split(&Bytes::from(parts.concat()))
    }

    #[test]
    fn tags_at_the_start_and_in_the_middle_are_taken_out_and_frames_are_whole() {
        let opening = tag(&[priv_frame(270_720)], false);
        let middle = tag(&[user_text("HydraAudioLevel", "[9]"), user_text("HydraParticipants", "[]")], true);
        let split = joined(&[&opening, &frames(47), &middle, &frames(94)]);
        assert_eq!((split.frames.len(), split.duration, split.bad_bytes), (141, 141 * 1024, 0));
        assert_eq!(split.timestamp, Some(270_720));
        assert!(
            split
                .frames
                .iter()
                .all(|frame| adts(&frame.bytes).is_some_and(|header| header.length == frame.bytes.len()))
        );
        assert_eq!(split.frames[100].offset, 100 * 1024);
        let offset = 47 * 1024;
        assert_eq!(
            split.facts,
            [SegmentFact::Participants { offset, names: vec![] }, SegmentFact::AudioLevels { offset, levels: vec![9] }]
        );
    }

    #[test]
    fn junk_before_the_tag_is_cut_and_counted() {
        // The start of an MPEG-TS packet, with a false sync word in it.
        let junk = [0x47, 0x40, 0x11, 0x10, 0xFF, 0xF1, 0x4C, 0x80, 0x20, 0x1F, 0xFC, 0x00];
        let split = joined(&[&junk, &tag(&[priv_frame(5)], false), &frames(10)]);
        assert_eq!((split.frames.len(), split.bad_bytes, split.timestamp), (10, junk.len(), Some(5)));
    }

    #[test]
    fn a_torn_frame_costs_itself_and_no_other() {
        let mut bytes = frames(20);
        bytes.drain(2000..2050);
        let split = joined(&[&bytes]);
        assert!(split.frames.len() >= 18, "{}", split.frames.len());
        assert!(split.bad_bytes > 0);
        let mut cut = frames(20);
        cut.truncate(cut.len() - 30);
        assert_eq!(joined(&[&cut]).frames.len(), 19);
    }

    #[test]
    fn a_tag_that_claims_sixteen_megabytes_hides_no_audio() {
        let split = joined(&[&frames(5), b"ID3\x04\0\0\x07\x7f\x7f\x7f", &frames(30)]);
        assert_eq!((split.frames.len(), split.bad_bytes), (35, 10));
    }

    #[test]
    fn sixteen_megabytes_of_tag_cost_no_time_and_no_memory() {
        let mut bytes = b"ID3\x04\0\0\x03\x7f\x7f\x76".to_vec();
        bytes.resize(8 << 20, b'A');
        let start = std::time::Instant::now();
        assert!(joined(&[&bytes]).frames.is_empty());
        assert!(joined(&[&vec![0xFF; 8 << 20]]).frames.is_empty());
        assert!(joined(&[&b"ID3\x04\0\0\x7f\x7f\x7f\x7f".repeat(100_000)]).frames.is_empty());
        assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
    }

    #[test]
    fn other_rates_are_placed_in_48_khz_samples() {
        let bytes: Vec<u8> = (0..441).flat_map(|_| frame(50, 4)).collect();
        let split = joined(&[&bytes]);
        assert_eq!(split.duration, 441 * 1024 * 480 / 441);
        let switched: Vec<u8> = (0..10).flat_map(|n| frame(50, if n < 5 { 3 } else { 6 })).collect();
        assert_eq!(joined(&[&switched]).duration, 5 * 1024 + 5 * 2048);
    }

    #[test]
    fn a_segment_that_ends_in_the_middle_of_a_frame_is_seen_as_torn() {
        let frames: Vec<u8> = (0..20).flat_map(|_| frame(200, 3)).collect();
        let whole = [tag(&[priv_frame(1)], false), frames.clone()].concat();
        let start = whole.len() - frames.len();
        let frame = frames.len() / 20;
        for cut in start + 2 * frame + 1..=whole.len() {
            let bytes = Bytes::copy_from_slice(&whole[..cut]);
            let torn = !(cut - start).is_multiple_of(frame);
            assert_eq!(split(&bytes).torn, torn, "cut at {cut}");
            assert_eq!(looks(&bytes, 0), if torn { Looks::Damaged } else { Looks::Whole }, "cut at {cut}");
            let short = cut < start + 18 * frame;
            assert_eq!(looks(&bytes, 20 * 1024) == Looks::Damaged, torn || short, "cut at {cut}");
        }
        for (body, seen) in
            [(&b"<html>busy</html>"[..], Looks::Foreign), (b"", Looks::Foreign), (&[7; 99], Looks::Damaged)]
        {
            assert_eq!(looks(&Bytes::copy_from_slice(body), 0), seen);
        }
    }

    #[test]
    fn every_sample_rate_is_counted_to_the_part_of_a_sample() {
        for (index, rate) in RATES.iter().enumerate() {
            let exact = 1024 * SAMPLE_PARTS * 48_000;
            assert!(exact.is_multiple_of(u64::from(*rate)), "{rate}");
            let split = joined(&[&frame(50, index as u8), &frame(50, index as u8)]);
            let parts = split.duration * SAMPLE_PARTS + u64::from(split.rest);
            assert_eq!(parts, 2 * exact / u64::from(*rate), "{rate}");
        }
    }

    #[test]
    fn an_empty_segment_and_pure_junk_give_no_frames() {
        assert_eq!(joined(&[]), Split::default());
        let split = joined(&[&[7; 1000]]);
        assert_eq!((split.frames.len(), split.bad_bytes), (0, 1000));
    }

    proptest! {
        #[test]
        fn fuzz_segment_bytes(bytes in proptest::collection::vec(prop_oneof![Just(0xFF_u8), Just(0xF1), Just(b'I'), any::<u8>()], 0..2000)) {
            let total = bytes.len();
            let split = split(&Bytes::from(bytes));
            prop_assert!(split.bad_bytes + split.frames.iter().map(|frame| frame.bytes.len()).sum::<usize>() <= total);
        }

        #[test]
        fn fuzz_segment_spoiled(at in 0_usize..8000, byte in any::<u8>(), cut in 0_usize..9000) {
            let mut bytes = [tag(&[priv_frame(1)], false), frames(20), tag(&[priv_frame(2)], true), frames(20)].concat();
            if let Some(place) = bytes.get_mut(at) {
                *place = byte;
            }
            bytes.truncate(cut);
            let split = split(&Bytes::from(bytes));
            prop_assert!(split.frames.windows(2).all(|pair| pair[0].offset < pair[1].offset));
        }
    }
}
