//! AAC frames of a source into 48 kHz stereo samples, each kept at its media time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app::{AppSink, AppSinkCallbacks, AppSrc};
use tokio::sync::mpsc;

use super::samples::{clock_time, from_bytes, sample_count};
use super::{GstError, Pipeline, Template};
use crate::media::PcmBlock;

const TEMPLATE: Template = Template::new("aac_decode", include_str!("../../pipelines/aac_decode.launch"));

/// Media times may be a little negative (a resumed session), buffer times may not: all are shifted by one hour.
const SHIFT: i64 = 48_000 * 3600;

/// Frames that may be on their way through the decoder before a missing one counts as lost.
const IN_FLIGHT: u64 = 8;

/// What comes out of a decoder.
#[derive(Debug, Clone, PartialEq)]
pub enum DecoderOutput {
    /// Samples at their media time.
    Audio(PcmBlock),
    /// Frames that could not be decoded; their place stays empty.
    Errors {
        /// How many since the last report.
        count: u64,
    },
}

/// Decodes one session's AAC. Undecodable frames leave a hole and are counted; they never end it.
#[derive(Debug)]
pub struct AacDecoder {
    input: AppSrc,
    output: mpsc::UnboundedSender<DecoderOutput>,
    pushed: u64,
    lost: u64,
    decoded: Arc<AtomicU64>,
    _pipeline: Pipeline,
}

impl AacDecoder {
    /// Starts a decoder that sends to `output` as soon as samples are there.
    ///
    /// # Errors
    /// When an element is missing (with its package) or refuses to start.
    pub fn new(output: mpsc::UnboundedSender<DecoderOutput>) -> Result<Self, GstError> {
        let pipeline = TEMPLATE.build(&[])?;
        let input: AppSrc = pipeline.element("in")?;
        let sink: AppSink = pipeline.element("out")?;
        let decoded = count_frames(&pipeline)?;
        let sender = output.clone();
        sink.set_callbacks(AppSinkCallbacks::builder().new_sample(move |sink| forward(sink, &sender)).build());
        pipeline.play_blocking()?;
        Ok(Self { input, output, pushed: 0, lost: 0, decoded, _pipeline: pipeline })
    }

    /// Gives it one ADTS frame whose first sample lies at `media_time`. Never blocks.
    pub fn push(&mut self, media_time: i64, adts_frame: Bytes) {
        let mut buffer = gst::Buffer::from_slice(adts_frame);
        let shifted = u64::try_from(media_time.saturating_add(SHIFT)).unwrap_or(0);
        buffer.get_mut().expect("a new buffer has one owner").set_pts(clock_time(shifted));
        if self.input.push_buffer(buffer).is_err() {
            tracing::warn!("Decoder did not take a frame.");
        }
        self.pushed += 1;
        self.report_lost(IN_FLIGHT);
    }

    /// Tells the decoder that no frame comes for now, so that it hands out what it holds.
    pub fn finish(&mut self) {
        if self.input.end_of_stream().is_err() {
            tracing::debug!("Decoder was over before its end.");
        }
    }

    fn report_lost(&mut self, in_flight: u64) {
        let decoded = self.decoded.load(Ordering::Relaxed);
        let lost = self.pushed.saturating_sub(decoded + in_flight);
        // Decoding runs beside us: only frames that stay missing for a second's worth of pushes are counted.
        if lost > self.lost + 47 {
            let count = lost - self.lost;
            self.lost = lost;
            // A reader that is gone needs no report.
            drop(self.output.send(DecoderOutput::Errors { count }));
        }
    }
}

/// Counts the frames that leave the decoder proper.
fn count_frames(pipeline: &Pipeline) -> Result<Arc<AtomicU64>, GstError> {
    let decoded = Arc::new(AtomicU64::new(0));
    let decoder: gst::Element = pipeline.element("decoder")?;
    let counter = decoded.clone();
    if let Some(pad) = decoder.static_pad("src") {
        pad.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
            counter.fetch_add(1, Ordering::Relaxed);
            gst::PadProbeReturn::Ok
        });
    }
    Ok(decoded)
}

fn forward(sink: &AppSink, output: &mpsc::UnboundedSender<DecoderOutput>) -> Result<gst::FlowSuccess, gst::FlowError> {
    let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
    let (Some(buffer), Some(segment)) = (sample.buffer(), sample.segment()) else { return Ok(gst::FlowSuccess::Ok) };
    let Some(pts) = buffer.pts().and_then(|pts| time_of(segment, pts)) else { return Ok(gst::FlowSuccess::Ok) };
    let map = buffer.map_readable().map_err(|_| gst::FlowError::Error)?;
    let media_time = i64::try_from(sample_count(pts)).unwrap_or(i64::MAX) - SHIFT;
    let block = PcmBlock { media_time, samples: from_bytes(&map) };
    output.send(DecoderOutput::Audio(block)).map(|()| gst::FlowSuccess::Ok).map_err(|_| gst::FlowError::Eos)
}

fn time_of(segment: &gst::Segment, pts: gst::ClockTime) -> Option<gst::ClockTime> {
    segment.downcast_ref::<gst::ClockTime>().and_then(|segment| segment.to_stream_time(pts)).or(Some(pts))
}
