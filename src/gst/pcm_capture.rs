//! Samples that this process makes itself, as the encoded stream that a recording keeps.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use gstreamer as gst;
use gstreamer_app::{AppSink, AppSinkCallbacks, AppSrc};
use tokio::sync::mpsc;

use super::samples::clock_time;
use super::{GstError, Hole, Pipeline, Template};
use crate::media::StereoSample;

const TEMPLATE: Template = Template::new("pcm_capture", include_str!("../../pipelines/pcm_capture.launch"));

/// A running capture of samples, uncompressed: nothing waits inside an encoder when the process is killed.
#[derive(Debug)]
pub struct PcmCapture {
    input: AppSrc,
    pushed: u64,
    _pipeline: Pipeline,
}

impl PcmCapture {
    /// Starts one of mono samples that sends a Matroska byte stream to `output`, from its first byte on.
    ///
    /// # Errors
    /// When an element is missing (with its package) or refuses to start.
    pub fn mono(output: mpsc::UnboundedSender<Bytes>) -> Result<Self, GstError> {
        Self::start(output, 1)
    }

    /// The same of stereo samples.
    ///
    /// # Errors
    /// As [`PcmCapture::mono`].
    pub fn stereo(output: mpsc::UnboundedSender<Bytes>) -> Result<Self, GstError> {
        Self::start(output, 2)
    }

    fn start(output: mpsc::UnboundedSender<Bytes>, channels: i64) -> Result<Self, GstError> {
        let pipeline = TEMPLATE.build(&[("channels", Hole::Int(channels))])?;
        let input: AppSrc = pipeline.element("in")?;
        let sink: AppSink = pipeline.element("capture")?;
        let output = Arc::new(Mutex::new(Some(output)));
        let last = output.clone();
        let forward = move |sink: &AppSink| {
            let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
            let map = sample.buffer().and_then(|buffer| buffer.map_readable().ok()).ok_or(gst::FlowError::Error)?;
            let output = output.lock().unwrap_or_else(PoisonError::into_inner);
            let sent = output.as_ref().and_then(|output| output.send(Bytes::copy_from_slice(&map)).ok());
            sent.map(|()| gst::FlowSuccess::Ok).ok_or(gst::FlowError::Eos)
        };
        let close = move |_: &AppSink| *last.lock().unwrap_or_else(PoisonError::into_inner) = None;
        sink.set_callbacks(AppSinkCallbacks::builder().new_sample(forward).eos(close).build());
        pipeline.play_blocking()?;
        Ok(Self { input, pushed: 0, _pipeline: pipeline })
    }

    /// Appends samples to a mono capture (48 kHz, within -1.0..=1.0). Never blocks.
    pub fn push(&mut self, samples: &[f32]) {
        self.append(samples.iter(), samples.len());
    }

    /// Appends samples to a stereo capture (48 kHz, within -1.0..=1.0). Never blocks.
    pub fn push_stereo(&mut self, samples: &[StereoSample]) {
        self.append(samples.iter().flatten(), samples.len());
    }

    /// Nothing more comes: the output is closed behind the last byte.
    pub fn end(&self) {
        if self.input.end_of_stream().is_err() {
            tracing::warn!("A capture did not take its end.");
        }
    }

    fn append<'a>(&mut self, values: impl Iterator<Item = &'a f32>, count: usize) {
        let bytes: Vec<u8> = values.flat_map(|value| ((value * f32::from(i16::MAX)) as i16).to_le_bytes()).collect();
        let mut buffer = gst::Buffer::from_mut_slice(bytes);
        {
            let buffer = buffer.get_mut().expect("a new buffer has one owner");
            buffer.set_pts(clock_time(self.pushed));
            buffer.set_duration(clock_time(count as u64));
        }
        self.pushed += count as u64;
        if self.input.push_buffer(buffer).is_err() {
            tracing::warn!("The capture did not take samples.");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_second_is_in_the_recording_before_the_next_one_comes() {
        super::super::init().expect("GStreamer");
        let (sender, mut receiver) = mpsc::unbounded_channel();
        let mut capture = PcmCapture::mono(sender).expect("a capture");
        let mut kept = Vec::new();
        for index in 0..3 {
            capture.push(&crate::ruler::second(index));
            let wanted = (index as usize + 1) * 96_000;
            while kept.len() < wanted {
                let bytes = tokio::time::timeout(Duration::from_secs(10), receiver.recv()).await;
                kept.extend(bytes.expect("the second comes").expect("it goes on"));
            }
            assert!(kept.len() < wanted + 2_000, "{} bytes for {wanted} of samples", kept.len());
        }
        capture.push(&[0.0; 100]);
        capture.end();
        let mut last = 0;
        while let Some(bytes) = receiver.recv().await {
            last += bytes.len();
        }
        assert!(last >= 200, "{last}");
        assert_eq!(kept[..4], [0x1A, 0x45, 0xDF, 0xA3], "a Matroska file starts with an EBML header");
    }
}
