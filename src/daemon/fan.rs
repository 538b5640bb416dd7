//! One connection to a bridge for everybody who looks at a show's meter or listens in.
//!
//! A stream is opened for the first reader and closed after the last, so that a bridge's cost does not grow with those
//! who listen. Nobody is waited for: a reader that falls behind loses what it did not take.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde::Serialize;
use tokio::sync::{Mutex, broadcast};

use crate::bridge::client::{BridgeClient, ClientError, Levels};
use crate::bridge::protocol::live::{LEVEL_EVENT, LevelStatus};

/// Pieces that wait for a reader: a bridge hands on sound every 171 ms, so that this is less than the 1.5 s behind which a
/// listener would hear what is long over.
const WAITING: usize = 8;

/// Silence after which a bridge's stream is broken.
const SILENCE: Duration = Duration::from_secs(10);

/// Length of an ADTS header that says how long its frame is (ISO/IEC 14496-3, 1.A.2).
const ADTS_HEADER: usize = 7;

/// What a show tells for as long as somebody listens.
#[derive(Debug, Default)]
pub(super) struct Ears {
    /// Levels, each a whole server-sent event.
    levels: Fan,
    /// The program as the outputs get it, in whole ADTS frames.
    audio: Fan,
}

type Slot = Arc<Mutex<Option<broadcast::Sender<Bytes>>>>;

/// One stream of a bridge and those who read it.
#[derive(Debug, Default)]
struct Fan {
    slot: Slot,
}

/// One measurement of a show's program.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct ShowLevel<'a> {
    /// The show's name.
    show: &'a str,
    #[serde(flatten)]
    level: LevelStatus,
}

/// What a bridge sends.
enum Stream {
    Levels { show: String, levels: Levels },
    Audio { body: Incoming, frames: Frames },
}

impl Ears {
    /// The levels of the show behind `client`, from now on.
    ///
    /// # Errors
    /// When the bridge does not give them.
    pub(super) async fn levels(&self, client: BridgeClient) -> Result<broadcast::Receiver<Bytes>, ClientError> {
        let open = async move || {
            let (show, levels) = (client.show().to_owned(), client.levels().await?);
            Ok(Stream::Levels { show, levels })
        };
        self.levels.read(open).await
    }

    /// The program of the show behind `client`, from now on.
    ///
    /// # Errors
    /// When the bridge does not give it.
    pub(super) async fn audio(&self, client: BridgeClient) -> Result<broadcast::Receiver<Bytes>, ClientError> {
        let open = async move || Ok(Stream::Audio { body: client.audio().await?, frames: Frames::default() });
        self.audio.read(open).await
    }
}

impl Fan {
    async fn read(
        &self,
        open: impl AsyncFnOnce() -> Result<Stream, ClientError>,
    ) -> Result<broadcast::Receiver<Bytes>, ClientError> {
        // Held while it is opened: who comes meanwhile reads the same stream.
        let mut slot = self.slot.lock().await;
        if let Some(sender) = slot.as_ref() {
            return Ok(sender.subscribe());
        }
        let stream = open().await?;
        let (sender, receiver) = broadcast::channel(WAITING);
        *slot = Some(sender.clone());
        tokio::spawn(hand_on(stream, sender, Arc::clone(&self.slot)));
        Ok(receiver)
    }
}

/// Reads as long as somebody listens, or until the bridge ends the stream; then every reader's stream ends too.
async fn hand_on(mut stream: Stream, sender: broadcast::Sender<Bytes>, slot: Slot) {
    loop {
        match tokio::time::timeout(SILENCE, stream.next()).await {
            Ok(Ok(Some(piece))) if piece.is_empty() => {}
            Ok(Ok(Some(piece))) => {
                if sender.send(piece).is_ok() {
                    continue;
                }
                let mut slot = slot.lock().await;
                if sender.receiver_count() == 0 {
                    *slot = None;
                    return;
                }
            }
            Ok(Ok(None)) => break,
            Ok(Err(error)) => {
                tracing::debug!(%error, "A bridge's stream broke.");
                break;
            }
            Err(_) => break,
        }
    }
    *slot.lock().await = None;
}

