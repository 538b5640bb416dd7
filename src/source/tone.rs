//! The ruler as a source: a test sound in which every second can be told from any other.

use std::time::Duration;

use super::{Attempt, SessionInfo, SessionPhase, Source, SourceContext, SourceEnd, SourceError, SourceEvent};
use crate::media::{PcmBlock, SAMPLE_RATE};
use crate::ruler;

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
            id: "tone".to_owned(),
            title: Some("Test tone".to_owned()),
            phase: SessionPhase::Live,
            started_at: Some(context.clock.wall()),
            ..SessionInfo::default()
        };
        send(&context, SourceEvent::Session(info)).await?;
        let first =
            context.resume.as_ref().map_or(0, |resume| resume.media_time.div_euclid(i64::from(SAMPLE_RATE)) + 1);
        let last = self.duration.map(|duration| duration.as_secs() as i64);
        let start = tokio::time::Instant::now();
        for index in first.. {
            if last.is_some_and(|last| index >= last) {
                return Ok(SourceEnd::SessionEnded);
            }
            let samples = ruler::second(index as u32).into_iter().map(|value| [value, value]).collect();
            let block = PcmBlock { media_time: index * i64::from(SAMPLE_RATE), samples };
            send(&context, SourceEvent::Audio(block)).await?;
            let due = start + Duration::from_secs((index - first + 1) as u64);
            tokio::select! {
                () = context.token.cancelled() => return Ok(SourceEnd::Cancelled),
                () = tokio::time::sleep_until(due) => {}
            }
        }
        Ok(SourceEnd::SessionEnded)
    }
}

async fn send(context: &SourceContext, event: SourceEvent) -> Result<(), SourceError> {
    context.events.send(event).await.map_err(|_| SourceError::transient("nobody listens to the source any more"))
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
