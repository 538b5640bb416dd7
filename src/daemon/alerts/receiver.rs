//! One receiver of events: its queue, its tries, and what is told about it.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::book::{Book, Pending};
use super::view::{LastTry, ReceiverState, ReceiverView, TestResult};
use crate::alert::delivery::{Carrier, Letter, Tried, event_id};
use crate::alert::{Event, Level};
use crate::backoff::Backoff;
use crate::clock::Clock;
use crate::config::DaemonAlert;
use crate::daemon::hub::Hub;

/// Pauses between tries: from a server that restarts to one that is mended in the morning.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(600);

/// Tries after which an event lets the others pass: a receiver may choke on this very one.
const TRIES_IN_A_ROW: u32 = 5;

/// Tries of a command, which has no server that could come back.
const COMMAND_TRIES: u32 = 3;

/// Failures in a row after which it is told.
const FAILURES_TOLD: u32 = 3;

/// How soon what changed is on the disk.
const SAVE_WITHIN: Duration = Duration::from_secs(1);

#[derive(Debug)]
struct State {
    book: Book,
    delivered: u64,
    refused: u64,
    last: Option<LastTry>,
    failures: u32,
    retry_at: Option<Instant>,
}

/// What others see of a receiver.
#[derive(Debug)]
pub(super) struct Desk {
    alert: DaemonAlert,
    carrier: Carrier,
    clock: Clock,
    state: Mutex<State>,
    /// Something changed that the receiver's task has to look at.
    poke: Notify,
}

