//! The ruler as a source: a test sound in which every second can be told from any other.

use std::time::Duration;

use tokio::sync::mpsc;

use super::{Attempt, SessionInfo, SessionPhase, Source, SourceContext, SourceEnd, SourceError, SourceEvent};
use crate::gst::pcm_capture::PcmCapture;
use crate::media::{PcmBlock, SAMPLE_RATE};
use crate::ruler;

/// The session's id.
const ID: &str = "tone";

const RATE: i64 = SAMPLE_RATE as i64;

/// Plays the ruler in real time, from second 0 or from where an earlier process stopped.
#[derive(Debug, Clone)]
pub struct ToneSource {
    duration: Option<Duration>,
}

impl ToneSource {
    /// A tone that ends by itself after `duration`, if given.
    pub fn new(duration: Option<Duration>) -> Self {
        Self { duration }
    }

    async fn play(&self, context: SourceContext) -> Result<SourceEnd, SourceError> {
        let info = SessionInfo {
            id: ID.to_owned(),
            title: Some("Test tone".to_owned()),
            phase: SessionPhase::Live,
            started_at: Some(context.clock.wall()),
            ..SessionInfo::default()
        };
        context.send(SourceEvent::Session(info)).await?;
        let (sender, mut captured) = mpsc::unbounded_channel();
        let mut capture = PcmCapture::mono(sender).map_err(|error| SourceError::operator(error.to_string()))?;
        let resume = context.resume.as_ref().filter(|resume| resume.session_id == ID);
        let first = resume.map_or(0, |resume| (resume.media_time + RATE - 1).div_euclid(RATE));
        let last = self.duration.map(|duration| duration.as_secs() as i64);
        let start = tokio::time::Instant::now();
        for index in first.. {
            if last.is_some_and(|last| index >= last) {
                return Ok(SourceEnd::SessionEnded);
            }
            let second = ruler::second(index as u32);
            capture.push(&second);
            let samples = second.into_iter().map(|value| [value, value]).collect();
            let block = PcmBlock { media_time: index * RATE, samples };
            context.send(SourceEvent::Audio(block)).await?;
            let due = start + Duration::from_secs((index - first + 1) as u64);
            loop {
                tokio::select! {
                    () = context.token.cancelled() => return Ok(SourceEnd::Cancelled),
                    Some(bytes) = captured.recv() => context.send(SourceEvent::Capture(bytes)).await?,
                    () = tokio::time::sleep_until(due) => break,
                }
            }
        }
        Ok(SourceEnd::SessionEnded)
    }
}

impl Source for ToneSource {
    fn describe(&self) -> String {
        "test tone".to_owned()
    }

    fn default_delay(&self) -> Duration {
        // Whole seconds come at once: one to be played, half of one for the machine's own hiccups.
        Duration::from_millis(1500)
    }

    fn is_continuous(&self) -> bool {
        true
    }

    fn run(&mut self, context: SourceContext) -> Attempt<'_> {
        Box::pin(self.play(context))
    }
}
