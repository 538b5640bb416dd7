//! The decoder of one hearing, and its replacement when it does not answer.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::gst::decode::{AacDecoder, DecoderHealth, DecoderOutput};
use crate::source::{Notice, SourceError};

/// A decoder that was told that nothing follows hands out what it holds within this.
const REST: Duration = Duration::from_millis(500);

/// Frames that a new decoder is given once more: 20 s of a space.
const AGAIN: usize = 940;

/// Decodes.
pub(super) struct Ear {
    decoder: AacDecoder,
    decoded: mpsc::UnboundedReceiver<DecoderOutput>,
    /// What the decoder before had handed out.
    rest: VecDeque<DecoderOutput>,
    /// Frames behind the newest audio that came out.
    recent: VecDeque<(i64, Bytes)>,
    /// Whether a decoder that took everything and gave nothing was replaced: the sound itself is to blame then.
    tried_anew: bool,
}

impl Ear {
    /// Starts a decoder.
    pub(super) async fn begin() -> Result<Self, SourceError> {
        let (decoder, decoded) = start().await?;
        Ok(Self { decoder, decoded, rest: VecDeque::new(), recent: VecDeque::new(), tried_anew: false })
    }

    /// Gives it a frame whose first sample lies at `at`.
    pub(super) fn push(&mut self, at: i64, frame: Bytes) {
        self.recent.push_back((at, frame.clone()));
        if self.recent.len() > AGAIN {
            self.recent.pop_front();
        }
        self.decoder.push(at, frame);
    }

    /// The next thing that comes out. Safe to drop while it waits.
    pub(super) async fn next(&mut self) -> DecoderOutput {
        let output = match self.rest.pop_front() {
            Some(output) => output,
            None => match self.decoded.recv().await {
                Some(output) => output,
                None => std::future::pending().await,
            },
        };
        if let DecoderOutput::Audio(block) = &output {
            let end = block.media_time + block.samples.len() as i64;
            while self.recent.front().is_some_and(|(at, _)| *at < end) {
                self.recent.pop_front();
            }
            self.tried_anew = false;
        }
        output
    }

    /// Replaces a decoder that does not answer.
    pub(super) async fn tend(&mut self, now: Instant) -> Result<Option<Notice>, SourceError> {
        let health = self.decoder.health(now);
        if health == DecoderHealth::Well || (health == DecoderHealth::Mute && self.tried_anew) {
            return Ok(None);
        }
        let (decoder, decoded) = start().await?;
        let old = std::mem::replace(&mut self.decoder, decoder);
        // A frozen pipeline may never stop: it is left to a thread of its own.
        std::thread::spawn(move || drop(old));
        let mut before = std::mem::replace(&mut self.decoded, decoded);
        self.rest.extend(std::iter::from_fn(|| before.try_recv().ok()));
        for (at, frame) in self.recent.clone() {
            self.decoder.push(at, frame);
        }
        self.tried_anew = true;
        let message = "the decoder did not answer and was replaced; the recording lacks nothing";
        Ok((health == DecoderHealth::Frozen).then(|| Notice::warning("source.decoder", message, None)))
    }

    /// Nothing follows: what the decoder still holds, until it is empty.
    pub(super) async fn last(&mut self) -> Option<DecoderOutput> {
        self.decoder.finish();
        tokio::time::timeout(REST, self.next()).await.ok()
    }
}

/// Starting a pipeline blocks.
async fn start() -> Result<(AacDecoder, mpsc::UnboundedReceiver<DecoderOutput>), SourceError> {
    let (output, decoded) = mpsc::unbounded_channel();
    let decoder = tokio::task::spawn_blocking(move || AacDecoder::new(output)).await;
    let decoder = decoder.map_err(|error| SourceError::operator(format!("the decoder broke: {error}")))?;
    Ok((decoder.map_err(|error| SourceError::operator(error.to_string()))?, decoded))
}
