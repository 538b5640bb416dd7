//! Remuxing without re-encoding: AAC frames into an `.m4a`, a captured Matroska stream into a whole one, and the silent
//! frame that fills a gap. All calls block; memory stays bounded whatever the length.

use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app::{AppSink, AppSrc};

use super::file_tags::{self, FileTags};
use super::{GstError, Hole, Pipeline, Template};
use crate::media::AAC_FRAME_SAMPLES;

const M4A: Template = Template::new("remux_m4a", include_str!("../../pipelines/remux_m4a.launch"));
const MKA: Template = Template::new("remux_mka", include_str!("../../pipelines/remux_mka.launch"));
const FRAMES: Template = Template::new("capture_frames", include_str!("../../pipelines/capture_frames.launch"));
const SILENT: Template = Template::new("silent_aac", include_str!("../../pipelines/silent_aac.launch"));

/// Bytes on their way into the file before the caller has to wait: half a minute of a space's audio.
const IN_FLIGHT: u64 = 400_000;

/// A disk that takes nothing for so long is frozen.
const STALL: Duration = Duration::from_secs(60);

/// Writing the index and copying behind it: an hour's file takes well under a second.
const ENDING: Duration = Duration::from_secs(600);

/// An `.m4a` that is being written.
#[derive(Debug)]
pub struct M4aWriter {
    pipeline: Pipeline,
    input: AppSrc,
    sample_rate: u32,
    frames: u64,
}

impl M4aWriter {
    /// Starts a file at `path`. `scratch` is a second path on the same disk: the audio lies there until the index that
    /// comes before it is known. `config` is the AudioSpecificConfig.
    ///
    /// # Errors
    /// When an element is missing (with its package) or refuses to start.
    pub fn create(
        path: &Path,
        scratch: &Path,
        config: &[u8],
        sample_rate: u32,
        channels: u32,
        tags: &FileTags,
    ) -> Result<Self, GstError> {
        let pipeline = M4A.build(&[])?;
        let input: AppSrc = pipeline.element("in")?;
        let caps = gst::Caps::builder("audio/mpeg")
            .field("mpegversion", 4)
            .field("stream-format", "raw")
            .field("framed", true)
            .field("rate", sample_rate as i32)
            .field("channels", channels as i32)
            .field("codec_data", gst::Buffer::from_slice(config.to_vec()))
            .build();
        input.set_caps(Some(&caps));
        let mux: gst::Element = pipeline.element("mux")?;
        mux.set_property("faststart-file", scratch);
        file_tags::set_mp4(&mux, tags);
        pipeline.element::<gst::Element>("out")?.set_property("location", path);
        pipeline.play_blocking()?;
        Ok(Self { pipeline, input, sample_rate, frames: 0 })
    }

    /// Access units so far.
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// Appends one access unit of 1024 samples; waits while the disk is slower than the caller.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn push(&mut self, data: Bytes) -> Result<(), GstError> {
        let time = |frame: u64| {
            let nanos = u128::from(frame * AAC_FRAME_SAMPLES) * 1_000_000_000 / u128::from(self.sample_rate);
            gst::ClockTime::from_nseconds(nanos as u64)
        };
        let mut buffer = gst::Buffer::from_slice(data);
        {
            let buffer = buffer.get_mut().expect("a new buffer has one owner");
            let start = time(self.frames);
            buffer.set_pts(start);
            buffer.set_dts(start);
            buffer.set_duration(time(self.frames + 1) - start);
        }
        self.frames += 1;
        if self.input.current_level_bytes() > IN_FLIGHT {
            self.wait_for_room()?;
        }
        match self.input.push_buffer(buffer) {
            Ok(_) => Ok(()),
            // The bus knows why.
            Err(_) => Err(self.pipeline.wait_for_end(Duration::ZERO).err().unwrap_or_else(|| self.failed("it ended"))),
        }
    }

    /// Writes the index. The file is whole when this returns.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn finish(self) -> Result<(), GstError> {
        self.input.end_of_stream().map_err(|_| self.failed("it takes no end"))?;
        self.pipeline.wait_for_end(ENDING)
    }

    /// Waits in small steps and looks at the bus: a blocking push would never return from a pipeline that failed.
    fn wait_for_room(&self) -> Result<(), GstError> {
        let start = Instant::now();
        while self.input.current_level_bytes() > IN_FLIGHT / 2 {
            match self.pipeline.wait_for_end(Duration::from_millis(2)) {
                Err(GstError::Frozen { .. }) if start.elapsed() < STALL => {}
                Err(error) => return Err(error),
                Ok(()) => return Err(self.failed("it ended before its end")),
            }
        }
        Ok(())
    }

    fn failed(&self, reason: &str) -> GstError {
        GstError::Failed { name: self.pipeline.name(), reason: reason.to_owned() }
    }
}

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

/// Gives every AAC access unit of the captured stream at `from` to `visit`, in order.
///
/// # Errors
/// When the stream cannot be read (a torn end is none), or with the first error of `visit`.
pub fn captured_frames<E: From<GstError>>(
    from: &Path,
    mut visit: impl FnMut(CapturedFrame) -> Result<(), E>,
) -> Result<(), E> {
    let pipeline = FRAMES.build(&[])?;
    pipeline.element::<gst::Element>("src")?.set_property("location", from);
    let sink: AppSink = pipeline.element("out")?;
    pipeline.play_blocking()?;
    let mut count = 0_u64;
    loop {
        match sink.try_pull_sample(gst::ClockTime::from_mseconds(100)) {
            Some(sample) => {
                if let Some(frame) = captured_frame(&sample) {
                    count += 1;
                    visit(frame)?;
                }
            }
            None if sink.is_eos() => return Ok(()),
            None => match pipeline.wait_for_end(Duration::ZERO) {
                Ok(()) => return Ok(()),
                Err(GstError::Frozen { .. }) => {}
                // What follows the last whole cluster of a killed process is an error to the demultiplexer.
                Err(_) if count > 0 => return Ok(()),
                Err(error) => return Err(error.into()),
            },
        }
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
