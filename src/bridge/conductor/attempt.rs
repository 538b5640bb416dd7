//! The attempts of the paths: started, heard to their end, left when another one takes its place.

use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::lane::{self, Heard, Running};
use super::next::Leave;
use super::{Conductor, TICK};
use crate::session::{Switch, Why};
use crate::source::{SourceContext, SourceEnd, SourceError, SourceFault};

/// How long a source that was told to stop may take: longer than a connection in order, shorter than anybody waits.
const STOPPING: Duration = Duration::from_secs(3);

/// Why a path is not listened to any more.
enum Over {
    Ended(Result<SourceEnd, SourceError>),
    Left(Leave),
}

impl Conductor {
    /// One attempt of the source whose turn it is, until it returns. One that stood by is heard from here on.
    ///
    /// # Errors
    /// [`Leave`] when the source was left instead.
    pub(super) async fn attempt(
        &mut self,
        token: &CancellationToken,
    ) -> Result<Result<SourceEnd, SourceError>, Box<Leave>> {
        let index = self.attempts.index();
        self.turn_to(index);
        if self.sources[index].lane.running.is_none() {
            self.air.begin();
            if !self.start(index, token) {
                return Ok(Err(SourceError::transient("the source is still busy")));
            }
        }
        match self.hear(token).await {
            // A source that heard of the end before us has not ended its session.
            Over::Ended(_) if token.is_cancelled() => Err(Box::new(Leave::Cancelled)),
            // Its turn came while it was being let go, and its end says nothing of the session's.
            Over::Ended(Ok(SourceEnd::Cancelled)) => Ok(Err(SourceError::transient("the source was just leaving"))),
            Over::Ended(result) => Ok(result),
            Over::Left(leave) => {
                match leave {
                    Leave::Failover(switch) => self.take_over(index, switch),
                    Leave::Pinned if self.stays(index) => {}
                    // Nobody waits for its goodbyes: the other one is heard meanwhile.
                    Leave::Pinned => self.sources[index].lane.let_go(),
                    // Every path is stopped, all at once.
                    Leave::Cancelled | Leave::Replaced(_) | Leave::Next(_) => {}
                }
                Err(Box::new(leave))
            }
        }
    }

    /// Another source than before has its turn: what stands by takes over where it is, what does not lies elsewhere.
    fn turn_to(&mut self, index: usize) {
        let before = self.heard;
        if before == index || before >= self.sources.len() {
            return;
        }
        if self.sources[index].lane.gives {
            let why = if self.attempts.pinned() == Some(index) { Why::Pinned } else { Why::Lost };
            return self.take_over(before, Switch { to: index, why });
        }
        self.heard = index;
        self.view.speakers = self.sources[index].lane.speakers.now();
        self.share_resume(before, index);
        self.air.aired.clear();
        self.sources.iter_mut().for_each(|slot| slot.lane.forget_place());
        if self.sources[index].session_id() != self.sources[before].session_id() {
            self.air.forget();
        }
        if let Some(info) = self.sources[index].lane.info.clone().filter(|_| self.sources[index].lane.running.is_some())
        {
            self.on_info(info);
        }
    }

    /// A source of the same session counts media time as the other does.
    fn share_resume(&mut self, from: usize, to: usize) {
        let resume = self.sources[from].lane.resume.clone();
        let same = self.sources[from].session_id().is_some()
            && self.sources[from].session_id() == self.sources[to].session_id();
        if same && let Some(resume) = resume {
            self.sources[to].lane.resume = Some(resume);
        }
    }

    /// Hears the source until it has nothing more to say, or is to be left.
    async fn hear(&mut self, token: &CancellationToken) -> Over {
        let mut tick = tokio::time::interval(TICK);
        let active = self.attempts.index();
        loop {
            tokio::select! {
                () = token.cancelled() => return Over::Left(Leave::Cancelled),
                Some(word) = self.orders.recv() => {
                    if let Some(leave) = self.heed(word) {
                        return Over::Left(leave);
                    }
                }
                (index, heard) = lane::next(&mut self.sources, active) => {
                    if let Some(result) = self.on_heard(index, heard)
                        && index == active
                    {
                        return Over::Ended(result);
                    }
                }
                _ = tick.tick() => {
                    self.on_tick();
                    if let Some(switch) = self.watch_paths(token) {
                        return Over::Left(Leave::Failover(switch));
                    }
                    if let Some(next) = self.look_around() {
                        return Over::Left(Leave::Next(next));
                    }
                }
            }
        }
    }

