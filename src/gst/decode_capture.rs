//! A captured stream of uncompressed sound as 48 kHz stereo samples. All calls block; memory stays bounded whatever the
//! length.

use std::path::Path;

use gstreamer as gst;

use super::pull::Captured;
use super::samples::{from_bytes, sample_count};
use super::{GstError, Template};
use crate::media::StereoSample;

const TEMPLATE: Template = Template::new("decode_capture", include_str!("../../pipelines/decode_capture.launch"));

/// Samples, and where in the stream the first of them lies, in 48 kHz samples to the nearest millisecond.
pub type CapturedBlock = (u64, Vec<StereoSample>);

/// The samples of a captured stream, in order.
pub type CapturedSamples = Captured<CapturedBlock>;

impl CapturedSamples {
    /// Opens the captured stream at `from`.
    ///
    /// # Errors
    /// When an element is missing or the file cannot be opened.
    pub fn open(from: &Path) -> Result<Self, GstError> {
        Self::read(&TEMPLATE, from, block_of)
    }
}

fn block_of(sample: &gst::Sample) -> Option<CapturedBlock> {
    let buffer = sample.buffer()?;
    let map = buffer.map_readable().ok()?;
    Some((buffer.pts().map(sample_count)?, from_bytes(&map)))
}
