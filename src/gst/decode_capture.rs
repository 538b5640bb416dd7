//! A captured stream of uncompressed sound as 48 kHz stereo samples. All calls block; memory stays bounded whatever the
//! length.

use std::path::Path;
use std::time::Duration;

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app::AppSink;

use super::samples::{from_bytes, sample_count};
use super::{GstError, Pipeline, Template};
use crate::media::StereoSample;

const TEMPLATE: Template = Template::new("decode_capture", include_str!("../../pipelines/decode_capture.launch"));

/// Samples, and where in the stream the first of them lies, in 48 kHz samples to the nearest millisecond.
pub type CapturedBlock = (u64, Vec<StereoSample>);

/// The samples of a captured stream, in order.
#[derive(Debug)]
pub struct CapturedSamples {
    pipeline: Pipeline,
    sink: AppSink,
    count: u64,
    over: bool,
}

impl CapturedSamples {
    /// Opens the captured stream at `from`.
    ///
    /// # Errors
    /// When an element is missing or the file cannot be opened.
    pub fn open(from: &Path) -> Result<Self, GstError> {
        let pipeline = TEMPLATE.build(&[])?;
        pipeline.element::<gst::Element>("in")?.set_property("location", from);
        let sink: AppSink = pipeline.element("out")?;
        pipeline.play_blocking()?;
        Ok(Self { pipeline, sink, count: 0, over: false })
    }

    /// The next samples; none at the end. A torn end is no error.
    fn pull(&mut self) -> Result<Option<CapturedBlock>, GstError> {
        loop {
            match self.sink.try_pull_sample(gst::ClockTime::from_mseconds(100)) {
                Some(sample) => {
                    if let Some(block) = block_of(&sample) {
                        self.count += 1;
                        return Ok(Some(block));
                    }
                }
                None if self.sink.is_eos() => return Ok(None),
                None => match self.pipeline.wait_for_end(Duration::ZERO) {
                    Ok(()) => return Ok(None),
                    Err(GstError::Frozen { .. }) => {}
                    // What follows the last whole cluster of a killed process is an error to the demultiplexer.
                    Err(_) if self.count > 0 => return Ok(None),
                    Err(error) => return Err(error),
                },
            }
        }
    }
}

impl Iterator for CapturedSamples {
    type Item = Result<CapturedBlock, GstError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let pulled = self.pull().transpose();
        self.over = !matches!(pulled, Some(Ok(_)));
        pulled
    }
}

fn block_of(sample: &gst::Sample) -> Option<CapturedBlock> {
    let buffer = sample.buffer()?;
    let map = buffer.map_readable().ok()?;
    Some((buffer.pts().map(sample_count)?, from_bytes(&map)))
}