impl Stream {
    async fn next(&mut self) -> Result<Option<Bytes>, ClientError> {
        match self {
            Self::Levels { show, levels } => {
                let Some(level) = levels.next().await? else { return Ok(None) };
                let level = ShowLevel { show, level };
                let level = serde_json::to_string(&level).map_err(|error| ClientError::Garbled(error.to_string()))?;
                Ok(Some(Bytes::from(format!("event: {LEVEL_EVENT}\ndata: {level}\n\n"))))
            }
            Self::Audio { body, frames } => {
                let Some(frame) = body.frame().await else { return Ok(None) };
                let bytes = frame.map_err(|error| ClientError::Broken(error.to_string()))?.into_data();
                Ok(Some(bytes.map(|bytes| frames.push(&bytes)).unwrap_or_default()))
            }
        }
    }
}

/// Cuts a stream between frames, so that everybody begins with a whole one wherever the network cut it.
#[derive(Debug, Default)]
struct Frames {
    rest: BytesMut,
}

impl Frames {
    /// Takes the next bytes; the whole frames that there are now.
    fn push(&mut self, bytes: &[u8]) -> Bytes {
        self.rest.extend_from_slice(bytes);
        let mut whole = 0;
        while let Some(header) = self.rest.get(whole..whole + ADTS_HEADER) {
            if header[0] != 0xFF || header[1] & 0xF6 != 0xF0 {
                // No frame begins here: on to where one may.
                let next = self.rest[whole + 1..].iter().position(|byte| *byte == 0xFF);
                let skip = next.map_or(self.rest.len() - whole, |at| at + 1);
                self.rest = [&self.rest[..whole], &self.rest[whole + skip..]].concat().as_slice().into();
                continue;
            }
            let length =
                usize::from(header[3] & 0x03) << 11 | usize::from(header[4]) << 3 | usize::from(header[5] >> 5);
            let end = whole + length.max(ADTS_HEADER);
            if end > self.rest.len() {
                break;
            }
            whole = end;
        }
        let frames = Bytes::copy_from_slice(&self.rest[..whole]);
        self.rest.advance(whole);
        frames
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(length: usize) -> Vec<u8> {
        let full = length + ADTS_HEADER;
        let mut bytes =
            vec![0xFF, 0xF1, 0x4C, 0x80 | (full >> 11) as u8, (full >> 3) as u8, (full << 5) as u8 | 0x1F, 0xFC];
        bytes.resize(full, 7);
        bytes
    }

    proptest! {
        #[test]
        fn a_listener_begins_with_a_whole_frame_however_the_bytes_were_cut(
            lengths in proptest::collection::vec(0_usize..900, 1..12),
            cuts in proptest::collection::vec(1_usize..400, 1..40),
            noise in proptest::collection::vec(0_u8..255, 0..20),
        ) {
            let frames: Vec<u8> = lengths.iter().flat_map(|length| frame(*length)).collect();
            let stream = [noise, frames.clone()].concat();
            let (mut cutter, mut heard, mut at) = (Frames::default(), Vec::new(), 0);
            for cut in cuts.iter().cycle() {
                let end = (at + cut).min(stream.len());
                let piece = cutter.push(&stream[at..end]);
                prop_assert!(piece.is_empty() || piece[..2] == [0xFF, 0xF1]);
                heard.extend_from_slice(&piece);
                at = end;
                if at == stream.len() {
                    break;
                }
            }
            prop_assert_eq!(heard, frames);
        }

        #[test]
        fn fuzz_adts_cutter(bytes in proptest::collection::vec(any::<u8>(), 0..3000)) {
            let mut cutter = Frames::default();
            for piece in bytes.chunks(97) {
                cutter.push(piece);
            }
            // A frame says its length in 13 bits: no more waits for its end.
            prop_assert!(cutter.rest.len() < 1 << 13);
        }
    }
}
