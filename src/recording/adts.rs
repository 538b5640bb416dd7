//! AAC frames out of a kept segment: whatever is no ADTS frame (ID3 tags, junk, torn frames) is stepped over.
//!
//! Format: ISO/IEC 14496-3, 1.A.2. Never allocates and never reads outside the bytes it is given, whatever they claim.

/// Sample rates by index.
const RATES: [u32; 13] =
    [96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350];

/// What a decoder must know of a run of frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AacConfig {
    /// MPEG-4 audio object type: 2 is AAC-LC.
    pub object_type: u8,
    /// Sample rate, in Hz.
    pub sample_rate: u32,
    /// Channels.
    pub channels: u32,
}

impl AacConfig {
    /// The AudioSpecificConfig of ISO/IEC 14496-3.
    #[must_use]
    pub fn specific_config(&self) -> [u8; 2] {
        let rate = RATES.iter().position(|rate| *rate == self.sample_rate).unwrap_or(3) as u8;
        let channels = if self.channels == 8 { 7 } else { self.channels as u8 };
        [self.object_type << 3 | rate >> 1, (rate & 1) << 7 | channels << 3]
    }

    /// The configuration that an AudioSpecificConfig states, if an ADTS header could state it too: frames of 1024
    /// samples and nothing layered on top.
    pub fn from_specific_config(bytes: &[u8]) -> Option<Self> {
        let [first, second, ref extension @ ..] = *bytes else { return None };
        // An extension may say that there is none: sync word 0x2B7, type 5 (SBR), absent.
        let plain = matches!(extension, [] | [0x56, 0xE5, 0x00]);
        if second & 7 != 0 || !plain {
            return None;
        }
        Self::new(first >> 3, (first & 7) << 1 | second >> 7, second >> 3 & 15)
    }

    fn new(object_type: u8, rate_index: u8, channel_config: u8) -> Option<Self> {
        let sample_rate = *RATES.get(usize::from(rate_index))?;
        let channels = match channel_config {
            count @ 1..=6 => u32::from(count),
            7 => 8,
            // 0 describes the channels inside the frames: nobody sends that over HLS.
            _ => return None,
        };
        (1..=4).contains(&object_type).then_some(Self { object_type, sample_rate, channels })
    }
}

/// One access unit, without its header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// What a decoder must know.
    pub config: AacConfig,
    /// The access unit.
    pub data: &'a [u8],
}

/// The frames in `bytes`, in order.
pub fn frames(bytes: &[u8]) -> Frames<'_> {
    Frames { bytes, at: 0, locked: None }
}

/// See [`frames`].
#[derive(Debug)]
pub struct Frames<'a> {
    bytes: &'a [u8],
    at: usize,
    /// The configuration of the frame that ended here, if one did.
    locked: Option<AacConfig>,
}

struct Header {
    config: AacConfig,
    header: usize,
    length: usize,
}

impl<'a> Iterator for Frames<'a> {
    type Item = Frame<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.at < self.bytes.len() {
            if let Some(header) = header(&self.bytes[self.at..])
                && self.is_frame(&header)
            {
                let (start, end) = (self.at + header.header, self.at + header.length);
                self.at = end;
                self.locked = Some(header.config);
                return Some(Frame { config: header.config, data: &self.bytes[start..end] });
            }
            self.at += tag_length(&self.bytes[self.at..]).unwrap_or_else(|| {
                self.locked = None;
                1
            });
        }
        None
    }
}

impl Frames<'_> {
    /// A header may lie in junk by chance: it counts if it follows a frame like it, or a header like it, a tag or the
    /// end follows.
    fn is_frame(&self, header: &Header) -> bool {
        let Some(rest) = self.bytes.get(self.at + header.length..) else { return false };
        self.locked == Some(header.config)
            || rest.is_empty()
            || tag_length(rest).is_some()
            || self::header(rest).is_some_and(|next| next.config == header.config)
    }
}

fn header(bytes: &[u8]) -> Option<Header> {
    let [a, b, c, d, e, f, g, ..] = *bytes else { return None };
    let layer_is_zero = b & 0x06 == 0;
    // Several access units behind one header cannot be told apart without decoding them; nobody sends them over HLS.
    let one_access_unit = g & 3 == 0;
    if a != 0xFF || b & 0xF0 != 0xF0 || !layer_is_zero || !one_access_unit {
        return None;
    }
    let config = AacConfig::new((c >> 6) + 1, c >> 2 & 15, (c & 1) << 2 | d >> 6)?;
    let length = usize::from(d & 3) << 11 | usize::from(e) << 3 | usize::from(f >> 5);
    let header = if b & 1 == 0 { 9 } else { 7 };
    (length > header).then_some(Header { config, header, length })
}

