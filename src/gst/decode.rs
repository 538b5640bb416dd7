//! AAC frames of a source into 48 kHz stereo samples, each kept at its media time.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

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

/// Places within this of each other are the same frame's: half of the shortest one.
const HALF_FRAME: u64 = 400;

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

/// A decoder that was given frames and gives nothing for this long does not work.
const PATIENCE: Duration = Duration::from_secs(5);

/// Whether a decoder works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecoderHealth {
    /// As far as can be told.
    Well,
    /// It takes no frames any more.
    Frozen,
    /// It takes frames and gives nothing: it, or the frames, are broken.
    Mute,
}

/// Decodes one session's AAC. Undecodable frames leave a hole and are counted; they never end it.
#[derive(Debug)]
pub struct AacDecoder {
    input: AppSrc,
    pending: Pending,
    /// Blocks that came out, and how many had at the last look.
    given: (Arc<AtomicU64>, u64),
    /// When the first frame was pushed after the last block.
    waiting: Option<Instant>,
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
        let pending = Pending::default();
        watch_frames(&pipeline, &pending, &output)?;
        let given = Arc::new(AtomicU64::new(0));
        let count = given.clone();
        let forward = move |sink: &AppSink| {
            count.fetch_add(1, Ordering::Relaxed);
            forward(sink, &output)
        };
        sink.set_callbacks(AppSinkCallbacks::builder().new_sample(forward).build());
        pipeline.play_blocking()?;
        Ok(Self { input, pending, given: (given, 0), waiting: None, _pipeline: pipeline })
    }

    /// Gives it one ADTS frame whose first sample lies at `media_time`. Never blocks.
    pub fn push(&mut self, media_time: i64, adts_frame: Bytes) {
        let mut buffer = gst::Buffer::from_slice(adts_frame);
        let shifted = u64::try_from(media_time.saturating_add(SHIFT)).unwrap_or(0);
        buffer.get_mut().expect("a new buffer has one owner").set_pts(clock_time(shifted));
        self.pending.0.lock().unwrap_or_else(PoisonError::into_inner).push_back(shifted);
        self.waiting.get_or_insert_with(Instant::now);
        if self.input.push_buffer(buffer).is_err() {
            tracing::warn!("Decoder did not take a frame.");
        }
    }

    /// Whether it works, as seen at `now`.
    pub fn health(&mut self, now: Instant) -> DecoderHealth {
        let given = self.given.0.load(Ordering::Relaxed);
        if given != std::mem::replace(&mut self.given.1, given) {
            self.waiting = None;
        }
        match self.waiting {
            Some(since) if now.saturating_duration_since(since) >= PATIENCE => {
                if self.input.current_level_bytes() > 0 {
                    DecoderHealth::Frozen
                } else {
                    DecoderHealth::Mute
                }
            }
            _ => DecoderHealth::Well,
        }
    }

    /// Tells the decoder that no frame comes for now, so that it hands out what it holds.
    pub fn finish(&mut self) {
        if self.input.end_of_stream().is_err() {
            tracing::debug!("Decoder was over before its end.");
        }
    }
}

/// Places of the frames that are on their way through the decoder, in order.
#[derive(Debug, Clone, Default)]
struct Pending(Arc<Mutex<VecDeque<u64>>>);

impl Pending {
    /// A frame came out at `at`: how many before it never will.
    fn out(&self, at: u64) -> u64 {
        let mut pending = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut lost = 0;
        while pending.front().is_some_and(|front| *front + HALF_FRAME < at) {
            pending.pop_front();
            lost += 1;
        }
        if pending.front().is_some_and(|front| *front <= at + HALF_FRAME) {
            pending.pop_front();
        }
        lost
    }
}

