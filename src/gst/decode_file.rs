//! Files into samples: a finished `.m4a` for whoever checks what a recording holds, and the operator's own audio.

use std::path::Path;
use std::time::{Duration, Instant};

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app::{AppSink, AppSinkCallbacks};

use super::samples::from_bytes;
use super::uri::{DECODERS, READERS, allow_only, link_first};
use super::{GstError, Pipeline, Template};
use crate::media::StereoSample;

const AUDIO: Template = Template::new("decode_audio", include_str!("../../pipelines/decode_audio.launch"));
const TEMPLATE: Template = Template::new("decode_m4a", include_str!("../../pipelines/decode_m4a.launch"));

/// A day of sound takes minutes.
const PATIENCE: Duration = Duration::from_secs(900);

/// A minute of sound takes well under a second.
const START_PATIENCE: Duration = Duration::from_secs(20);

/// Decodes `file` and calls `output` with its samples (48 kHz, mono) piece by piece, on one of GStreamer's threads. Blocks.
///
/// # Errors
/// When an element is missing (with its package), or the file is not there or damaged.
pub fn decode_m4a(file: &Path, mut output: impl FnMut(&[f32]) + Send + 'static) -> Result<(), GstError> {
    let pipeline = TEMPLATE.build(&[])?;
    let source: gst::Element = pipeline.element("in")?;
    source.set_property("location", file);
    let sink: AppSink = pipeline.element("out")?;
    let forward = move |sink: &AppSink| {
        let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
        let map = sample.buffer().and_then(|buffer| buffer.map_readable().ok()).ok_or(gst::FlowError::Error)?;
        let value = |four: &[u8]| f32::from_le_bytes([four[0], four[1], four[2], four[3]]);
        output(&map.chunks_exact(4).map(value).collect::<Vec<_>>());
        Ok(gst::FlowSuccess::Ok)
    };
    sink.set_callbacks(AppSinkCallbacks::builder().new_sample(forward).build());
    pipeline.play_blocking()?;
    pipeline.wait_for_end(PATIENCE)
}

/// Decodes a file of any known kind and calls `output` with its samples (48 kHz, stereo) piece by piece, on one of
/// GStreamer's threads. Blocks.
///
/// # Errors
/// When an element is missing (with its package), or the file is not there or holds no audio of a known kind.
pub fn decode_any(file: &Path, mut output: impl FnMut(&[StereoSample]) + Send + 'static) -> Result<(), GstError> {
    let pipeline = any(file)?;
    let sink: AppSink = pipeline.element("out")?;
    let forward = move |sink: &AppSink| {
        let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
        let map = sample.buffer().and_then(|buffer| buffer.map_readable().ok()).ok_or(gst::FlowError::Error)?;
        output(&from_bytes(&map));
        Ok(gst::FlowSuccess::Ok)
    };
    sink.set_callbacks(AppSinkCallbacks::builder().new_sample(forward).build());
    pipeline.play_blocking()?;
    pipeline.wait_for_end(PATIENCE)
}

fn any(file: &Path) -> Result<Pipeline, GstError> {
    let pipeline = AUDIO.build(&[])?;
    pipeline.element::<gst::Element>("in")?.set_property("location", file);
    let decode: gst::Element = pipeline.element("decode")?;
    allow_only(&decode, &[READERS, DECODERS]);
    link_first(&decode, &pipeline.element("pcm")?, "audio/x-raw");
    Ok(pipeline)
}

/// Decodes the first `most` samples of a file of any known kind, as 48 kHz stereo. Blocks.
///
/// # Errors
/// When an element is missing (with its package), or the file is not there or holds no audio of a known kind.
pub fn decode_start(file: &Path, most: usize) -> Result<Vec<StereoSample>, GstError> {
    let pipeline = any(file)?;
    pipeline.play_blocking()?;
    pull(&pipeline, most)
}

fn pull(pipeline: &Pipeline, most: usize) -> Result<Vec<StereoSample>, GstError> {
    let sink: AppSink = pipeline.element("out")?;
    let mut samples = Vec::new();
    let start = Instant::now();
    while samples.len() < most {
        if let Some(sample) = sink.try_pull_sample(gst::ClockTime::from_mseconds(20)) {
            if let Some(map) = sample.buffer().and_then(|buffer| buffer.map_readable().ok()) {
                samples.extend(from_bytes(&map));
            }
            continue;
        }
        if sink.is_eos() {
            break;
        }
        match pipeline.wait_for_end(Duration::ZERO) {
            Ok(()) => break,
            // Neither an end nor a fault so far.
            Err(GstError::Frozen { .. }) if start.elapsed() < START_PATIENCE => {}
            Err(error) => return Err(error),
        }
    }
    samples.truncate(most);
    Ok(samples)
}
