//! What is on the air, for those who look at a meter or listen in: the two routes that never end.
//!
//! Nobody waits for a reader: one that does not keep up is cut off, or sees fewer levels.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use axum::body::Bytes;
use axum::response::sse::Event as SseEvent;
use futures_util::Stream;
use futures_util::stream::unfold;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::{broadcast, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::protocol::live::{LEVEL_EVENT, LevelStatus};
use crate::encode::audio::AudioFeed;
use crate::media::{AAC_FRAME_SAMPLES, AudioFrame, SAMPLE_RATE, Still};
use crate::program::{Level, LevelAt};

/// What the show gives to those who listen and look.
#[derive(Debug, Clone)]
pub struct Heard {
    /// How loud it is.
    pub levels: broadcast::Sender<LevelAt>,
    /// The encoded program, as the outputs get it.
    pub audio: AudioFeed,
    /// The picture that is on the air.
    pub slate: watch::Receiver<Option<Still>>,
}

/// Measurements come in pairs, as the program is handed on: the second is told this much after the first, when its sound
/// is on the air. A little less than it lasts, so that a pair is told before the next one comes.
const SECOND_OF_A_PAIR: Duration = Duration::from_millis(80);

/// Frames that a listener may lag behind: 1.5 s. Later they would hear what is long over; a new connection begins with
/// what is on the air.
const LAG: usize = (SAMPLE_RATE as u64 * 3 / 2 / AAC_FRAME_SAMPLES) as usize;

/// The level, again and again, until `token` ends.
pub(super) fn levels(
    heard: &Heard,
    token: CancellationToken,
) -> impl Stream<Item = Result<SseEvent, Infallible>> + use<> {
    let reader = Meter { levels: heard.levels.subscribe(), told: Instant::now(), token };
    unfold(reader, |mut reader| async move {
        let level = reader.next().await?;
        let event = SseEvent::default().event(LEVEL_EVENT).json_data(words(level)).unwrap_or_default();
        Some((Ok(event), reader))
    })
}

/// A tenth of a decibel is more than an eye sees, and half the bytes.
fn words(LevelAt { until, level }: LevelAt) -> LevelStatus {
    let Level { peak_dbfs, rms_dbfs, short_term_lufs } = level;
    let [peak_dbfs, rms_dbfs, short_term_lufs] =
        [peak_dbfs, rms_dbfs, short_term_lufs].map(|value| (f64::from(value) * 10.0).round() / 10.0);
    LevelStatus { seconds: (until.seconds() * 1000.0).round() / 1000.0, peak_dbfs, rms_dbfs, short_term_lufs }
}

struct Meter {
    levels: broadcast::Receiver<LevelAt>,
    told: Instant,
    token: CancellationToken,
}

impl Meter {
    async fn next(&mut self) -> Option<LevelAt> {
        match self.levels.try_recv() {
            // The first of a pair was told just now, and more of them do not wait yet.
            Ok(level) if self.levels.is_empty() => {
                tokio::select! {
                    () = self.token.cancelled() => return None,
                    () = tokio::time::sleep_until(self.told + SECOND_OF_A_PAIR) => return Some(level),
                }
            }
            Ok(level) => return Some(level),
            Err(TryRecvError::Closed) => return None,
            Err(TryRecvError::Empty | TryRecvError::Lagged(_)) => {}
        }
        loop {
            let received = tokio::select! {
                () = self.token.cancelled() => return None,
                received = self.levels.recv() => received,
            };
            match received {
                Ok(level) => {
                    self.told = Instant::now();
                    return Some(level);
                }
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return None,
            }
        }
    }
}

/// The encoded program from now on as an ADTS stream (ISO/IEC 14496-3, 1.A.2), until `token` ends or the reader lags.
pub(super) fn audio(heard: &Heard, token: CancellationToken) -> impl Stream<Item = Result<Bytes, Infallible>> + use<> {
    let reader = (heard.audio.frames.subscribe(), heard.audio.clone(), token);
    unfold(reader, |(mut frames, feed, token)| async move {
        let first = tokio::select! {
            () = token.cancelled() => return None,
            first = frames.recv() => first.ok()?,
        };
        let frames_now = waiting(first, &mut frames)?;
        let bytes: Vec<u8> = frames_now.iter().flat_map(|frame| feed.adts(frame)).collect();
        Some((Ok(Bytes::from(bytes)), (frames, feed, token)))
    })
}

/// The frame and those that wait behind it; none for a reader that lags too far behind.
fn waiting(first: AudioFrame, frames: &mut broadcast::Receiver<AudioFrame>) -> Option<VecDeque<AudioFrame>> {
    if frames.len() > LAG {
        tracing::debug!("A listener does not keep up and is cut off.");
        return None;
    }
    let mut all = VecDeque::from([first]);
    loop {
        match frames.try_recv() {
            Ok(frame) => all.push_back(frame),
            Err(TryRecvError::Lagged(_)) => return None,
            Err(TryRecvError::Empty | TryRecvError::Closed) => return Some(all),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt;

    use super::*;
    use crate::media::{AudioFormat, ProgramTime};
    use crate::program::level::PERIOD;

    fn heard() -> Heard {
        let format = AudioFormat { config: Bytes::from_static(&[0x11, 0x90]), sample_rate: 48_000 };
        let audio = AudioFeed { frames: broadcast::channel(256).0, format, encoded: Default::default() };
        Heard { levels: broadcast::channel(32).0, audio, slate: watch::channel(None).1 }
    }

    fn level(n: u64) -> LevelAt {
        LevelAt { until: ProgramTime::from_samples(n * PERIOD as u64), level: Level::default() }
    }

    #[tokio::test]
    async fn a_needle_moves_evenly_although_the_program_is_handed_on_in_pairs() {
        let heard = heard();
        let mut stream = Box::pin(levels(&heard, CancellationToken::new()));
        let sender = heard.levels.clone();
        let pairs = tokio::spawn(async move {
            for pair in 0..8 {
                drop((sender.send(level(2 * pair)), sender.send(level(2 * pair + 1))));
                tokio::time::sleep(Duration::from_micros(170_667)).await;
            }
        });
        let mut gaps = Vec::new();
        for _ in 0..8 {
            drop(stream.next().await.expect("a level"));
            let first = Instant::now();
            drop(stream.next().await.expect("a level"));
            gaps.push(first.elapsed().as_millis());
        }
        gaps.sort_unstable();
        // The machine may be busy for a moment: most of them count.
        assert!((60..=120).contains(&gaps[4]), "{gaps:?}");
        pairs.await.expect("all pairs");
    }

    #[tokio::test]
    async fn a_listener_gets_whole_frames_and_one_that_lags_is_cut_off() {
        let heard = heard();
        let mut stream = Box::pin(audio(&heard, CancellationToken::new()));
        let frame =
            |n: u64| AudioFrame { at: ProgramTime::from_samples(n * 1024), data: Bytes::from(vec![n as u8; 200]) };
        for n in 0..3 {
            heard.audio.frames.send(frame(n)).expect("a listener");
        }
        let bytes = stream.next().await.expect("audio").expect("audio");
        assert_eq!(bytes.len(), 3 * 207);
        assert_eq!(bytes[..7], [0xFF, 0xF1, 0x4C, 0x80, 0x19, 0xFF, 0xFC]);
        for n in 0..=LAG as u64 + 1 {
            heard.audio.frames.send(frame(n)).expect("a listener");
        }
        assert!(stream.next().await.is_none(), "what is long over is not heard");
    }
}