/// Watches the frames that leave the decoder proper: the ones that were pushed and passed over are lost.
fn watch_frames(
    pipeline: &Pipeline,
    pending: &Pending,
    output: &mpsc::UnboundedSender<DecoderOutput>,
) -> Result<(), GstError> {
    let decoder: gst::Element = pipeline.element("decoder")?;
    let (pending, output) = (pending.clone(), output.clone());
    let Some(pad) = decoder.static_pad("src") else { return Ok(()) };
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        if let Some(at) = info.buffer().and_then(|buffer| buffer.pts()).map(sample_count) {
            let count = pending.out(at);
            if count > 0 {
                // A reader that is gone needs no report.
                drop(output.send(DecoderOutput::Errors { count }));
            }
        }
        gst::PadProbeReturn::Ok
    });
    Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gst::aac_encode::encode_aac;

    fn adts(frame: &Bytes) -> Bytes {
        let length = frame.len() + 7;
        let mut bytes = vec![0xFF, 0xF1, 0x4C, 0x80 | (length >> 11) as u8, (length >> 3) as u8];
        bytes.extend([((length & 7) << 5) as u8 | 0x1F, 0xFC]);
        bytes.extend_from_slice(frame);
        Bytes::from(bytes)
    }

    /// Decodes frames that were pushed all at once; the samples and the frames that were reported as lost.
    fn decode(frames: Vec<Bytes>) -> (usize, u64) {
        let (sender, mut outputs) = mpsc::unbounded_channel();
        let mut decoder = AacDecoder::new(sender).expect("a decoder");
        let end = frames.len() as i64 * 1024;
        for (n, frame) in frames.into_iter().enumerate() {
            decoder.push(n as i64 * 1024, frame);
        }
        decoder.finish();
        let (mut samples, mut lost) = (0, 0);
        while let Some(output) = outputs.blocking_recv() {
            match output {
                DecoderOutput::Audio(block) => {
                    samples += block.samples.len();
                    if block.media_time + block.samples.len() as i64 >= end {
                        break;
                    }
                }
                DecoderOutput::Errors { count } => lost += count,
            }
        }
        (samples, lost)
    }

    fn ruler_frames() -> Vec<Bytes> {
        let samples: Vec<_> = (0..10).flat_map(crate::ruler::second).map(|value| [value, value]).collect();
        encode_aac(&samples, 96).expect("frames").1.iter().map(adts).collect()
    }

    #[test]
    fn a_burst_of_good_frames_is_decoded_without_a_report() {
        let frames = ruler_frames();
        let count = frames.len();
        assert_eq!(decode(frames), (count * 1024, 0));
    }

    #[test]
    fn undecodable_frames_are_counted_and_harm_no_other() {
        let mut frames = ruler_frames();
        let count = frames.len();
        for frame in &mut frames[100..110] {
            let mut broken = frame.to_vec();
            broken[7..].iter_mut().for_each(|byte| *byte = 0xA5);
            *frame = Bytes::from(broken);
        }
        let (samples, lost) = decode(frames);
        assert!((8..=12).contains(&lost), "{lost} lost");
        assert!(samples >= (count - 12) * 1024, "{samples} samples");
    }

    /// ADTS frames of a tone at another rate, each with its place in 48 kHz samples from `start` on.
    fn tone(rate: u32, channels: u32, start: i64) -> Vec<(i64, Bytes)> {
        crate::gst::init().expect("GStreamer");
        let line = format!(
            "audiotestsrc num-buffers=100 samplesperbuffer=1024 ! audio/x-raw,rate={rate},channels={channels} \
             ! audioconvert ! avenc_aac ! aacparse ! audio/mpeg,stream-format=adts ! appsink name=out sync=false"
        );
        let pipeline = gst::parse::launch(&line).expect("a pipeline").downcast::<gst::Pipeline>().expect("a pipeline");
        let sink = pipeline.by_name("out").and_then(|out| out.downcast::<AppSink>().ok()).expect("a sink");
        pipeline.set_state(gst::State::Playing).expect("it plays");
        let frames = std::iter::from_fn(|| sink.pull_sample().ok())
            .map(|sample| Bytes::copy_from_slice(&sample.buffer().expect("a buffer").map_readable().expect("bytes")));
        let frames = frames.enumerate().map(|(n, frame)| (start + n as i64 * 1024 * 48_000 / i64::from(rate), frame));
        let frames = frames.collect();
        pipeline.set_state(gst::State::Null).expect("it stops");
        frames
    }

    #[test]
    fn a_change_of_rate_and_channels_costs_nothing_of_what_follows() {
        let (sender, mut outputs) = mpsc::unbounded_channel();
        let mut decoder = AacDecoder::new(sender).expect("a decoder");
        let mut at = 0;
        let mut runs = Vec::new();
        for (rate, channels) in [(48_000, 2), (44_100, 1), (44_100, 2), (24_000, 1), (48_000, 2)] {
            let frames = tone(rate, channels, at);
            let end = at + frames.len() as i64 * 1024 * 48_000 / i64::from(rate);
            runs.push((at, end));
            at = end;
            frames.into_iter().for_each(|(place, frame)| decoder.push(place, frame));
        }
        decoder.finish();
        let (mut heard, mut lost) = (Vec::new(), 0);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        let mut next =
            || runtime.block_on(async { tokio::time::timeout(Duration::from_secs(1), outputs.recv()).await });
        while let Ok(Some(output)) = next() {
            match output {
                DecoderOutput::Audio(block) => heard.push((block.media_time, block.samples.len() as i64)),
                DecoderOutput::Errors { count } => lost += count,
            }
        }
        assert_eq!(lost, 0);
        for (start, end) in runs {
            let inside = heard.iter().filter(|(at, length)| at + length > start && *at < end);
            let samples: i64 = inside.map(|(at, length)| (at + length).min(end) - (*at).max(start)).sum();
            // A resampler keeps a little back at each change: less than 50 ms.
            assert!(samples > end - start - 2400, "{samples} of {} at {start}: {heard:?}", end - start);
        }
    }

    #[test]
    fn a_frozen_decoder_is_noticed_and_a_busy_one_is_not() {
        let (sender, mut outputs) = mpsc::unbounded_channel();
        let mut decoder = AacDecoder::new(sender).expect("a decoder");
        let frames = ruler_frames();
        let (start, later) = (Instant::now(), Duration::from_secs(6));
        decoder.push(0, frames[0].clone());
        decoder.push(1024, frames[1].clone());
        while !matches!(outputs.blocking_recv(), Some(DecoderOutput::Audio(_))) {}
        assert_eq!(decoder.health(start + later), DecoderHealth::Well);
        let element: gst::Element = decoder._pipeline.element("decoder").expect("the decoder");
        let pad = element.static_pad("sink").expect("a pad");
        let block =
            pad.add_probe(gst::PadProbeType::BLOCK_DOWNSTREAM, |_, _| gst::PadProbeReturn::Ok).expect("a probe");
        for (n, frame) in frames.iter().enumerate().skip(2).take(50) {
            decoder.push(n as i64 * 1024, frame.clone());
        }
        decoder.health(Instant::now());
        decoder.push(52 * 1024, frames[52].clone());
        assert_eq!(decoder.health(Instant::now()), DecoderHealth::Well);
        assert_eq!(decoder.health(Instant::now() + later), DecoderHealth::Frozen);
        pad.remove_probe(block);
    }
}