    /// Takes the word of a path; what its attempt came to, if that is over.
    fn on_heard(&mut self, index: usize, heard: Heard) -> Option<Result<SourceEnd, SourceError>> {
        let ended = match heard {
            Heard::Said(event) if index == self.attempts.index() => {
                self.on_event(event);
                return None;
            }
            Heard::Said(event) => {
                self.on_standby(index, event);
                return None;
            }
            Heard::Ended(ended) => ended,
        };
        let slot = &mut self.sources[index];
        slot.archive.end_capture();
        let result = ended.and_then(|(source, result)| {
            slot.put(source);
            result
        });
        slot.lane.end(Instant::now(), result.as_ref().err().map(|error| error.class));
        if index != self.attempts.index() {
            self.on_standby_ended(index, &result);
        }
        Some(result)
    }

    /// Starts the attempt of a path; false while the one before is not over.
    pub(super) fn start(&mut self, index: usize, token: &CancellationToken) -> bool {
        let Some(mut source) = self.sources[index].take() else { return false };
        if index != self.heard {
            self.share_resume(self.heard, index);
        }
        if self.sources[index].is_continuous() {
            self.continue_media_time(index);
        }
        let (sender, events) = mpsc::channel(64);
        let stop = token.child_token();
        let context = SourceContext {
            resume: self.sources[index].lane.resume.clone(),
            unhurried: self.is_aligned(),
            level_speakers: self.sources[index].levelled,
            ..SourceContext::new(sender, stop.clone(), self.handles.clock.clone())
        };
        tracing::info!(source = source.describe(), "Source starts.");
        let task = tokio::spawn(async move {
            let result = source.run(context).await;
            (source, result)
        });
        self.sources[index].lane.begin(Running { events, task, stop }, Instant::now());
        true
    }

    /// Stops the attempt of a path, if one runs. What it has in hand belongs into the recording.
    async fn stop_until(&mut self, index: usize, deadline: tokio::time::Instant) {
        let Some(running) = &self.sources[index].lane.running else { return };
        running.stop.cancel();
        let ended = tokio::time::timeout_at(deadline, async {
            loop {
                // The only one that can be over is the one that was asked for.
                let (heard_of, heard) = lane::next(&mut self.sources[index..=index], 0).await;
                if self.on_heard(index + heard_of, heard).is_some() {
                    return;
                }
            }
        });
        if ended.await.is_err() {
            tracing::warn!("The source did not stop in time.");
            let slot = &mut self.sources[index];
            slot.archive.end_capture();
            if let Some(running) = slot.lane.running.take() {
                running.task.abort();
            }
        }
    }

    /// Stops every path, all within the time of one: the session is over, or left.
    pub(super) async fn stop_all(&mut self) {
        for slot in &self.sources {
            slot.lane.let_go();
        }
        let deadline = tokio::time::Instant::now() + STOPPING;
        for index in 0..self.sources.len() {
            self.stop_until(index, deadline).await;
        }
    }

    /// Waits before the next attempt.
    pub(super) async fn pause(&mut self, pause: Duration, token: &CancellationToken) -> Option<Leave> {
        let until = tokio::time::Instant::now() + pause;
        let mut tick = tokio::time::interval(TICK);
        let active = self.attempts.index();
        loop {
            tokio::select! {
                () = token.cancelled() => return Some(Leave::Cancelled),
                Some(word) = self.orders.recv() => {
                    if let Some(leave) = self.heed(word) {
                        return Some(leave);
                    }
                }
                (index, heard) = lane::next(&mut self.sources, active) => {
                    self.on_heard(index, heard);
                }
                () = tokio::time::sleep_until(until) => return None,
                _ = tick.tick() => {
                    self.on_tick();
                    if let Some(switch) = self.watch_paths(token) {
                        self.take_over(active, switch);
                        return Some(Leave::Failover(switch));
                    }
                    if let Some(next) = self.look_around() {
                        return Some(Leave::Next(next));
                    }
                }
            }
        }
    }

    /// Tells a fault, once, with what is done about it and what can be.
    pub(super) fn tell_retry(&mut self, error: SourceError, index: usize, pause: Duration) {
        let next = format!("source {} is tried in {:.0} s", index + 1, pause.as_secs_f64());
        self.tell_fault(error, &next);
    }

    /// Tells a fault, once, and what is done about it.
    pub(super) fn tell_fault(&mut self, error: SourceError, next: &str) {
        if self.last_error.as_deref() != Some(&error.message) {
            let message = format!("{}; {next}", error.message);
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
