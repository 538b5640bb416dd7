//! Encoded media to feed outputs with, and readers of what arrived.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::Value;
use spacebridge::clock::Clock;
use spacebridge::gst::aac_encode::encode_aac;
use spacebridge::media::{
    AAC_FRAME_SAMPLES, AudioFormat, AudioFrame, EncodedLoop, PictureTimeline, ProgramTime, SAMPLE_RATE, VideoFormat,
};
use spacebridge::output::OutputInputs;
use spacebridge::ruler;
use tokio::sync::{broadcast, watch};

use super::process;

/// Seconds of different sound before it begins again.
const SOUND_SECONDS: u32 = 20;

/// A moving picture at 3000 kbit/s, made once.
pub(crate) fn picture() -> Arc<EncodedLoop> {
    static PICTURE: OnceLock<Arc<EncodedLoop>> = OnceLock::new();
    PICTURE.get_or_init(|| Arc::new(encode_picture())).clone()
}

/// The ruler as AAC, made once.
pub(crate) fn sound() -> &'static (AudioFormat, Vec<Bytes>) {
    static SOUND: OnceLock<(AudioFormat, Vec<Bytes>)> = OnceLock::new();
    SOUND.get_or_init(|| {
        let samples: Vec<_> = (0..SOUND_SECONDS).flat_map(ruler::second).map(|value| [value, value]).collect();
        encode_aac(&samples, 128).expect("AAC")
    })
}

fn encode_picture() -> EncodedLoop {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("picture.flv");
    let arguments = "-v error -f lavfi -i testsrc2=size=1280x720:rate=30 -frames:v 60 -c:v libx264 -preset veryfast \
                     -profile:v main -pix_fmt yuv420p -g 60 -keyint_min 60 -sc_threshold 0 -bf 0 -b:v 3000k \
                     -minrate 3000k -maxrate 3000k -bufsize 1000k -x264-params nal-hrd=cbr";
    let mut arguments: Vec<&str> = arguments.split_whitespace().collect();
    arguments.push(path.to_str().expect("a path"));
    process::run("ffmpeg", &arguments);
    let file = fs::read(&path).expect("a file");
    let mut picture = EncodedLoop {
        codec_data: Bytes::new(),
        frames: Vec::new(),
        format: VideoFormat { width: 1280, height: 720, fps: 30 },
        still: None,
    };
    // Behind the file's header of 9 and 4 bytes: tags of 11 bytes, a body, and 4 bytes.
    let mut rest = &file[13..];
    while let [kind, a, b, c, ..] = *rest {
        let length = u32::from_be_bytes([0, a, b, c]) as usize;
        let body = &rest[11..11 + length];
        match (kind, body.get(1)) {
            (9, Some(0)) => picture.codec_data = Bytes::copy_from_slice(&body[5..]),
            (9, Some(1)) => picture.frames.push(Bytes::copy_from_slice(&body[5..])),
            _ => {}
        }
        rest = &rest[11 + length + 4..];
    }
    assert_eq!(picture.frames.len(), 60);
    picture
}

/// A program on the air, in real time, from an odd place on its timeline. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct OnAir {
    /// What outputs are given.
    pub(crate) inputs: OutputInputs,
    /// The show's word on the picture; none other comes in these tests.
    _pictures: watch::Sender<Arc<PictureTimeline>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl OnAir {
    /// Goes on the air.
    pub(crate) fn start() -> Self {
        let (format, frames) = sound();
        let (audio, _) = broadcast::channel(256);
        let (pictures, receiver) = watch::channel(Arc::new(PictureTimeline::new(picture())));
        let stop = Arc::new(AtomicBool::new(false));
        let (sender, stopped) = (audio.clone(), stop.clone());
        let thread = std::thread::spawn(move || pace(&sender, frames, &stopped));
        let inputs = OutputInputs { audio, audio_format: format.clone(), pictures: receiver, clock: Clock::system() };
        Self { inputs, _pictures: pictures, stop, thread: Some(thread) }
    }
}

