//! One attempt of one source: started, heard to its end, left when another source takes its place.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::next::Leave;
use super::{Conductor, TICK};
use crate::source::{Source, SourceContext, SourceEnd, SourceError, SourceEvent, SourceFault};

/// How long a source that was told to stop may take: longer than a connection in order, shorter than anybody waits.
const STOPPING: Duration = Duration::from_secs(2);

type Running = JoinHandle<(Box<dyn Source>, Result<SourceEnd, SourceError>)>;

impl Conductor {
    /// One attempt of the source whose turn it is, until it returns.
    ///
    /// # Errors
    /// [`Leave`] when the source was left instead.
    pub(super) async fn attempt(
        &mut self,
        token: &CancellationToken,
    ) -> Result<Result<SourceEnd, SourceError>, Box<Leave>> {
        let index = self.attempts.index();
        let Some(source) = self.sources[index].take() else {
            return Ok(Err(SourceError::transient("the source is still busy")));
        };
        let (sender, mut events) = mpsc::channel(64);
        let stop = token.child_token();
        let mut running = self.start(source, sender, &stop);
        let left = self.hear(&mut events, token).await;
        let leaving = left.is_some();
        let patience = if leaving { STOPPING } else { Duration::MAX };
        let ended = tokio::time::timeout(patience, async {
            if leaving {
                stop.cancel();
                // What it has in hand belongs into the recording.
                while let Some(event) = events.recv().await {
                    self.on_event(event);
                }
            }
            (&mut running).await
        });
        let ended = ended.await;
        self.handles.archive.end_capture();
        let result = match ended {
            Ok(Ok((source, result))) => {
                self.sources[index].put(source);
                result
            }
            Ok(Err(error)) => Err(SourceError::operator(format!("the source broke: {error}; please report this"))),
            Err(_) => {
                tracing::warn!("The source did not stop in time.");
                running.abort();
                Ok(SourceEnd::Cancelled)
            }
        };
        // A source that heard of the end before us has not ended its session.
        let left = left.or_else(|| token.is_cancelled().then_some(Leave::Cancelled));
        left.map_or(Ok(result), |leave| Err(Box::new(leave)))
    }

    /// Hears the source until it has nothing more to say, or is to be left.
    async fn hear(&mut self, events: &mut mpsc::Receiver<SourceEvent>, token: &CancellationToken) -> Option<Leave> {
        let mut tick = tokio::time::interval(TICK);
        loop {
            tokio::select! {
                () = token.cancelled() => return Some(Leave::Cancelled),
                Some(word) = self.orders.recv() => {
                    if let Some(leave) = self.heed(word) {
                        return Some(leave);
                    }
                }
                event = events.recv() => match event {
                    Some(event) => self.on_event(event),
                    None => return None,
                },
                _ = tick.tick() => {
                    self.on_tick();
                    if let Some(next) = self.look_around() {
                        return Some(Leave::Next(next));
                    }
                }
            }
        }
    }

    fn start(
        &mut self,
        mut source: Box<dyn Source>,
        events: mpsc::Sender<SourceEvent>,
        token: &CancellationToken,
    ) -> Running {
        let continuous = source.is_continuous();
        self.air.begin();
        if continuous {
            self.continue_media_time();
        }
        let context = SourceContext {
            events,
            token: token.clone(),
            clock: self.handles.clock.clone(),
            resume: self.resume.clone(),
        };
        tracing::info!(source = source.describe(), "Source starts.");
        tokio::spawn(async move {
            let result = source.run(context).await;
            (source, result)
        })
    }

    /// Waits before the next attempt.
    pub(super) async fn pause(&mut self, pause: Duration, token: &CancellationToken) -> Option<Leave> {
        let until = tokio::time::Instant::now() + pause;
        let mut tick = tokio::time::interval(TICK);
        loop {
            tokio::select! {
                () = token.cancelled() => return Some(Leave::Cancelled),
                Some(word) = self.orders.recv() => {
                    if let Some(leave) = self.heed(word) {
                        return Some(leave);
                    }
                }
                () = tokio::time::sleep_until(until) => return None,
                _ = tick.tick() => {
                    self.on_tick();
                    if let Some(next) = self.look_around() {
                        return Some(Leave::Next(next));
                    }
                }
            }
        }
    }

    /// Tells a fault, once, with what is done about it and what can be.
    pub(super) fn tell_retry(&mut self, error: SourceError, index: usize, pause: Duration) {
        if self.last_error.as_deref() != Some(&error.message) {
            let message = format!("{}; source {} is tried in {:.0} s", error.message, index + 1, pause.as_secs_f64());
            let remedy = match error.class {
                SourceFault::Operator => Some(
                    "The outputs stay on the air meanwhile. spacebridge source set LINK points them at another space.",
                ),
                SourceFault::Gone => Some("If the host opened another space: spacebridge source set LINK."),
                _ => None,
            };
            if error.is_permanent() {
                self.handles.events.error("source.failed", "source", message, remedy);
            } else {
                self.handles.events.warning("source.failed", "source", message, remedy);
            }
        }
        self.last_error = Some(error.message);
    }
}
