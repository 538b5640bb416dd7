//! An episode's samples into encoded files, as fast as the machine goes: one pipeline for each file, each with a thread
//! of its own, all fed with the same buffers. All calls block.
//!
//! What waits for an encoder is bounded in time, so that the slowest sets the pace and memory stays small.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app::{AppSink, AppSinkCallbacks, AppSrc};

use super::file_tags::set_embedded;
use super::samples::to_buffer;
use super::{FileTags, GstError, Hole, Pipeline, Template};
use crate::media::StereoSample;

const MP3: Template = Template::new("episode_mp3", include_str!("../../pipelines/episode_mp3.launch"));
const AAC: Template = Template::new("episode_aac", include_str!("../../pipelines/episode_aac.launch"));
const OPUS: Template = Template::new("episode_opus", include_str!("../../pipelines/episode_opus.launch"));
const FLAC: Template = Template::new("episode_flac", include_str!("../../pipelines/episode_flac.launch"));
const WAV: Template = Template::new("episode_wav", include_str!("../../pipelines/episode_wav.launch"));

/// Bytes that wait for an encoder, at most: two seconds of samples.
const WAITING: u64 = 2 * 48_000 * 8;

/// An encoder that takes nothing for so long is frozen; a slow disk is not.
const STALL: Duration = Duration::from_secs(60);

/// How long an encoder may take for what waits and for its file's head.
const END: Duration = Duration::from_secs(120);

/// How the samples are encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// MP3 frames at a constant rate.
    Mp3 {
        /// The rate, in kbit/s.
        kbps: u32,
        /// Whether the sound comes out as loud as it goes in. LAME makes it quieter by up to 0.45 dB, so that what is
        /// full scale does not overshoot: right for a sound that was not limited, wrong for one with a ceiling.
        exact: bool,
    },
    /// AAC-LC access units, in kbit/s. The first one holds nothing but the encoder's priming.
    Aac(u32),
    /// Opus in Ogg, in kbit/s.
    Opus(u32),
    /// FLAC.
    Flac,
    /// WAV; or RF64, for more than 4 GB.
    Wav {
        /// Whether it must be RF64.
        large: bool,
    },
}

/// What an encoder's own container says about the file.
#[derive(Debug, Clone, Default)]
pub struct Embedded {
    /// Title, artist, date and cover.
    pub tags: FileTags,
    /// The show.
    pub album: Option<String>,
    /// A few words.
    pub comment: Option<String>,
    /// Comments as `NAME=text`.
    pub extended: Vec<String>,
}

/// What takes encoded frames, with the codec's configuration; on a thread of the encoder's own, where it may block.
pub type Packets = Box<dyn FnMut(Option<&[u8]>, &[u8]) -> io::Result<()> + Send>;

/// Where the encoded sound goes.
pub enum Target {
    /// A file that is there and empty, with what it says about itself: Opus, FLAC and WAV.
    File(PathBuf, Embedded),
    /// Frame by frame: MP3 and AAC.
    Packets(Packets),
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path, _) => f.debug_tuple("File").field(path).finish(),
            Self::Packets(_) => f.write_str("Packets"),
        }
    }
}

/// One file's encoder.
#[derive(Debug)]
pub struct FileEncoder {
    pipeline: Pipeline,
    input: AppSrc,
    failure: Arc<Mutex<Option<io::Error>>>,
}

/// Samples for several encoders, which share them.
#[derive(Debug)]
pub struct Samples(gst::Buffer);

impl Samples {
    /// `samples` whose first one is number `at` of the file.
    pub fn new(samples: &[StereoSample], at: u64) -> Self {
        Self(to_buffer(samples, at))
    }
}

impl FileEncoder {
    /// Starts an encoder with 1 or 2 `channels`; one channel is the mean of both.
    ///
    /// # Errors
    /// When an element is missing (with its package) or refuses to start.
    pub fn start(codec: Codec, channels: u8, target: Target) -> Result<Self, GstError> {
        let pipeline = build(codec, channels)?;
        let failure = Arc::new(Mutex::new(None));
        match target {
            Target::File(path, embedded) => {
                let tags: gst::Element = pipeline.element("tags")?;
                set_embedded(&tags, &embedded);
                let file: gst::Element = pipeline.element("file")?;
                file.set_property("location", &path);
            }
            Target::Packets(packets) => hand_over(&pipeline.element("out")?, packets, failure.clone()),
        }
        let input: AppSrc = pipeline.element("in")?;
        pipeline.play_blocking()?;
        Ok(Self { pipeline, input, failure })
    }

