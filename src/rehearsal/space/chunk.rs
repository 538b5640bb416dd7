//! The bytes of one chunk as X's CDN serves it: ID3v2.4 tags and ADTS frames.
//!
//! A chunk opens with a tag that holds only the 90 kHz timestamp; about once a second a further tag tells the
//! broadcaster's time, who is on stage and how loud each is (observed by x-spaces-transcription, tslazer and
//! twspace-crawler). Frame sizes inside a tag occur synchsafe and plain; both can be asked for.

use bytes::{BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize};

use super::format::SoundFormat;
use crate::media::AAC_FRAME_SAMPLES;

/// Frames between two tags inside a chunk: about one second.
const TAG_EVERY: usize = 47;
/// The first inner tag comes a little after the start, never beside the opening tag.
const FIRST_TAG: usize = 12;
/// Seconds from 1900 (NTP) to 1970 (Unix).
pub(super) const NTP_TO_UNIX: f64 = 2_208_988_800.0;

/// How sizes of ID3 frames are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Id3Sizes {
    /// As ID3v2.4 says: seven bits a byte.
    #[default]
    Synchsafe,
    /// As many writers do: plain big-endian.
    Plain,
}

/// What a chunk says beside its sound.
#[derive(Debug, Clone, PartialEq)]
pub struct ChunkFacts {
    /// Number of its first frame on the tape: decides its timestamp.
    pub first_frame: u64,
    /// The form of its frames.
    pub format: SoundFormat,
    /// Wall time of its first sample, in Unix seconds.
    pub unix_seconds: f64,
    /// Handles of the guests on stage.
    pub participants: Vec<String>,
    /// How sizes are written.
    pub sizes: Id3Sizes,
}

/// One chunk of `frames` (raw AAC access units).
pub fn build(frames: &[Bytes], facts: &ChunkFacts) -> Bytes {
    let mut bytes = BytesMut::with_capacity(frames.iter().map(|frame| frame.len() + 7).sum::<usize>() + 4096);
    bytes.extend_from_slice(&tag(&[private_timestamp(facts)], facts.sizes));
    for (n, frame) in frames.iter().enumerate() {
        if n % TAG_EVERY == FIRST_TAG {
            bytes.extend_from_slice(&hydra_tag(n, facts));
        }
        bytes.extend_from_slice(&adts_with(frame, facts.format.adts_index(), facts.format.channels));
    }
    bytes.freeze()
}

/// `frame` with the header that makes it a stream of its own: MPEG-4 AAC-LC, 48 kHz, stereo, no checksum.
pub fn adts(frame: &[u8]) -> Bytes {
    adts_with(frame, 3, 2)
}

/// `frame` with an ADTS header for sampling frequency `index` and `channels` of ISO/IEC 14496-3.
pub fn adts_with(frame: &[u8], index: u8, channels: u8) -> Bytes {
    let length = frame.len() + 7;
    let mut bytes = BytesMut::with_capacity(length);
    bytes.put_slice(&[0xFF, 0xF1]);
    // Profile 1 is AAC-LC; the channel configuration is split over two bytes.
    bytes.put_u8(0x40 | (index & 0xF) << 2 | (channels >> 2) & 1);
    bytes.put_u8((channels & 3) << 6 | ((length >> 11) & 3) as u8);
    bytes.put_u8((length >> 3) as u8);
    bytes.put_u8(((length & 7) << 5) as u8 | 0x1F);
    bytes.put_u8(0xFC);
    bytes.put_slice(frame);
    bytes.freeze()
}

fn private_timestamp(facts: &ChunkFacts) -> ([u8; 4], Vec<u8>) {
    let rate = u64::from(facts.format.sample_rate);
    let ticks = (facts.first_frame * AAC_FRAME_SAMPLES * 90_000 / rate) & 0x1_FFFF_FFFF;
    let mut body = b"com.apple.streaming.transportStreamTimestamp\0".to_vec();
    body.extend_from_slice(&ticks.to_be_bytes());
    (*b"PRIV", body)
}

fn hydra_tag(frame: usize, facts: &ChunkFacts) -> Bytes {
    let offset = frame as f64 * AAC_FRAME_SAMPLES as f64 / f64::from(facts.format.sample_rate);
    let ntp = facts.unix_seconds + offset + NTP_TO_UNIX;
    let participants: Vec<_> = facts
        .participants
        .iter()
        .enumerate()
        .map(|(n, name)| {
            serde_json::json!({
                "ParticipantIndex": n + 1,
                "UserId": format!("1rehearsal{n:02}"),
                "UserName": name,
                "SessionId": format!("00000000-0000-4000-8000-{n:012}"),
                "ProfileUrl": "https://pbs.twimg.com/profile_images/0/rehearsal.jpg",
            })
        })
        .collect();
    // The host talks, then each guest in turn.
    let turn = (facts.first_frame / 140 + frame as u64 / 47) as usize % (facts.participants.len() + 1);
    let levels: Vec<u32> = (0..=facts.participants.len()).map(|n| if n == turn { 21 } else { 0 }).collect();
    let frames = [
        text(*b"TIT3", None, &format!("{ntp:.3}")),
        text(*b"TXXX", Some("JSONMetadata"), &serde_json::json!({"HydraVersion": 4, "ntp": ntp}).to_string()),
        text(*b"TXXX", Some("HydraParticipants"), &serde_json::Value::from(participants).to_string()),
        text(*b"TXXX", Some("HydraAudioLevel"), &serde_json::Value::from(levels).to_string()),
    ];
    tag(&frames, facts.sizes)
}

