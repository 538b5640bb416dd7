//! One speaker's Opus packets into 48 kHz stereo samples, as fast as the machine goes: for files, not for the air.
//!
//! Each packet gives just its own samples, at its own place; nothing is made up for those that lack, and nothing is cut.
//! All calls block.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use gstreamer as gst;
use gstreamer_app::{AppSink, AppSrc};

use super::pull::forward;
use super::samples::{clock_time, from_bytes, sample_count};
use super::{GstError, Pipeline, Template};
use crate::media::StereoSample;

const TEMPLATE: Template = Template::new("decode_opus", include_str!("../../pipelines/decode_opus.launch"));

/// Packets that are handed over at once: each hand-over wakes a thread.
const BATCH: usize = 32;

/// Packets that wait for the decoder, at most: some seconds.
const WAITING: u64 = 256;

/// A decoder that gives nothing and takes nothing for so long is frozen.
const STALL: Duration = Duration::from_secs(30);

/// How often the bus is looked at while nothing comes.
const LOOK: Duration = Duration::from_millis(20);

/// Samples, and where the first of them lies on the axis of what was pushed.
pub type PlacedBlock = (u64, Vec<StereoSample>);

/// A decoder of one speaker's packets. Pull after every few pushes: what is not pulled stays in memory.
#[derive(Debug)]
pub struct PacketDecoder {
    pipeline: Pipeline,
    input: AppSrc,
    output: Receiver<Option<PlacedBlock>>,
    batch: Vec<gst::Buffer>,
    /// Where the packet before ended.
    end: u64,
}

impl PacketDecoder {
    /// Starts a decoder.
    ///
    /// # Errors
    /// When an element is missing (with its package) or refuses to start.
    pub fn start() -> Result<Self, GstError> {
        let pipeline = TEMPLATE.build(&[])?;
        let input: AppSrc = pipeline.element("in")?;
        let sink: AppSink = pipeline.element("out")?;
        let output = forward(&sink, block_of);
        pipeline.play_blocking()?;
        Ok(Self { pipeline, input, output, batch: Vec::with_capacity(BATCH), end: 0 })
    }

    /// Gives it the packet whose `samples` samples begin at `at`. Waits while the decoder is behind.
    ///
    /// # Errors
    /// When the pipeline failed or froze. Packets that cannot be decoded are no error.
    pub fn push(&mut self, at: u64, samples: u32, data: Bytes) -> Result<(), GstError> {
        let mut buffer = gst::Buffer::from_slice(data);
        {
            let fields = buffer.get_mut().expect("a new buffer has one owner");
            fields.set_pts(clock_time(at));
            fields.set_duration(clock_time(at + u64::from(samples)) - clock_time(at));
            if at != self.end {
                fields.set_flags(gst::BufferFlags::DISCONT);
            }
        }
        self.end = at + u64::from(samples);
        self.batch.push(buffer);
        if self.batch.len() >= BATCH { self.flush() } else { Ok(()) }
    }

    /// Appends what is decoded so far.
    pub fn pull(&self, blocks: &mut Vec<PlacedBlock>) {
        while let Ok(Some(block)) = self.output.try_recv() {
            blocks.push(block);
        }
    }

    /// No more packets come: appends what is left.
    ///
    /// # Errors
    /// When the pipeline failed or froze.
    pub fn finish(mut self, blocks: &mut Vec<PlacedBlock>) -> Result<(), GstError> {
        self.flush()?;
        self.input.end_of_stream().map_err(|_| self.reason())?;
        let start = Instant::now();
        loop {
            match self.output.recv_timeout(LOOK) {
                Ok(Some(block)) => blocks.push(block),
                Ok(None) | Err(RecvTimeoutError::Disconnected) => return Ok(()),
                Err(RecvTimeoutError::Timeout) => self.look(start)?,
            }
        }
    }

    fn flush(&mut self) -> Result<(), GstError> {
        let start = Instant::now();
        while self.input.current_level_buffers() > WAITING {
            self.look(start)?;
            std::thread::sleep(Duration::from_micros(500));
        }
        let mut list = gst::BufferList::new_sized(self.batch.len());
        {
            let list = list.get_mut().expect("a new list has one owner");
            self.batch.drain(..).for_each(|buffer| list.add(buffer));
        }
        self.input.push_buffer_list(list).map(|_| ()).map_err(|_| self.reason())
    }

    /// Looks for a fault, or for how long nothing has moved.
    fn look(&self, since: Instant) -> Result<(), GstError> {
        match self.pipeline.wait_for_end(Duration::ZERO) {
            Err(GstError::Frozen { .. }) if since.elapsed() < STALL => Ok(()),
            other => other,
        }
    }

    /// The bus knows why.
    fn reason(&self) -> GstError {
        match self.pipeline.wait_for_end(Duration::ZERO) {
            Err(error @ GstError::Failed { .. }) => error,
            _ => GstError::Failed { name: self.pipeline.name(), reason: "it takes no more packets".to_owned() },
        }
    }
}

fn block_of(sample: &gst::Sample) -> Option<PlacedBlock> {
    let buffer = sample.buffer()?;
    let map = buffer.map_readable().ok()?;
    Some((buffer.pts().map(sample_count)?, from_bytes(&map)))
}
