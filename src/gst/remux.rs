//! Captured Matroska streams: their AAC frames one by one, or copied into a whole file; and the silent frame that fills a
//! gap. All calls block; memory stays bounded whatever the length.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app::{AppSink, AppSrc};

use super::file_tags::{self, FileTags};
use super::pull::Captured;
use super::{GstError, Hole, Template};
use crate::media::AAC_FRAME_SAMPLES;

const MKA: Template = Template::new("remux_mka", include_str!("../../pipelines/remux_mka.launch"));
const FRAMES: Template = Template::new("capture_frames", include_str!("../../pipelines/capture_frames.launch"));
const SILENT: Template = Template::new("silent_aac", include_str!("../../pipelines/silent_aac.launch"));

/// Writing the index and copying behind it: an hour's file takes well under a second.
const ENDING: Duration = Duration::from_secs(600);

/// Copies the captured stream at `from` into a whole Matroska file at `to`.
///
/// # Errors
/// When it holds no stream, or the file cannot be written.
pub fn remux_mka(from: &Path, to: &Path, tags: &FileTags) -> Result<(), GstError> {
    let pipeline = MKA.build(&[])?;
    pipeline.element::<gst::Element>("src")?.set_property("location", from);
    pipeline.element::<gst::Element>("out")?.set_property("location", to);
    let stand_ins = file_tags::set_mka(&pipeline.element("mux")?, tags);
    pipeline.play_blocking()?;
    pipeline.wait_for_end(ENDING)?;
    drop(pipeline);
    file_tags::replace(to, &stand_ins)
        .map_err(|error| GstError::Failed { name: "remux_mka", reason: error.to_string() })
}

/// One access unit of a captured stream.
#[derive(Debug, Clone)]
pub struct CapturedFrame {
    /// Time in the stream, in nanoseconds.
    pub nanos: u64,
    /// The access unit, without a header.
    pub data: Bytes,
    /// The AudioSpecificConfig that holds for it.
    pub config: Bytes,
}

/// The AAC access units of a captured stream, in order.
pub type CapturedFrames = Captured<CapturedFrame>;

impl CapturedFrames {
    /// Opens the captured stream at `from`.
    ///
    /// # Errors
    /// When an element is missing or the file cannot be opened.
    pub fn open(from: &Path) -> Result<Self, GstError> {
        Self::read(&FRAMES, from, captured_frame)
    }
}

fn captured_frame(sample: &gst::Sample) -> Option<CapturedFrame> {
    let buffer = sample.buffer()?;
    let config = sample.caps()?.structure(0)?.get::<gst::Buffer>("codec_data").ok()?;
    let copy = |buffer: &gst::BufferRef| buffer.map_readable().ok().map(|map| Bytes::copy_from_slice(&map));
    Some(CapturedFrame { nanos: buffer.pts()?.nseconds(), data: copy(buffer)?, config: copy(&config)? })
}

/// One AAC-LC access unit that decodes to silence wherever it stands.
///
/// # Errors
/// When an element is missing or the encoder does not take this rate and these channels.
pub fn silent_frame(sample_rate: u32, channels: u32) -> Result<Bytes, GstError> {
    // The encoder's first access units hold its priming; with silence all later ones are the same.
    const FRAMES_IN: usize = 8;
    const FRAME_OUT: usize = 4;
    let holes = [
        ("rate", Hole::Int(i64::from(sample_rate))),
        ("channels", Hole::Int(i64::from(channels))),
        ("mask", Hole::Int(channel_mask(channels))),
    ];
    let pipeline = SILENT.build(&holes)?;
    let input: AppSrc = pipeline.element("in")?;
    let sink: AppSink = pipeline.element("out")?;
    pipeline.play_blocking()?;
    let refused = || GstError::Failed { name: pipeline.name(), reason: "the encoder gives no silence".to_owned() };
    let bytes = vec![0_u8; FRAMES_IN * AAC_FRAME_SAMPLES as usize * channels as usize * 4];
    let mut buffer = gst::Buffer::from_slice(bytes);
    buffer.get_mut().expect("a new buffer has one owner").set_pts(gst::ClockTime::ZERO);
    input.push_buffer(buffer).map_err(|_| refused())?;
    input.end_of_stream().map_err(|_| refused())?;
    let mut frame = None;
    for _ in 0..=FRAME_OUT {
        frame = sink.try_pull_sample(gst::ClockTime::from_seconds(10));
    }
    let sample = frame.ok_or_else(refused)?;
    let map = sample.buffer().and_then(|buffer| buffer.map_readable().ok()).ok_or_else(refused)?;
    Ok(Bytes::copy_from_slice(&map))
}

/// Speaker positions of AAC's own layouts, in GStreamer's bits.
fn channel_mask(channels: u32) -> i64 {
    match channels {
        1 => 0x4,
        3 => 0x7,
        4 => 0x107,
        5 => 0x37,
        6 => 0x3F,
        8 => 0xFF,
        _ => 0x3,
    }
}
