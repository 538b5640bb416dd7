//! The space's sound in every form that was asked for: one tape each, and silence of the same form.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

use bytes::Bytes;

use super::format::SoundFormat;
use super::script::Chunk;
use super::tape::{Tape, silent_frame};
use crate::gst::GstError;

/// Tapes by form.
#[derive(Debug, Default)]
pub(super) struct Sound {
    reels: RwLock<BTreeMap<SoundFormat, Reel>>,
}

#[derive(Debug)]
struct Reel {
    tape: Tape,
    silence: Bytes,
}

impl Sound {
    /// Has sound of `format` from `from_ms` on, as the space is at `position_ms`. Blocks for about a second.
    ///
    /// # Errors
    /// When the encoder is missing, fails, or is far too slow.
    pub(super) fn have(&self, format: SoundFormat, from_ms: u64, position_ms: u64) -> Result<(), GstError> {
        if self.reels.read().unwrap_or_else(PoisonError::into_inner).contains_key(&format) {
            return Ok(());
        }
        let reel = Reel { tape: Tape::start(format, from_ms, position_ms)?, silence: silent_frame(format)? };
        self.reels.write().unwrap_or_else(PoisonError::into_inner).entry(format).or_insert(reel);
        Ok(())
    }

    /// The frames of a chunk; none when they are forgotten.
    pub(super) fn frames(&self, chunk: &Chunk) -> Option<Vec<Bytes>> {
        let reels = self.reels.read().unwrap_or_else(PoisonError::into_inner);
        let reel = reels.get(&chunk.format)?;
        if chunk.silent {
            return Some(vec![reel.silence.clone(); usize::try_from(chunk.frames).ok()?]);
        }
        reel.tape.frames(chunk.first_frame, chunk.frames)
    }

    /// Whether the frames of a chunk are still there.
    pub(super) fn holds(&self, chunk: &Chunk) -> bool {
        let reels = self.reels.read().unwrap_or_else(PoisonError::into_inner);
        reels.get(&chunk.format).is_some_and(|reel| chunk.silent || reel.tape.holds(chunk.first_frame))
    }

    /// Tells how far the space is, so that the tapes go on.
    pub(super) fn reached(&self, ms: u64) {
        for (format, reel) in self.reels.read().unwrap_or_else(PoisonError::into_inner).iter() {
            reel.tape.reached(format.frame_at(ms));
        }
    }
}