    /// Gives it the samples that follow. Waits while the encoder is behind.
    ///
    /// # Errors
    /// When the encoder failed or froze.
    pub fn push(&self, samples: &Samples) -> Result<(), GstError> {
        let start = Instant::now();
        while self.input.current_level_bytes() > WAITING {
            match self.pipeline.wait_for_end(Duration::ZERO) {
                Err(GstError::Frozen { .. }) if start.elapsed() < STALL => {}
                Err(error) => return Err(error),
                Ok(()) => return Err(self.failed("it ended too early")),
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        self.input.push_buffer(samples.0.clone()).map(|_| ()).map_err(|_| self.reason())
    }

    /// Waits until everything pushed is in the file.
    ///
    /// # Errors
    /// When the encoder fails or does not end.
    pub fn finish(&self) -> Result<(), GstError> {
        self.input.end_of_stream().map_err(|_| self.reason())?;
        self.pipeline.wait_for_end(END)
    }

    /// What the file's writer said, if it is the reason of a failure; takes it.
    pub fn take_failure(&self) -> Option<io::Error> {
        self.failure.lock().ok()?.take()
    }

    /// The bus knows why.
    fn reason(&self) -> GstError {
        match self.pipeline.wait_for_end(Duration::ZERO) {
            Err(error @ GstError::Failed { .. }) => error,
            _ => self.failed("it takes no more samples"),
        }
    }

    fn failed(&self, reason: &str) -> GstError {
        GstError::Failed { name: self.pipeline.name(), reason: reason.to_owned() }
    }
}

fn build(codec: Codec, channels: u8) -> Result<Pipeline, GstError> {
    let channels = ("channels", Hole::Int(channels.into()));
    let bitrate = |kbps: u32| ("bitrate", Hole::Int(i64::from(kbps) * 1000));
    match codec {
        Codec::Mp3 { kbps, exact } => {
            let volume = if exact { undone(kbps) } else { "1.0" };
            MP3.build(&[channels, ("kbps", Hole::Int(kbps.into())), ("volume", Hole::Word(volume))])
        }
        Codec::Aac(kbps) => AAC.build(&[channels, bitrate(kbps)]),
        Codec::Opus(kbps) => OPUS.build(&[channels, bitrate(kbps)]),
        Codec::Flac => FLAC.build(&[channels]),
        Codec::Wav { large } => {
            let container = if large { "audio/x-rf64" } else { "audio/x-wav" };
            WAV.build(&[channels, ("container", Hole::Word(container))])
        }
    }
}

/// The inverse of what LAME 3.100 scales its input by at a constant rate (its presets: 0.95 up to 160 kbit/s, 0.97, 0.98, 1).
fn undone(kbps: u32) -> &'static str {
    match kbps {
        0..=160 => "1.0526",
        161..=192 => "1.0309",
        193..=224 => "1.0204",
        _ => "1.0",
    }
}

/// Lets `packets` take what comes out. What it fails with ends the pipeline.
fn hand_over(sink: &AppSink, packets: Packets, failure: Arc<Mutex<Option<io::Error>>>) {
    let packets = Mutex::new(packets);
    let take = move |sink: &AppSink| {
        let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
        let map = sample.buffer().and_then(|buffer| buffer.map_readable().ok()).ok_or(gst::FlowError::Error)?;
        let config = codec_data(&sample);
        let mut packets = packets.lock().map_err(|_| gst::FlowError::Error)?;
        packets(config.as_deref(), &map).map(|()| gst::FlowSuccess::Ok).map_err(|error| {
            if let Ok(mut slot) = failure.lock() {
                slot.get_or_insert(error);
            }
            gst::FlowError::Error
        })
    };
    sink.set_callbacks(AppSinkCallbacks::builder().new_sample(take).build());
}

fn codec_data(sample: &gst::Sample) -> Option<Bytes> {
    let buffer = sample.caps()?.structure(0)?.get::<gst::Buffer>("codec_data").ok()?;
    let map = buffer.map_readable().ok()?;
    Some(Bytes::copy_from_slice(&map))
}