/// A text frame in UTF-8, with a description for the user-defined kind.
fn text(id: [u8; 4], description: Option<&str>, value: &str) -> ([u8; 4], Vec<u8>) {
    let mut body = vec![3];
    if let Some(description) = description {
        body.extend_from_slice(description.as_bytes());
        body.push(0);
    }
    body.extend_from_slice(value.as_bytes());
    (id, body)
}

fn tag(frames: &[([u8; 4], Vec<u8>)], sizes: Id3Sizes) -> Bytes {
    let mut body = BytesMut::new();
    for (id, content) in frames {
        let size = content.len() as u32;
        body.put_slice(id);
        body.put_u32(if sizes == Id3Sizes::Synchsafe { synchsafe(size) } else { size });
        body.put_u16(0);
        body.put_slice(content);
    }
    let mut tag = BytesMut::with_capacity(body.len() + 10);
    tag.put_slice(b"ID3\x04\0\0");
    tag.put_u32(synchsafe(body.len() as u32));
    tag.put_slice(&body);
    tag.freeze()
}

fn synchsafe(value: u32) -> u32 {
    (value & 0x7F) | (value & 0x3F80) << 1 | (value & 0x1F_C000) << 2 | (value & 0xFE0_0000) << 3
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gst::aac_encode::encode_aac;
    use crate::rehearsal::ear::Ear;
    use crate::ruler;

    fn facts(first_frame: u64) -> ChunkFacts {
        let participants = vec!["alice".to_owned(), "bob".to_owned()];
        let format = SoundFormat::default();
        ChunkFacts { first_frame, format, unix_seconds: 1_700_000_000.0, participants, sizes: Id3Sizes::Synchsafe }
    }

    fn ruler_frames(seconds: u32) -> Vec<Bytes> {
        let samples: Vec<[f32; 2]> = (0..seconds).flat_map(ruler::second).map(|value| [value, value]).collect();
        encode_aac(&samples, 96).expect("frames").1
    }

    #[test]
    fn a_chunk_opens_with_the_very_bytes_that_clients_look_for() {
        let chunk = build(&ruler_frames(1), &facts(141));
        // First bytes of a chunk as tslazer and twspace-crawler cut at: a tag of 63 bytes with one PRIV frame.
        assert_eq!(chunk[..14], [0x49, 0x44, 0x33, 4, 0, 0, 0, 0, 0, 0x3F, 0x50, 0x52, 0x49, 0x56]);
        // 141 frames of 1024 samples are 270 720 ticks of 90 kHz.
        assert_eq!(chunk[65..73], 270_720_u64.to_be_bytes());
        assert_eq!(chunk[73..75], [0xFF, 0xF1]);
    }

    #[test]
    fn sizes_over_127_differ_between_the_two_ways_of_writing() {
        let plain = hydra_tag(12, &ChunkFacts { sizes: Id3Sizes::Plain, ..facts(0) });
        let safe = hydra_tag(12, &facts(0));
        assert_eq!(plain.len(), safe.len());
        assert_ne!(plain, safe);
        assert_eq!(synchsafe(0x3FFF), 0x7F7F);
    }

    #[test]
    fn ffprobe_reads_chunks_put_together() {
        let frames = ruler_frames(6);
        let mut file = tempfile::NamedTempFile::with_suffix(".aac").expect("a file");
        for (n, part) in frames.chunks(141).enumerate() {
            std::io::Write::write_all(&mut file, &build(part, &facts(n as u64 * 141))).expect("written");
        }
        let probe = std::process::Command::new("ffprobe")
            .args([
                "-v",
                "error",
                "-count_packets",
                "-show_entries",
                "stream=codec_name,sample_rate,channels,nb_read_packets",
            ])
            .args(["-of", "csv=p=0"])
            .arg(file.path())
            .output()
            .expect("ffprobe is in the Debian package ffmpeg");
        let text = String::from_utf8_lossy(&probe.stdout);
        assert_eq!(text.trim(), format!("aac,48000,2,{}", frames.len()), "{}", String::from_utf8_lossy(&probe.stderr));
    }

    #[test]
    fn every_second_of_the_ruler_survives_chunks_and_aac() {
        let mut ear = Ear::start().expect("an ear");
        for (n, frame) in ruler_frames(12).iter().enumerate() {
            ear.frame(n as i64 * 1024, adts(frame));
        }
        let heard = ear.finish();
        assert_eq!(heard.seconds.iter().map(|second| second.index).collect::<Vec<_>>(), (0..12).collect::<Vec<_>>());
        for (n, second) in heard.seconds.iter().enumerate() {
            let error = second.at_samples - n as f64 * 48_000.0;
            assert!(error.abs() < 24.0, "second {n} is {error} samples off");
        }
    }
}
