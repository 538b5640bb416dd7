//! The program's audio, encoded once and fanned out to every output.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::broadcast;

use crate::gst::GstError;
use crate::gst::aac_encode::AacEncoder;
use crate::media::{AudioFormat, AudioFrame, ProgramTime, StereoSample};

/// Access units that an output may lag behind before it loses some: about 5 s, well over what an output holds itself.
const FEED_FRAMES: usize = 256;

/// The encoded program: every output subscribes on its own.
#[derive(Debug, Clone)]
pub struct AudioFeed {
    /// Access units in order, as they are made in real time.
    pub frames: broadcast::Sender<AudioFrame>,
    /// What a decoder must know first.
    pub format: AudioFormat,
    /// Access units made so far: an encoder that hangs makes no more of them, and says nothing.
    pub encoded: Arc<AtomicU64>,
}

impl AudioFeed {
    /// A frame of this feed behind its ADTS header (ISO/IEC 14496-3, 1.A.2), as a player takes it without a container.
    pub fn adts(&self, frame: &AudioFrame) -> Vec<u8> {
        let [first, second] = [0, 1].map(|n| self.format.config.get(n).copied().unwrap_or_default());
        let (object, rate, channels) = (first >> 3, (first & 7) << 1 | second >> 7, second >> 3 & 15);
        // 13 bits; a frame has at most 1536 bytes for two channels.
        let length = frame.data.len() + 7;
        let profile = object.saturating_sub(1) << 6 | rate << 2 | channels >> 2;
        let mut bytes = Vec::with_capacity(length);
        bytes.extend([0xFF, 0xF1, profile, (channels & 3) << 6 | (length >> 11) as u8 & 3, (length >> 3) as u8]);
        bytes.extend([((length & 7) << 5) as u8 | 0x1F, 0xFC]);
        bytes.extend_from_slice(&frame.data);
        bytes
    }
}

/// The running encoder.
#[derive(Debug)]
pub struct AudioEncode {
    encoder: AacEncoder,
}

impl AudioEncode {
    /// Starts encoding at `sample_rate` Hz and `kbps`.
    ///
    /// # Errors
    /// When an element is missing (with its package) or refuses to start.
    pub fn start(sample_rate: u32, kbps: u32) -> Result<(Self, AudioFeed), GstError> {
        let (frames, _) = broadcast::channel(FEED_FRAMES);
        let sender = frames.clone();
        let encoded = Arc::new(AtomicU64::new(0));
        let count = encoded.clone();
        let encoder = AacEncoder::new(sample_rate, kbps, move |frame| {
            count.fetch_add(1, Ordering::Relaxed);
            // Without outputs nobody receives, which is fine.
            drop(sender.send(frame));
        })?;
        let format = encoder.format().clone();
        Ok((Self { encoder }, AudioFeed { frames, format, encoded }))
    }

    /// Program time of the first sample that [`AudioEncode::push`] takes.
    pub fn position(&self) -> ProgramTime {
        self.encoder.position()
    }

    /// Encodes the next samples. Never blocks.
    ///
    /// # Errors
    /// When the encoder has failed.
    pub fn push(&mut self, samples: &[StereoSample]) -> Result<(), GstError> {
        self.encoder.push(samples)
    }
}