impl Drop for OnAir {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the pacing thread");
        }
    }
}

fn pace(sender: &broadcast::Sender<AudioFrame>, frames: &[Bytes], stop: &AtomicBool) {
    let start = Instant::now();
    let mut sent = 0_u64;
    while !stop.load(Ordering::Relaxed) {
        let due = start.elapsed().as_micros() as u64 * u64::from(SAMPLE_RATE) / 1_000_000 / AAC_FRAME_SAMPLES;
        while sent < due {
            let index = sent + 12_345;
            let at = ProgramTime::from_samples(index * AAC_FRAME_SAMPLES);
            let data = frames[index as usize % frames.len()].clone();
            // There may be no output at the moment.
            drop(sender.send(AudioFrame { at, data }));
            sent += 1;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// One packet of a file.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Packet {
    /// Presentation time, in ms.
    pub(crate) at_ms: i64,
    /// Whether decoding can start here.
    pub(crate) key: bool,
    /// Checksum of its bytes.
    pub(crate) hash: String,
}

/// The packets of a file, as ffprobe reads them.
#[derive(Debug)]
pub(crate) struct Tracks {
    /// Packets of the first audio track.
    pub(crate) audio: Vec<Packet>,
    /// Packets of the first video track.
    pub(crate) video: Vec<Packet>,
}

impl Tracks {
    /// Reads `file`, which may still grow.
    pub(crate) fn of(file: &Path) -> Self {
        let fields = "packet=codec_type,dts_time,flags,data_hash";
        let file = file.to_str().expect("a path");
        let arguments = ["-v", "error", "-show_data_hash", "md5", "-show_entries", fields, "-of", "json", file];
        let parsed: Value = serde_json::from_slice(&process::run("ffprobe", &arguments).stdout).expect("JSON");
        let mut tracks = Self { audio: Vec::new(), video: Vec::new() };
        for packet in parsed["packets"].as_array().expect("packets") {
            let text = |name: &str| packet[name].as_str().unwrap_or_default().to_owned();
            let seconds: f64 = text("dts_time").parse().expect("a time");
            let at_ms = (seconds * 1000.0).round() as i64;
            let read = Packet { at_ms, key: text("flags").starts_with('K'), hash: text("data_hash") };
            match &*text("codec_type") {
                "audio" => tracks.audio.push(read),
                "video" => tracks.video.push(read),
                other => panic!("a track of {other}"),
            }
        }
        tracks
    }

    /// Fails unless both tracks begin at `start_ms` with a key frame and go on without a gap or a step back.
    pub(crate) fn assert_continuous_from(&self, start_ms: i64) {
        assert!(self.video.len() > 30 && self.audio.len() > 30, "too short: {} pictures", self.video.len());
        assert_eq!((self.video[0].at_ms, self.video[0].key), (start_ms, true), "first picture");
        let first = self.audio[0].at_ms - start_ms;
        assert!((0..25).contains(&first), "audio begins {first} ms after the pictures");
        for (track, longest) in [(&self.video, 40), (&self.audio, 25)] {
            for pair in track.windows(2) {
                let step = pair[1].at_ms - pair[0].at_ms;
                assert!((1..=longest).contains(&step), "a step of {step} ms at {} ms", pair[0].at_ms);
            }
        }
        let keys: Vec<_> =
            self.video.iter().filter(|packet| packet.key).map(|packet| packet.at_ms - start_ms).collect();
        assert!(keys.iter().all(|at| at % 2000 == 0), "key frames at {keys:?}");
    }
}

/// Fails unless the file decodes without a complaint.
pub(crate) fn assert_decodes(file: &Path) {
    let output = process::run("ffmpeg", &["-v", "error", "-i", file.to_str().expect("a path"), "-f", "null", "-"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.is_empty(), "{said}");
}
