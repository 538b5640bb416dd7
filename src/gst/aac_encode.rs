//! The program's samples into AAC access units, each with the program time of what a decoder makes of it.

use std::sync::Mutex;
use std::sync::mpsc as std_mpsc;
use std::time::Duration;

use bytes::Bytes;
use gstreamer as gst;
use gstreamer_app::{AppSink, AppSinkCallbacks, AppSrc};

use super::samples::to_buffer;
use super::{GstError, Hole, Pipeline, Template};
use crate::media::{AAC_FRAME_SAMPLES, AudioFormat, AudioFrame, ProgramTime, SAMPLE_RATE, StereoSample};

const TEMPLATE: Template = Template::new("aac_encode", include_str!("../../pipelines/aac_encode.launch"));

/// The encoder's first access unit decodes to what comes before the first sample (its priming), so access unit n holds
/// the samples of frame n - 1. Measured with the ruler; the test below holds it.
const PRIMING_FRAMES: u64 = 1;

/// A running encoder of the program's audio.
#[derive(Debug)]
pub struct AacEncoder {
    input: AppSrc,
    pipeline: Pipeline,
    format: AudioFormat,
    position: u64,
}

impl AacEncoder {
    /// Starts an encoder at `sample_rate` (48 000 or 44 100) that calls `output` with every access unit, on one of
    /// GStreamer's threads: `output` must not block.
    ///
    /// # Errors
    /// When an element is missing (with its package) or refuses to start.
    pub fn new(sample_rate: u32, kbps: u32, output: impl FnMut(AudioFrame) + Send + 'static) -> Result<Self, GstError> {
        Self::with_channels(sample_rate, 2, kbps, output)
    }

    /// The same with 1 or 2 `channels` in what comes out; samples go in as stereo in any case.
    ///
    /// # Errors
    /// As [`AacEncoder::new`].
    pub fn with_channels(
        sample_rate: u32,
        channels: u8,
        kbps: u32,
        mut output: impl FnMut(AudioFrame) + Send + 'static,
    ) -> Result<Self, GstError> {
        let holes = [
            ("rate", Hole::Int(i64::from(sample_rate))),
            ("channels", Hole::Int(i64::from(channels))),
            ("bitrate", Hole::Int(i64::from(kbps) * 1000)),
        ];
        let pipeline = TEMPLATE.build(&holes)?;
        let input: AppSrc = pipeline.element("in")?;
        let sink: AppSink = pipeline.element("out")?;
        let (config_sender, config) = std_mpsc::sync_channel(1);
        let mut count = 0_u64;
        let callback = Mutex::new(move |sink: &AppSink| {
            let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
            if count == 0 {
                // The receiver waits in `new`, or nobody needs it any more.
                drop(config_sender.try_send(codec_data(&sample)));
            }
            if let (Some(data), Some(frame)) = (access_unit(&sample), count.checked_sub(PRIMING_FRAMES)) {
                let at = frame * AAC_FRAME_SAMPLES * u64::from(SAMPLE_RATE) / u64::from(sample_rate);
                output(AudioFrame { at: ProgramTime::from_samples(at), data });
            }
            count += 1;
            Ok(gst::FlowSuccess::Ok)
        });
        let call = move |sink: &AppSink| callback.lock().map_err(|_| gst::FlowError::Error)?(sink);
        sink.set_callbacks(AppSinkCallbacks::builder().new_sample(call).build());
        pipeline.play_blocking()?;
        let mut encoder =
            Self { input, pipeline, format: AudioFormat { config: Bytes::new(), sample_rate }, position: 0 };
        encoder.learn_format(&config)?;
        Ok(encoder)
    }

    /// What a decoder must know before the first access unit.
    pub fn format(&self) -> &AudioFormat {
        &self.format
    }

    /// Encodes the samples that follow those of the last call. Never blocks.
    ///
    /// # Errors
    /// When the pipeline has failed.
    pub fn push(&mut self, samples: &[StereoSample]) -> Result<(), GstError> {
        let buffer = to_buffer(samples, self.position);
        self.position += samples.len() as u64;
        self.input.push_buffer(buffer).map(|_| ()).map_err(|error| GstError::Failed {
            name: self.pipeline.name(),
            reason: format!("the encoder takes no more samples ({error:?})"),
        })
    }

    /// Waits until everything pushed is out.
    ///
    /// # Errors
    /// When the pipeline fails or does not end.
    pub fn finish(self) -> Result<(), GstError> {
        if self.input.end_of_stream().is_err() {
            tracing::debug!("Encoder was over before its end.");
        }
        self.pipeline.wait_for_end(Duration::from_secs(30))
    }

    /// The codec's configuration comes with the first access unit: pushes two frames of silence to get it. They are
    /// the program's first 43 ms, before anything could be on the air.
    fn learn_format(&mut self, config: &std_mpsc::Receiver<Option<Bytes>>) -> Result<(), GstError> {
        self.push(&vec![[0.0, 0.0]; 3 * AAC_FRAME_SAMPLES as usize])?;
        let config = config.recv_timeout(Duration::from_secs(10)).ok().flatten();
        self.format.config = config.ok_or_else(|| GstError::Failed {
            name: self.pipeline.name(),
            reason: "the encoder does not say its configuration".to_owned(),
        })?;
        Ok(())
    }

    /// Samples pushed so far: the program time of the next sample to push.
    pub fn position(&self) -> ProgramTime {
        ProgramTime::from_samples(self.position)
    }
}

