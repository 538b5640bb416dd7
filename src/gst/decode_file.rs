//! A finished `.m4a` back into samples, for whoever checks what a recording holds.

use std::path::Path;
use std::time::Duration;

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app::{AppSink, AppSinkCallbacks};

use super::{GstError, Template};

const TEMPLATE: Template = Template::new("decode_m4a", include_str!("../../pipelines/decode_m4a.launch"));

/// A day of sound takes minutes.
const PATIENCE: Duration = Duration::from_secs(900);

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
