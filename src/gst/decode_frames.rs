//! AAC access units of one configuration into 48 kHz stereo samples, as fast as the machine goes: for files, not for the air.
//!
//! What comes out is exactly as long as what went in, whatever could be decoded: silence stands in the place of frames
//! that could not, so that nothing behind them moves. All calls block.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use gstreamer as gst;
use gstreamer_app::{AppSink, AppSrc};

use super::pull::forward;
use super::samples::{from_bytes, sample_count};
use super::{GstError, Pipeline, Template};
use crate::media::{AAC_FRAME_SAMPLES, SAMPLE_RATE, StereoSample};

const TEMPLATE: Template = Template::new("decode_frames", include_str!("../../pipelines/decode_frames.launch"));

/// Frames that are handed over at once: each hand-over wakes a thread.
const BATCH: usize = 16;

/// Frames that wait for the decoder, at most: some seconds, and 100 kB.
const WAITING: u64 = 256;

/// A decoder that gives nothing and takes nothing for so long is frozen.
const STALL: Duration = Duration::from_secs(30);

/// How often the bus is looked at while nothing comes.
const LOOK: Duration = Duration::from_millis(20);

/// Timestamps that differ by less are rounding of the resampler: 0.7 ms.
const ROUNDING: u64 = 32;

/// What a decoder must know of its frames.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodeConfig {
    /// Sample rate, in Hz.
    pub sample_rate: u32,
    /// Channels.
    pub channels: u32,
    /// The AudioSpecificConfig of ISO/IEC 14496-3.
    pub asc: Bytes,
}

/// A decoder of frames that follow each other without a hole.
///
/// Sample 0 of what is pulled is the first sample of the first frame, as in the live path: nothing is cut for priming.
/// Pull after every few pushes: what is not pulled stays in memory.
#[derive(Debug)]
pub struct FrameDecoder {
    pipeline: Pipeline,
    input: AppSrc,
    output: Receiver<Option<Block>>,
    config: DecodeConfig,
    batch: Vec<Bytes>,
    pushed: u64,
    /// Samples handed out.
    pulled: u64,
    /// Samples of silence in place of what could not be decoded.
    silent: u64,
    ended: bool,
    over: bool,
}

/// Samples that came out, and where they belong.
#[derive(Debug)]
struct Block {
    at: Option<u64>,
    samples: Vec<StereoSample>,
}

impl FrameDecoder {
    /// Starts a decoder for frames of `config`.
    ///
    /// # Errors
    /// When an element is missing (with its package) or refuses to start.
    pub fn start(config: &DecodeConfig) -> Result<Self, GstError> {
        let pipeline = TEMPLATE.build(&[])?;
        let input: AppSrc = pipeline.element("in")?;
        let caps = gst::Caps::builder("audio/mpeg")
            .field("mpegversion", 4)
            .field("stream-format", "raw")
            .field("framed", true)
            .field("rate", config.sample_rate as i32)
            .field("channels", config.channels as i32)
            .field("codec_data", gst::Buffer::from_slice(config.asc.clone()))
            .build();
        input.set_caps(Some(&caps));
        let sink: AppSink = pipeline.element("out")?;
        let output = forward(&sink, block_of);
        pipeline.play_blocking()?;
        Ok(Self {
            pipeline,
            input,
            output,
            config: config.clone(),
            batch: Vec::with_capacity(BATCH),
            pushed: 0,
            pulled: 0,
            silent: 0,
            ended: false,
            over: false,
        })
    }

    /// Gives it the next access unit, without a header. Waits while the decoder is behind.
    ///
    /// # Errors
    /// When the pipeline failed or froze. Frames that cannot be decoded are no error.
    pub fn push(&mut self, frame: Bytes) -> Result<(), GstError> {
        self.batch.push(frame);
        if self.batch.len() >= BATCH { self.flush() } else { Ok(()) }
    }

    /// Appends what is decoded so far to `samples`; after [`FrameDecoder::finish`] waits for more. False when everything
    /// was handed out.
    ///
    /// # Errors
    /// When the pipeline failed or froze.
    pub fn pull(&mut self, samples: &mut Vec<StereoSample>) -> Result<bool, GstError> {
        if self.over {
            return Ok(false);
        }
        if self.ended {
            let Some(block) = self.next()? else {
                self.silent += self.length() - self.pulled;
                self.fill(self.length(), samples);
                self.over = true;
                return Ok(false);
            };
            self.place(block, samples);
            return Ok(true);
        }
        while let Ok(Some(block)) = self.output.try_recv() {
            self.place(block, samples);
        }
        Ok(true)
    }