/// Encodes all of `samples` in one go, for rehearsals, tests and silent frames: the configuration, then the access
/// units, whose first one holds the first 1024 samples. Blocks.
///
/// # Errors
/// When an element is missing or the encoder fails.
pub fn encode_aac(samples: &[StereoSample], kbps: u32) -> Result<(AudioFormat, Vec<Bytes>), GstError> {
    let (sender, frames) = std_mpsc::channel();
    let mut encoder = AacEncoder::new(SAMPLE_RATE, kbps, move |frame| drop(sender.send(frame)))?;
    let format = encoder.format().clone();
    let lead = encoder.position();
    encoder.push(samples)?;
    // The encoder's last samples come out only behind one more frame.
    encoder.push(&vec![[0.0, 0.0]; 2 * AAC_FRAME_SAMPLES as usize])?;
    encoder.finish()?;
    let wanted = samples.len().div_ceil(AAC_FRAME_SAMPLES as usize);
    Ok((format, frames.iter().filter(|frame| frame.at >= lead).map(|frame| frame.data).take(wanted).collect()))
}

fn codec_data(sample: &gst::Sample) -> Option<Bytes> {
    let buffer = sample.caps()?.structure(0)?.get::<gst::Buffer>("codec_data").ok()?;
    let map = buffer.map_readable().ok()?;
    Some(Bytes::copy_from_slice(&map))
}

fn access_unit(sample: &gst::Sample) -> Option<Bytes> {
    let map = sample.buffer()?.map_readable().ok()?;
    Some(Bytes::copy_from_slice(&map))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gst::decode::{AacDecoder, DecoderOutput};
    use crate::ruler;

    fn adts(frame: &Bytes, rate: u32) -> Bytes {
        let length = frame.len() + 7;
        let rate = if rate == 48_000 { 0x4C } else { 0x50 };
        let mut bytes = vec![0xFF, 0xF1, rate, 0x80 | (length >> 11) as u8, (length >> 3) as u8];
        bytes.extend([((length & 7) << 5) as u8 | 0x1F, 0xFC]);
        bytes.extend_from_slice(frame);
        Bytes::from(bytes)
    }

    fn stereo_ruler(seconds: std::ops::Range<u32>) -> Vec<StereoSample> {
        seconds.flat_map(ruler::second).map(|value| [value, value]).collect()
    }

    fn decode_all(rate: u32, frames: impl Iterator<Item = (i64, Bytes)>) -> Vec<PcmAt> {
        let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
        let mut decoder = AacDecoder::new(sender).expect("a decoder");
        let mut last = 0;
        for (at, frame) in frames {
            decoder.push(at, adts(&frame, rate));
            last = at;
        }
        let mut blocks = Vec::new();
        decoder.finish();
        while let Some(output) = receiver.blocking_recv() {
            if let DecoderOutput::Audio(block) = output {
                let end = block.media_time + block.samples.len() as i64;
                blocks.push((block.media_time, block.samples));
                if end > last {
                    break;
                }
            }
        }
        blocks
    }

    type PcmAt = (i64, Vec<StereoSample>);

    #[test]
    fn encoded_program_time_is_the_time_of_what_a_decoder_hears() {
        for rate in [48_000, 44_100] {
            let (sender, frames) = std_mpsc::channel();
            let mut encoder = AacEncoder::new(rate, 128, move |frame| drop(sender.send(frame))).expect("an encoder");
            let start = encoder.position().samples();
            for chunk in stereo_ruler(0..4).chunks(1000) {
                encoder.push(chunk).expect("a push");
            }
            encoder.push(&vec![[0.0, 0.0]; 4096]).expect("a push");
            encoder.finish().expect("an end");
            let frames = frames.iter().map(|frame| (frame.at.samples() as i64, frame.data));
            let mut line = vec![0.0_f32; 48_000 * 5];
            for (at, samples) in decode_all(rate, frames) {
                for (n, value) in ruler::mono(&samples).into_iter().enumerate() {
                    if let Some(place) = usize::try_from(at).ok().and_then(|at| line.get_mut(at + n)) {
                        *place = value;
                    }
                }
            }
            let marks = ruler::decode(&line);
            assert_eq!(marks.iter().map(|mark| mark.index).collect::<Vec<_>>(), [0, 1, 2, 3]);
            for (n, mark) in marks.iter().enumerate() {
                let error = mark.at_samples - (start + n as u64 * 48_000) as f64;
                assert!(error.abs() < 24.0, "second {n} is {error} samples from its place at {rate} Hz");
            }
        }
    }

    #[test]
    fn a_missing_frame_moves_nothing_behind_it() {
        let (_, frames) = encode_aac(&stereo_ruler(10..14), 96).expect("frames");
        let placed = frames.into_iter().enumerate().map(|(n, frame)| (n as i64 * 1024, frame));
        let mut line = vec![0.0_f32; 48_000 * 5];
        for (at, samples) in decode_all(48_000, placed.filter(|(at, _)| !(60_000..70_000).contains(at))) {
            for (n, value) in ruler::mono(&samples).into_iter().enumerate() {
                line[at as usize + n] = value;
            }
        }
        let marks = ruler::decode(&line);
        let indices: Vec<u32> = marks.iter().map(|mark| mark.index).collect();
        assert_eq!(indices, [10, 12, 13]);
        assert!((marks[1].at_samples - 96_000.0).abs() < 24.0, "second 12 lies at {}", marks[1].at_samples);
    }
}