impl Desk {
    pub(super) fn name(&self) -> &str {
        &self.alert.name
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn view(&self) -> ReceiverView {
        let state = self.state();
        let config = &self.alert.alert;
        let now = self.clock.now();
        let standing = match (state.book.gone, state.failures) {
            (true, _) => ReceiverState::Gone,
            (false, 0) => ReceiverState::Working,
            (false, _) => ReceiverState::Failing,
        };
        ReceiverView {
            name: self.alert.name.clone(),
            kind: if matches!(self.carrier, Carrier::Command(_)) { "command" } else { "webhook" },
            level: config.level,
            codes: config.codes.clone(),
            shows: self.alert.shows.clone(),
            signed: config.secret.is_some(),
            state: standing,
            pending: state.book.pending.len(),
            left_out: state.book.left_out,
            delivered: state.delivered,
            refused: state.refused,
            last: state.last.clone(),
            retry_in_seconds: state.retry_at.map(|at| at.saturating_duration_since(now).as_secs()),
        }
    }

    /// Sends an event that says nothing, past the queue.
    pub(super) async fn test(&self) -> TestResult {
        let event = Event {
            id: u64::try_from(self.clock.wall().as_millisecond()).unwrap_or_default(),
            at: self.clock.wall(),
            level: Level::Info,
            code: "webhook.test".to_owned(),
            subject: format!("webhook {}", self.alert.name),
            message: "A test: events of the daemon arrive here.".to_owned(),
            remedy: None,
            doing: None,
            since: None,
            count: 1,
        };
        let pending = Pending { show: String::new(), pid: std::process::id(), event, tries: 0 };
        let tried = self.carry(&pending, 0).await;
        let message = match &tried {
            Tried::Done => "It was taken.".to_owned(),
            Tried::Gone => "It was not taken: its webhook answered 410, it wants nothing any more.".to_owned(),
            Tried::Again(error, _) | Tried::Never(error) => format!("It was not taken: {error}."),
        };
        let delivered = tried == Tried::Done;
        if delivered {
            let mut state = self.state();
            state.book.gone = false;
            state.retry_at = None;
            drop(state);
            self.poke.notify_one();
        }
        TestResult { delivered, message }
    }

    async fn carry(&self, pending: &Pending, left_out: u64) -> Tried {
        let id = event_id(&pending.show, pending.pid, &pending.event);
        let letter = Letter { show: &pending.show, event: &pending.event, left_out, id: &id, at: self.clock.wall() };
        self.carrier.carry(&letter).await
    }
}

/// A receiver's own task.
pub(super) struct Receiver {
    desk: Arc<Desk>,
    hub: Arc<Hub>,
    file: PathBuf,
    place: u64,
    backoff: Backoff,
    /// When the book has to be on the disk.
    save_at: Option<Instant>,
    /// Whether its failing was told.
    told: bool,
    /// Whether the book could not be kept, and that was told.
    unsaved: bool,
}

impl Receiver {
    /// Reads its book. `target` is the address, of which only a digest is kept.
    pub(super) fn open(
        alert: DaemonAlert,
        carrier: Carrier,
        target: &str,
        file: PathBuf,
        hub: Arc<Hub>,
        clock: Clock,
    ) -> Self {
        let target: String = Sha256::digest(target.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
        let book = Book::read(&file, target, clock.wall());
        let state = State { book, delivered: 0, refused: 0, last: None, failures: 0, retry_at: None };
        let desk = Desk { alert, carrier, clock, state: Mutex::new(state), poke: Notify::new() };
        let backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
        // What the hub remembers already was told while the daemon began.
        Self { desk: Arc::new(desk), hub, file, place: 0, backoff, save_at: None, told: false, unsaved: false }
    }

    pub(super) fn desk(&self) -> &Arc<Desk> {
        &self.desk
    }

    /// Delivers until `token` ends; what is pending then is kept.
    pub(super) async fn run(mut self, token: CancellationToken) {
        let mut news = self.hub.watch();
        // The book of a new receiver says from when on it is told something.
        self.save().await;
        loop {
            news.mark_unchanged();
            self.read();
            if let Some((pending, left_out)) = self.due() {
                let desk = Arc::clone(&self.desk);
                let tried = tokio::select! {
                    tried = desk.carry(&pending, left_out) => tried,
                    () = token.cancelled() => break,
                };
                self.on_tried(&pending, left_out, tried);
            }
            let now = self.desk.clock.now();
            if self.save_at.is_some_and(|at| at <= now) {
                self.save().await;
            }
            let wake = self.wake(now);
            tokio::select! {
                changed = news.changed() => drop(changed),
                () = self.desk.poke.notified() => self.changed(),
                () = pause(wake) => {}
                () = token.cancelled() => break,
            }
        }
        self.save().await;
    }

    /// Takes what happened since the last look.
    fn read(&mut self) {
        let now = self.desk.clock.wall();
        let own = format!("webhook {}", self.desk.alert.name);
        loop {
            let batch = self.hub.after(self.place, None);
            if batch.after == self.place {
                break;
            }
            let mut state = self.desk.state();
            // At the beginning nothing was missed: what is not remembered any more happened before.
            state.book.left_out += if self.place == 0 { 0 } else { batch.lost };
            for told in &batch.events {
                let event = &told.event;
                // What is told about a receiver is no news for itself.
                let about = event.subject != own && self.desk.alert.is_about(&told.show, event.level, &event.code);
                state.book.take(told, about, now);
            }
            state.book.forget_old(now);
            drop(state);
            self.place = batch.after;
            self.changed();
        }
    }

    fn changed(&mut self) {
        self.save_at.get_or_insert(self.desk.clock.now() + SAVE_WITHIN);
    }

    /// The next event that may be tried now.
    fn due(&self) -> Option<(Pending, u64)> {
        let state = self.desk.state();
        let waits = state.retry_at.is_some_and(|at| at > self.desk.clock.now());
        if waits || state.book.gone {
            return None;
        }
        state.book.pending.front().cloned().map(|pending| (pending, state.book.left_out))
    }

    /// When something is to be done, if nothing happens before.
    fn wake(&self, now: Instant) -> Option<Duration> {
        let state = self.desk.state();
        let idle = state.book.pending.is_empty() || state.book.gone;
        let retry = if idle { None } else { Some(state.retry_at.unwrap_or(now)) };
        [retry, self.save_at].into_iter().flatten().min().map(|at| at.saturating_duration_since(now))
    }

    fn on_tried(&mut self, pending: &Pending, left_out: u64, tried: Tried) {
        let now = self.desk.clock.now();
        let is_command = matches!(self.desk.carrier, Carrier::Command(_));
        let mut state = self.desk.state();
        let error = match &tried {
            Tried::Done => None,
            Tried::Gone => Some("its webhook answered 410".to_owned()),
            Tried::Again(error, _) | Tried::Never(error) => Some(error.clone()),
        };
        state.last = Some(LastTry { at: self.desk.clock.wall(), delivered: error.is_none(), error: error.clone() });
        state.failures = if error.is_none() { 0 } else { state.failures.saturating_add(1) };
        state.retry_at = None;
        // Whatever came meanwhile came behind it, but the queue may have let it go.
        let first = state.book.pending.front().is_some_and(|first| first.event == pending.event);
        let taken = if first { state.book.pending.pop_front() } else { None };
        match tried {
            Tried::Done => {
                state.delivered += 1;
                state.book.left_out = state.book.left_out.saturating_sub(left_out);
                self.backoff.reset();
            }
            Tried::Gone => {
                state.book.gone = true;
                state.book.pending.clear();
            }
            Tried::Never(_) => state.refused += 1,
            Tried::Again(..) if is_command && pending.tries + 1 >= COMMAND_TRIES => state.refused += 1,
            Tried::Again(_, after) => {
                let pause = self.backoff.next_delay();
                let pause = after.map_or(pause, |after| pause.max(after.min(LONGEST_PAUSE)));
                state.retry_at = Some(now + pause);
                if let Some(taken) = taken {
                    let again = Pending { tries: taken.tries + 1, ..taken };
                    match again.tries % TRIES_IN_A_ROW {
                        0 => state.book.pending.push_back(again),
                        _ => state.book.pending.push_front(again),
                    }
                }
            }
        }
        let (failures, gone) = (state.failures, state.book.gone);
        drop(state);
        self.changed();
        self.tell(failures, gone, error);
    }

    /// Tells once that it fails, and once that it works again.
    fn tell(&mut self, failures: u32, gone: bool, error: Option<String>) {
        let name = &self.desk.alert.name;
        let subject = format!("webhook {name}");
        let permanent = error.is_some() && self.desk.state().retry_at.is_none();
        match error {
            None if std::mem::take(&mut self.told) => {
                let message = format!("The alert {name} works again.");
                self.hub.report("", &subject, Level::Info, "webhook.back", message, None);
            }
            Some(_) if gone => {
                let message = format!("The alert {name} is off: its webhook answered 410, it wants no event any more.");
                let remedy = "Take it out of the configuration, or test it once it is mended: that brings it back.";
                self.told = true;
                self.hub.report("", &subject, Level::Error, "webhook.gone", message, Some(remedy));
            }
            Some(error) if !self.told && (permanent || failures >= FAILURES_TOLD) => {
                let message = format!("The alert {name} does not get through: {error}.");
                let remedy = "Check its receiver and its address; what waits is tried again for 12 hours.";
                self.told = true;
                self.hub.report("", &subject, Level::Warning, "webhook.failing", message, Some(remedy));
            }
            None | Some(_) => {}
        }
    }

    async fn save(&mut self) {
        self.save_at = None;
        let (book, file) = (self.desk.state().book.clone(), self.file.clone());
        let saved = tokio::task::spawn_blocking(move || book.write(&file)).await;
        let saved = saved.unwrap_or_else(|error| Err(std::io::Error::other(error)));
        if let Err(error) = &saved
            && !self.unsaved
        {
            tracing::warn!(alert = self.desk.alert.name, %error, "What waits for an alert could not be kept.");
        }
        self.unsaved = saved.is_err();
        if self.unsaved {
            self.save_at = Some(self.desk.clock.now() + SAVE_WITHIN * 10);
        }
    }
}

async fn pause(duration: Option<Duration>) {
    match duration {
        Some(duration) => tokio::time::sleep(duration).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
#[path = "receiver_tests.rs"]
mod tests;