    /// No more frames come: what is left can be pulled.
    ///
    /// # Errors
    /// When the pipeline failed or froze.
    pub fn finish(&mut self) -> Result<(), GstError> {
        if !self.ended {
            self.flush()?;
            self.input.end_of_stream().map_err(|_| self.failed("it takes no end"))?;
            self.ended = true;
        }
        Ok(())
    }

    /// Frames that could not be decoded so far; silence stands in their place.
    pub fn lost(&self) -> u64 {
        let frame = AAC_FRAME_SAMPLES * u64::from(SAMPLE_RATE) / u64::from(self.config.sample_rate.max(1));
        (self.silent + frame / 2) / frame.max(1)
    }

    fn flush(&mut self) -> Result<(), GstError> {
        self.wait_for_room()?;
        let mut list = gst::BufferList::new_sized(self.batch.len());
        {
            let list = list.get_mut().expect("a new list has one owner");
            for data in std::mem::take(&mut self.batch) {
                let mut buffer = gst::Buffer::from_slice(data);
                let (start, end) = (self.time(self.pushed), self.time(self.pushed + 1));
                let fields = buffer.get_mut().expect("a new buffer has one owner");
                fields.set_pts(start);
                fields.set_duration(end - start);
                list.add(buffer);
                self.pushed += 1;
            }
        }
        // The bus knows why.
        self.input.push_buffer_list(list).map(|_| ()).map_err(|_| match self.pipeline.wait_for_end(Duration::ZERO) {
            Err(error @ GstError::Failed { .. }) => error,
            _ => self.failed("it takes no more frames"),
        })
    }

    fn wait_for_room(&self) -> Result<(), GstError> {
        let start = Instant::now();
        while self.input.current_level_buffers() > WAITING {
            self.look(start)?;
            std::thread::sleep(Duration::from_micros(500));
        }
        Ok(())
    }

    /// The next block, none at the end.
    fn next(&self) -> Result<Option<Block>, GstError> {
        let start = Instant::now();
        loop {
            match self.output.recv_timeout(LOOK) {
                Ok(block) => return Ok(block),
                Err(RecvTimeoutError::Disconnected) => return Ok(None),
                Err(RecvTimeoutError::Timeout) => self.look(start)?,
            }
        }
    }

    /// Looks for a fault, or for how long nothing has moved.
    fn look(&self, since: Instant) -> Result<(), GstError> {
        match self.pipeline.wait_for_end(Duration::ZERO) {
            Ok(()) => Ok(()),
            Err(GstError::Frozen { .. }) if since.elapsed() < STALL => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Puts a block at its place behind what was handed out.
    fn place(&mut self, block: Block, samples: &mut Vec<StereoSample>) {
        let at = block.at.filter(|at| at.abs_diff(self.pulled) > ROUNDING).unwrap_or(self.pulled);
        if at > self.pulled {
            let end = at.min(self.length());
            self.silent += end - self.pulled;
            self.fill(end, samples);
        }
        let repeated = usize::try_from(self.pulled.saturating_sub(at)).unwrap_or(usize::MAX);
        let room = usize::try_from(self.length().saturating_sub(self.pulled)).unwrap_or(usize::MAX);
        let new = block.samples.get(repeated..).unwrap_or_default();
        let new = &new[..new.len().min(room)];
        self.pulled += new.len() as u64;
        samples.extend_from_slice(new);
    }

    /// Silence up to sample `end`, or to the end of what was pushed.
    fn fill(&mut self, end: u64, samples: &mut Vec<StereoSample>) {
        let count = end.min(self.length()).saturating_sub(self.pulled);
        samples.extend(std::iter::repeat_n([0.0; 2], count as usize));
        self.pulled += count;
    }

    /// Samples of everything that was pushed.
    fn length(&self) -> u64 {
        let samples = u128::from(self.pushed * AAC_FRAME_SAMPLES) * u128::from(SAMPLE_RATE);
        (samples / u128::from(self.config.sample_rate.max(1))) as u64
    }

    fn time(&self, frame: u64) -> gst::ClockTime {
        let nanos = u128::from(frame * AAC_FRAME_SAMPLES) * 1_000_000_000 / u128::from(self.config.sample_rate.max(1));
        gst::ClockTime::from_nseconds(nanos as u64)
    }

    fn failed(&self, reason: &str) -> GstError {
        GstError::Failed { name: self.pipeline.name(), reason: reason.to_owned() }
    }
}

fn block_of(sample: &gst::Sample) -> Option<Block> {
    let buffer = sample.buffer()?;
    let map = buffer.map_readable().ok()?;
    Some(Block { at: buffer.pts().map(sample_count), samples: from_bytes(&map) })
}

#[cfg(test)]
mod tests;
