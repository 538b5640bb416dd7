//! The ID3 tags inside a Space's segments: the only word on who speaks, and on which timeline the audio lies.
//!
//! Own reader, since the crate `id3` cannot read them: it takes frame sizes for synchsafe (as ID3v2.4 says) only, and
//! in Spaces they occur both ways. It is bounded: nothing is allocated by what a tag claims, only by what is there.
//! Frames and their names as observed by x-spaces-transcription (`space_tape/hydra.py`) and twspace-crawler.

use serde_json::Value;

/// Length of a tag's header, and of a frame's.
pub(super) const HEADER: usize = 10;

/// Largest frame that is looked into, in bytes: a full stage of participants has a few KB.
const MAX_FRAME: usize = 64 << 10;

/// Most people on a stage that are told; X allows 13.
const MAX_PEOPLE: usize = 64;

/// Longest handle, in characters.
const MAX_NAME: usize = 60;

/// Owner of the private frame that HLS prescribes for packed audio (RFC 8216, 3.4).
const TIMESTAMP_OWNER: &[u8] = b"com.apple.streaming.transportStreamTimestamp\0";

/// What one tag says. Everything in it is hostile.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Id3 {
    /// Time of the first sample behind the tag: 90 kHz ticks, 33 bits.
    pub(super) timestamp: Option<u64>,
    /// The broadcaster's NTP time, in seconds since 1900.
    pub(super) ntp_seconds: Option<f64>,
    /// Handles of those on stage beside the host, cleaned.
    pub(super) participants: Option<Vec<String>>,
    /// How loud the host and then each participant is.
    pub(super) levels: Option<Vec<u32>>,
}

/// The length of the tag at the start of `bytes`, header and footer included, as it claims; none if there is none.
pub(super) fn claimed_length(bytes: &[u8]) -> Option<usize> {
    let [b'I', b'D', b'3', major @ 2..=4, revision, flags, a, b, c, d, ..] = *bytes else { return None };
    if revision == 0xFF || (a | b | c | d) & 0x80 != 0 {
        return None;
    }
    let footer = if major == 4 && flags & 0x10 != 0 { HEADER } else { 0 };
    Some(HEADER + synchsafe([a, b, c, d]) + footer)
}

/// Reads the tag that `bytes` begins with; what cannot be understood is left out.
pub(super) fn parse(bytes: &[u8]) -> Id3 {
    let mut tag = Id3::default();
    let (Some(length), Some(&major), Some(&flags)) = (claimed_length(bytes), bytes.get(3), bytes.get(5)) else {
        return tag;
    };
    // Three-letter frames of v2.2 and unsynchronised tags were never seen in a Space.
    if major < 3 || flags & 0x80 != 0 {
        return tag;
    }
    let mut rest = &bytes[HEADER..length.min(bytes.len())];
    if flags & 0x40 != 0 {
        rest = skip_extended_header(rest, major);
    }
    while let Some((frame, after)) = next_frame(rest, major) {
        tag.read_frame(&frame);
        rest = after;
    }
    tag
}

struct Frame<'a> {
    id: [u8; 4],
    content: &'a [u8],
}

fn skip_extended_header(rest: &[u8], major: u8) -> &[u8] {
    let Some(&[a, b, c, d]) = rest.first_chunk() else { return &[] };
    // In v2.4 the size counts itself.
    let size = if major == 4 { synchsafe([a, b, c, d]) } else { plain([a, b, c, d]).saturating_add(4) };
    rest.get(size.max(4)..).unwrap_or_default()
}

fn next_frame(rest: &[u8], major: u8) -> Option<(Frame<'_>, &[u8])> {
    let header: &[u8; HEADER] = rest.first_chunk()?;
    let [i, d1, d2, d3, a, b, c, d, _, format] = *header;
    let id = [i, d1, d2, d3];
    if !is_frame_id(&id) {
        return None;
    }
    let body = &rest[HEADER..];
    let size = frame_size([a, b, c, d], body, major)?;
    let (content, after) = body.split_at(size);
    // Compressed or encrypted: passed over.
    let content = if major == 4 && format & 0x0C != 0 { &[] } else { content };
    Some((Frame { id, content }, after))
}

