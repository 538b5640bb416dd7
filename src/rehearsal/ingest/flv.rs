//! What an RTMP audio or video message holds, as far as a judge must know (Adobe FLV specification, annex E.4).

use bytes::Bytes;

/// The content of one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// AVCDecoderConfigurationRecord.
    VideoHeader(Bytes),
    /// One access unit in AVC form.
    Picture {
        /// The container calls it a key frame.
        key_frame: bool,
        /// It holds an IDR slice.
        idr: bool,
        /// The access unit.
        data: Bytes,
    },
    /// AudioSpecificConfig.
    AudioHeader(Bytes),
    /// One raw AAC access unit.
    Sound(Bytes),
    /// The end of a track; nothing to judge.
    End,
    /// Something that this platform does not take.
    Foreign(&'static str),
}

const AVC: u8 = 7;
const AAC: u8 = 10;

/// Reads a video message.
pub fn video(body: &Bytes) -> Content {
    let [first, packet, ..] = body[..] else { return Content::Foreign("an empty video message") };
    if first & 0x0F != AVC || first & 0x80 != 0 {
        return Content::Foreign("video that is not AVC");
    }
    let Some(data) = rest(body, 5) else { return Content::Foreign("a cut video message") };
    match packet {
        0 => Content::VideoHeader(data),
        1 => Content::Picture { key_frame: first >> 4 == 1, idr: has_idr(&data), data },
        _ => Content::End,
    }
}

/// Reads an audio message.
pub fn audio(body: &Bytes) -> Content {
    let [first, packet, ..] = body[..] else { return Content::Foreign("an empty audio message") };
    if first >> 4 != AAC {
        return Content::Foreign("audio that is not AAC");
    }
    let Some(data) = rest(body, 2) else { return Content::Foreign("a cut audio message") };
    if packet == 0 { Content::AudioHeader(data) } else { Content::Sound(data) }
}

fn rest(body: &Bytes, from: usize) -> Option<Bytes> {
    (body.len() >= from).then(|| body.slice(from..))
}

/// Whether one of the units, each behind four bytes of length, is an IDR slice (type 5).
fn has_idr(mut units: &[u8]) -> bool {
    while let Some((length, behind)) = units.split_first_chunk::<4>() {
        let length = u32::from_be_bytes(*length) as usize;
        if behind.first().is_some_and(|header| header & 0x1F == 5) {
            return true;
        }
        units = behind.get(length..).unwrap_or_default();
    }
    false
}

/// Sampling frequency index and channels of an AudioSpecificConfig (ISO/IEC 14496-3, 1.6.2.1), for AAC-LC only.
pub fn aac_parameters(config: &[u8]) -> Option<(u8, u8)> {
    let [first, second, ..] = *config else { return None };
    let object_type = first >> 3;
    let index = (first & 7) << 1 | second >> 7;
    let channels = (second >> 3) & 0xF;
    (object_type == 2 && index < 13 && (1..=7).contains(&channels)).then_some((index, channels))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_told_apart() {
        let idr = [0x17, 1, 0, 0, 0, 0, 0, 0, 2, 0x65, 1];
        let parameter_sets_then_idr = [0x17, 1, 0, 0, 0, 0, 0, 0, 1, 0x67, 0, 0, 0, 1, 0x65];
        let slice = [0x27, 1, 0, 0, 0, 0, 0, 0, 1, 0x41];
        for (body, key, real) in
            [(&idr[..], true, true), (&parameter_sets_then_idr, true, true), (&slice, false, false)]
        {
            let content = video(&Bytes::copy_from_slice(body));
            assert!(matches!(content, Content::Picture { key_frame, idr, .. } if key_frame == key && idr == real));
        }
        assert_eq!(video(&Bytes::from_static(&[0x17, 0, 0, 0, 0, 9])), Content::VideoHeader(Bytes::from_static(&[9])));
        assert!(matches!(video(&Bytes::from_static(&[0x12, 1, 0])), Content::Foreign(_)));
        assert!(matches!(video(&Bytes::from_static(&[0x90, b'h', b'v'])), Content::Foreign(_)));
        assert_eq!(
            audio(&Bytes::from_static(&[0xAF, 0, 0x11, 0x90])),
            Content::AudioHeader(Bytes::from_static(&[0x11, 0x90]))
        );
        assert!(matches!(audio(&Bytes::from_static(&[0x2F, 0])), Content::Foreign(_)));
    }

    #[test]
    fn cut_messages_do_no_harm() {
        for length in 0..6 {
            let body = Bytes::from(vec![0x17; length]);
            assert!(!matches!(video(&body), Content::Picture { idr: true, .. }));
        }
        assert!(!has_idr(&[0xFF, 0xFF, 0xFF, 0xFF, 0x41, 0]));
    }

    #[test]
    fn parameters_of_the_usual_configuration() {
        assert_eq!(aac_parameters(&[0x11, 0x90]), Some((3, 2)));
        assert_eq!(aac_parameters(&[0x12, 0x10]), Some((4, 2)));
        assert_eq!(aac_parameters(&[0x2B]), None);
    }
}