/// Length of the ID3v2 tag that starts here, if one does and it lies within the bytes. A tag that claims more than
/// there is is stepped into byte by byte: frames may follow it.
fn tag_length(bytes: &[u8]) -> Option<usize> {
    let tag = bytes.strip_prefix(b"ID3")?.get(2..7)?;
    let (flags, size) = tag.split_first()?;
    if size.iter().any(|byte| byte & 0x80 != 0) {
        return None;
    }
    let size = size.iter().fold(0_usize, |size, byte| size << 7 | usize::from(*byte));
    let footer = if flags & 0x10 == 0 { 0 } else { 10 };
    Some(10 + size + footer).filter(|length| *length <= bytes.len())
}

/// An ADTS header for an access unit of `length` bytes, for tests that need a source's bytes.
#[cfg(test)]
pub(super) fn adts_header(config: AacConfig, length: usize) -> [u8; 7] {
    let [rate_high, rate_low] = config.specific_config();
    let rate = (rate_high & 7) << 1 | rate_low >> 7;
    let channels = rate_low >> 3 & 15;
    let length = length + 7;
    [
        0xFF,
        0xF1,
        (config.object_type - 1) << 6 | rate << 2 | channels >> 2,
        (channels & 3) << 6 | (length >> 11) as u8,
        (length >> 3) as u8,
        ((length & 7) << 5) as u8 | 0x1F,
        0xFC,
    ]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STEREO: AacConfig = AacConfig { object_type: 2, sample_rate: 48_000, channels: 2 };

    fn adts(count: u8) -> Vec<u8> {
        (0..count).flat_map(|n| [&adts_header(STEREO, 20)[..], &[n; 20]].concat()).collect()
    }

    fn tag(claims: u32, there: usize) -> Vec<u8> {
        let size = [21, 14, 7, 0].map(|shift| (claims >> shift) as u8 & 0x7F);
        [&b"ID3\x04\0\0"[..], &size, &vec![b'x'; there]].concat()
    }

    fn marks(bytes: &[u8]) -> Vec<u8> {
        frames(bytes).map(|frame| frame.data[0]).collect()
    }

    #[test]
    fn tags_and_junk_are_stepped_over_by_table() {
        let huge = tag(16 << 20, 100);
        let cases: [(&str, Vec<u8>, &[u8]); 6] = [
            ("plain", adts(3), &[0, 1, 2]),
            ("tag first", [tag(63, 63), adts(2)].concat(), &[0, 1]),
            ("tag between", [adts(1), tag(5, 5), adts(2)].concat(), &[0, 0, 1]),
            ("junk first", [vec![0x47, 0xFF, 0xF1, 0, 0, 0], adts(2)].concat(), &[0, 1]),
            ("a tag that claims 16 MB", [huge, adts(3)].concat(), &[0, 1, 2]),
            ("a torn frame at the end", adts(3)[..70].to_vec(), &[0, 1]),
        ];
        for (name, bytes, expected) in cases {
            assert_eq!(marks(&bytes), expected, "{name}");
        }
    }

    #[test]
    fn configurations_survive_both_ways() {
        for channels in [1, 2, 6, 8] {
            for sample_rate in RATES {
                let config = AacConfig { object_type: 2, sample_rate, channels };
                assert_eq!(AacConfig::from_specific_config(&config.specific_config()), Some(config));
                let bytes = [&adts_header(config, 4)[..], &[0; 4]].concat();
                assert_eq!(frames(&bytes).next().map(|frame| frame.config), Some(config));
            }
        }
        assert_eq!(STEREO.specific_config(), [0x11, 0x90]);
    }

    proptest! {
        #[test]
        fn fuzz_adts(junk in proptest::collection::vec(any::<u8>(), 0..300), tail in proptest::collection::vec(any::<u8>(), 0..300)) {
            let bytes = [junk, adts(2), tail].concat();
            let total: usize = frames(&bytes).map(|frame| frame.data.len()).sum();
            prop_assert!(total <= bytes.len());
        }
    }
}