/// Both ways to read a size are tried: right is the one behind which another frame, padding or the end lies.
fn frame_size(raw: [u8; 4], body: &[u8], major: u8) -> Option<usize> {
    let safe = raw.iter().all(|byte| byte & 0x80 == 0).then(|| synchsafe(raw));
    let plain = Some(plain(raw));
    let order = if major == 4 { [safe, plain] } else { [plain, None] };
    let sizes = || order.into_iter().flatten().filter(|size| *size <= body.len());
    let fits = |size: &usize| {
        let after = &body[*size..];
        after.is_empty() || after[0] == 0 || after.first_chunk().is_some_and(is_frame_id)
    };
    sizes().find(fits).or_else(|| sizes().next())
}

fn is_frame_id(id: &[u8; 4]) -> bool {
    id.iter().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

fn synchsafe(bytes: [u8; 4]) -> usize {
    bytes.iter().fold(0, |size, byte| size << 7 | usize::from(byte & 0x7F))
}

fn plain(bytes: [u8; 4]) -> usize {
    u32::from_be_bytes(bytes) as usize
}

impl Id3 {
    fn read_frame(&mut self, frame: &Frame<'_>) {
        if frame.content.len() > MAX_FRAME {
            return;
        }
        match &frame.id {
            b"PRIV" => self.timestamp = self.timestamp.or(timestamp(frame.content)),
            b"TIT3" => {
                let seconds = text_parts(frame.content).first().and_then(|text| text.trim().parse().ok());
                self.ntp_seconds = seconds.and_then(believed_ntp).or(self.ntp_seconds);
            }
            b"TXXX" => self.read_user_text(frame.content),
            _ => {}
        }
    }

    fn read_user_text(&mut self, content: &[u8]) {
        let parts = text_parts(content);
        let [name, value, ..] = &parts[..] else { return };
        let Ok(value) = serde_json::from_str::<Value>(value) else { return };
        match name.as_str() {
            "JSONMetadata" => {
                let ntp = value.get("ntp").and_then(|ntp| ntp.as_f64().or_else(|| ntp.as_str()?.parse().ok()));
                self.ntp_seconds = self.ntp_seconds.or(ntp.and_then(believed_ntp));
            }
            "HydraParticipants" => {
                self.participants = value.as_array().map(|people| names(people)).or(self.participants.take())
            }
            "HydraAudioLevel" => self.levels = value.as_array().map(|levels| numbers(levels)).or(self.levels.take()),
            _ => {}
        }
    }
}

fn timestamp(content: &[u8]) -> Option<u64> {
    let bytes: &[u8; 8] = content.strip_prefix(TIMESTAMP_OWNER)?.first_chunk()?;
    Some(u64::from_be_bytes(*bytes) & 0x1_FFFF_FFFF)
}

/// A time between 2000 and 2100: anything else is a mistake that JSON could not even hold.
fn believed_ntp(seconds: f64) -> Option<f64> {
    (3_155_673_600.0..6_311_433_600.0).contains(&seconds).then_some(seconds)
}

fn names(people: &[Value]) -> Vec<String> {
    let name = |person: &Value| {
        let name = person.get("UserName").and_then(Value::as_str).unwrap_or_default();
        crate::text::plain(name, MAX_NAME)
    };
    people.iter().take(MAX_PEOPLE).map(name).collect()
}

fn numbers(levels: &[Value]) -> Vec<u32> {
    // One more than people: the host comes first. A cast of a float saturates.
    levels.iter().take(MAX_PEOPLE + 1).map(|level| level.as_f64().unwrap_or_default() as u32).collect()
}

/// The texts of a text frame: encoding byte, then strings with a terminator between them.
fn text_parts(content: &[u8]) -> Vec<String> {
    let Some((&encoding, bytes)) = content.split_first() else { return Vec::new() };
    match encoding {
        1 | 2 => utf16(bytes, encoding == 2).split('\0').map(without_mark).collect(),
        0 => bytes.iter().map(|byte| char::from(*byte)).collect::<String>().split('\0').map(str::to_owned).collect(),
        _ => String::from_utf8_lossy(bytes).split('\0').map(str::to_owned).collect(),
    }
}

fn without_mark(text: &str) -> String {
    text.trim_start_matches('\u{FEFF}').to_owned()
}

fn utf16(bytes: &[u8], big_endian: bool) -> String {
    let little = !big_endian && !bytes.starts_with(&[0xFE, 0xFF]);
    let unit = |pair: &[u8]| {
        if little { u16::from_le_bytes([pair[0], pair[1]]) } else { u16::from_be_bytes([pair[0], pair[1]]) }
    };
    char::decode_utf16(bytes.chunks_exact(2).map(unit)).map(|unit| unit.unwrap_or('\u{FFFD}')).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A tag of `frames`, with sizes written in one way or the other.
    pub(in super::super) fn tag(frames: &[(&[u8; 4], Vec<u8>)], plain_sizes: bool) -> Vec<u8> {
        let safe = |size: usize| {
            [(size >> 21) as u8 & 0x7F, (size >> 14) as u8 & 0x7F, (size >> 7) as u8 & 0x7F, size as u8 & 0x7F]
        };
        let mut body = Vec::new();
        for (id, content) in frames {
            body.extend_from_slice(*id);
            body.extend_from_slice(&if plain_sizes {
                (content.len() as u32).to_be_bytes()
            } else {
                safe(content.len())
            });
            body.extend_from_slice(&[0, 0]);
            body.extend_from_slice(content);
        }
        [b"ID3\x04\0\0".as_slice(), &safe(body.len()), &body].concat()
    }

    pub(in super::super) fn priv_frame(ticks: u64) -> (&'static [u8; 4], Vec<u8>) {
        (b"PRIV", [TIMESTAMP_OWNER, &ticks.to_be_bytes()].concat())
    }

    pub(in super::super) fn user_text(name: &str, value: &str) -> (&'static [u8; 4], Vec<u8>) {
        (b"TXXX", [b"\x03", name.as_bytes(), b"\0", value.as_bytes()].concat())
    }

    fn hydra(plain_sizes: bool) -> Vec<u8> {
        let people = format!(
            r#"[{{"ParticipantIndex":1,"UserId":"1a","UserName":"alice"}},{{"UserName":"bob\u001b[2J","ProfileUrl":"{}"}}]"#,
            "x".repeat(300)
        );
        let frames = [
            (b"TIT3", b"\x033894606003.284".to_vec()),
            user_text("JSONMetadata", r#"{"HydraVersion":4,"ntp":3894606003.5}"#),
            user_text("HydraParticipants", &people),
            user_text("HydraAudioLevel", "[12,0,31]"),
        ];
        tag(&frames, plain_sizes)
    }

    #[test]
    fn a_tag_is_read_with_sizes_of_both_kinds() {
        for plain_sizes in [false, true] {
            let bytes = hydra(plain_sizes);
            assert_eq!(claimed_length(&bytes), Some(bytes.len()));
            let tag = parse(&bytes);
            assert_eq!(tag.ntp_seconds, Some(3_894_606_003.284));
            assert_eq!(tag.participants, Some(vec!["alice".to_owned(), "bob [2J".to_owned()]), "{plain_sizes}");
            assert_eq!(tag.levels, Some(vec![12, 0, 31]));
        }
    }

    #[test]
    fn the_opening_tag_of_a_segment_holds_its_timestamp() {
        let head = include_str!("../../../tests/fixtures/x/chunk_head.hex");
        let mut bytes: Vec<u8> =
            head.split_whitespace().map(|pair| u8::from_str_radix(pair, 16).expect("hex")).collect();
        // The sample ends after the frame's name: the rest is what its 63 bytes must be.
        assert_eq!(bytes.len(), 14);
        bytes.extend_from_slice(&[0, 0, 0, 53, 0, 0]);
        bytes.extend_from_slice(TIMESTAMP_OWNER);
        bytes.extend_from_slice(&(0xFFFF_FFFE_0000_0000_u64 | 0x1_2345_6789).to_be_bytes());
        assert_eq!(claimed_length(&bytes), Some(bytes.len()));
        assert_eq!(parse(&bytes).timestamp, Some(0x1_2345_6789));
        assert_eq!(tag(&[priv_frame(1)], false)[..14], bytes[..14]);
    }

    #[test]
    fn a_tag_that_claims_sixteen_megabytes_allocates_nothing() {
        let mut bytes = b"ID3\x04\0\0\x07\x7f\x7f\x7f".to_vec();
        bytes.extend_from_slice(&tag(&[priv_frame(90)], false)[10..]);
        assert_eq!(claimed_length(&bytes), Some(16 * 1024 * 1024 - 1 + 10));
        assert_eq!(parse(&bytes).timestamp, Some(90));
        let mut frame = tag(&[priv_frame(90)], false);
        frame[14..18].copy_from_slice(&[0x7f; 4]);
        assert_eq!(parse(&frame), Id3::default());
    }

    #[test]
    fn texts_in_every_encoding_are_read() {
        let utf16: Vec<u8> = "3894606003".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = "3894606003".encode_utf16().flat_map(u16::to_be_bytes).collect();
        for content in [
            b"\x003894606003".to_vec(),
            b"\x033894606003\0".to_vec(),
            [b"\x01\xff\xfe".as_slice(), &utf16].concat(),
            [b"\x01\xfe\xff".as_slice(), &big].concat(),
            [b"\x02".as_slice(), &big].concat(),
        ] {
            assert_eq!(
                parse(&tag(&[(b"TIT3", content.clone())], false)).ntp_seconds,
                Some(3_894_606_003.0),
                "{content:?}"
            );
        }
    }

    #[test]
    fn hostile_values_are_bounded() {
        let frames = [
            user_text("HydraAudioLevel", &format!("[-5,1e99,\"x\",{}1]", "7,".repeat(500))),
            user_text("HydraParticipants", &format!("[{}{{}}]", "{\"UserName\":\"a\\nb\"},".repeat(500))),
            (b"TIT3", b"\x03NaN".to_vec()),
            user_text("JSONMetadata", r#"{"ntp":1e308}"#),
        ];
        let tag = parse(&tag(&frames, true));
        let levels = tag.levels.expect("levels");
        assert_eq!((levels.len(), &levels[..4]), (MAX_PEOPLE + 1, [0, u32::MAX, 0, 7].as_slice()));
        assert_eq!(tag.participants.expect("people"), vec!["a b".to_owned(); MAX_PEOPLE]);
        assert_eq!(tag.ntp_seconds, None);
    }

    proptest! {
        #[test]
        fn fuzz_id3_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..600), flags in any::<u8>(), major in 2_u8..6) {
            let bytes = [b"ID3".as_slice(), &[major, 0, flags], &bytes].concat();
            drop(parse(&bytes));
        }

        #[test]
        fn fuzz_id3_spoiled(at in 0_usize..700, byte in any::<u8>(), cut in 0_usize..900, plain_sizes in any::<bool>()) {
            let mut bytes = hydra(plain_sizes);
            if let Some(place) = bytes.get_mut(at) {
                *place = byte;
            }
            bytes.truncate(cut);
            drop(parse(&bytes));
        }
    }
}
