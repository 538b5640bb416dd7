//! The recording's own thread: takes what is handed over, in order, and keeps trying while the disk refuses.
//!
//! The show never waits for it. What cannot be written is held in memory up to a limit; what goes beyond is listed as
//! missing, with the disk's trouble as its cause.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::{oneshot, watch};

use super::error::Trouble;
use super::facts::{Fact, NewSegment, SessionFact};
use super::stems::NewStem;
use super::store::{Store, lock};
use crate::alert::{Events, Report};
use crate::clock::Clock;
use crate::media::SAMPLE_RATE;
use crate::status::RecordingStatus;

/// How much the recording may hold and how often it tries again.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes held in memory while the disk refuses: 32 MB are about three quarters of an hour of a space.
    pub held_bytes: usize,
    /// Pause between two tries.
    pub retry: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { held_bytes: 32 << 20, retry: Duration::from_secs(3) }
    }
}

/// What the writer is asked to do.
#[derive(Debug)]
pub(super) enum Command {
    Fact(Fact),
    Session(SessionFact),
    Segment(Box<NewSegment>),
    Capture {
        session: String,
        bytes: Bytes,
        /// Media time of the stream's zero, where that is known.
        media_time: Option<i64>,
    },
    Stem(Box<NewStem>),
    /// Who is in a session, each with id and name, at a media time.
    Speakers {
        session: String,
        now: Vec<(String, String)>,
        media_time: i64,
    },
    /// The session's streams are over: its capture, and every speaker's.
    EndCapture {
        session: String,
    },
    /// Answered when everything before it is written.
    Flush(Option<oneshot::Sender<()>>),
    /// The last command: a last fact if there is one, and until when to try.
    Close {
        fact: Option<Fact>,
        until: Instant,
        done: oneshot::Sender<bool>,
    },
}

impl Command {
    /// What it holds in memory, roughly.
    pub(super) fn cost(&self) -> usize {
        match self {
            Self::Segment(segment) => 512 + segment.bytes.len(),
            Self::Capture { bytes, .. } => 512 + bytes.len(),
            // Hundreds a second.
            Self::Stem(stem) => 256 + stem.data.len(),
            _ => 512,
        }
    }
}

/// What the handle and the writer share about the queue between them.
#[derive(Debug, Default)]
pub(super) struct Queue {
    /// Bytes handed over and not yet written.
    pub(super) held: AtomicUsize,
    /// Why things pile up.
    cause: Mutex<Option<&'static str>>,
    /// Whether the loss of something was reported.
    pub(super) losing: AtomicBool,
    /// Speakers' packets that were lost because too much waited.
    pub(super) lost_stems: AtomicU64,
}

impl Queue {
    /// Why what does not fit any more is missing.
    pub(super) fn cause(&self) -> &'static str {
        self.cause.lock().unwrap_or_else(PoisonError::into_inner).unwrap_or("disk too slow")
    }

    fn set_cause(&self, cause: Option<&'static str>) {
        *self.cause.lock().unwrap_or_else(PoisonError::into_inner) = cause;
    }
}

/// The thread's state.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) store: Store,
    pub(super) commands: Receiver<Command>,
    pub(super) backlog: VecDeque<Command>,
    pub(super) queue: Arc<Queue>,
    pub(super) status: watch::Sender<RecordingStatus>,
    pub(super) events: Events,
    pub(super) clock: Clock,
    pub(super) limits: Limits,
    /// When to try again, while the disk refuses.
    pub(super) retry_at: Option<Instant>,
    /// Bytes of speakers' files that the status does not count yet.
    pub(super) stem_bytes: u64,
}

/// What a command added to the archive.
#[derive(Debug, Default)]
struct Added {
    /// Seconds of a captured stream.
    seconds: f64,
    /// Bytes of speakers' files.
    bytes: u64,
}

impl Writer {
    /// Works until it is closed or its handle is gone.
    pub(super) fn run(mut self) {
        loop {
            let open = self.receive();
            let due = self.retry_at.is_none_or(|at| self.clock.now() >= at);
            if (due || !open)
                && let Some(done) = self.drain()
            {
                // The archive is free again before anybody is told.
                drop(self);
                // Who asked may be gone.
                done.send(true).ok();
                return;
            }
            if let Some(done) = self.gave_up() {
                drop(self);
                done.send(false).ok();
                return;
            }
            if !open {
                return;
            }
        }
    }

    /// Waits for a command or until it is time to try again. False when no more commands can come.
    fn receive(&mut self) -> bool {
        let command = if self.backlog.is_empty() {
            self.commands.recv().map_err(|_| RecvTimeoutError::Disconnected)
        } else {
            let until = self.retry_at.unwrap_or_else(|| self.clock.now());
            self.commands.recv_timeout(until.saturating_duration_since(self.clock.now()))
        };
        match command {
            Ok(command) => self.backlog.push_back(command),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return false,
        }
        true
    }

    /// Writes what is waiting, until the disk refuses. The last command's answer, once it is done.
    fn drain(&mut self) -> Option<oneshot::Sender<bool>> {
        while let Some(mut command) = self.backlog.pop_front() {
            match self.execute(&mut command) {
                Ok(added) => {
                    self.queue.held.fetch_sub(command.cost(), Ordering::Relaxed);
                    self.on_success(&command, added);
                    if let Command::Close { done, .. } = command {
                        return Some(done);
                    }
                }
                Err(error) => {
                    self.on_failure(&error);
                    self.backlog.push_front(command);
                    return None;
                }
            }
        }
        None
    }

    /// Does it; what it added.
    fn execute(&mut self, command: &mut Command) -> io::Result<Added> {
        match command {
            Command::Fact(fact) => self.store.fact(fact.clone())?,
            Command::Session(info) => self.store.session(info)?,
            Command::Segment(segment) => self.store.segment(segment)?,
            Command::Capture { session, bytes, media_time } => {
                return Ok(Added { seconds: self.store.capture(session, bytes, *media_time)?, bytes: 0 });
            }
            Command::Stem(stem) => {
                let lost = self.queue.lost_stems.swap(0, Ordering::Relaxed);
                if lost > 0 {
                    self.store.lose_stems(&stem.session, lost, self.queue.cause());
                }
                return Ok(Added { seconds: 0.0, bytes: self.store.stem(stem)? });
            }
            Command::Speakers { session, now, media_time } => self.store.speakers(session, now, *media_time)?,
            Command::EndCapture { session } => {
                self.store.end_capture(session)?;
                self.store.end_stems(Some(session))?;
            }
            Command::Flush(done) => {
                if done.take().is_some_and(|done| done.send(()).is_err()) {
                    tracing::debug!("Nobody waits for the recording any more.");
                }
            }
            Command::Close { fact, .. } => {
                self.store.end_captures()?;
                self.store.end_stems(None)?;
                if let Some(fact) = fact {
                    self.store.fact(fact.clone())?;
                }
            }
        }
        Ok(Added::default())
    }

    fn on_success(&mut self, command: &Command, added: Added) {
        if self.retry_at.take().is_some() {
            self.queue.set_cause(None);
            self.queue.losing.store(false, Ordering::Relaxed);
            self.events.info("recording.back", "recording", "The recording is being written again.");
            self.status.send_modify(|status| status.error = None);
        }
        if matches!(command, Command::Stem(_)) {
            // Nobody needs to hear of each of hundreds a second.
            self.stem_bytes += added.bytes;
            return;
        }
        let (store, stem_bytes) = (&self.store, std::mem::take(&mut self.stem_bytes));
        self.status.send_modify(|status| {
            status.bytes += stem_bytes;
            update(status, store, command, added.seconds);
        });
    }

    fn on_failure(&mut self, error: &io::Error) {
        let first = self.retry_at.is_none();
        self.retry_at = Some(self.clock.now() + self.limits.retry);
        let trouble = Trouble::of(error);
        self.queue.set_cause(Some(trouble.cause()));
        let message = format!("The recording cannot be written ({error}).");
        let shown = format!("{message} It keeps trying: {}.", trouble.remedy());
        self.status.send_modify(|status| status.error = Some(shown));
        if first {
            let report = Report::error("recording.stopped", "recording", message).remedy(trouble.remedy());
            self.events.tell(
                report.doing("The mirrors go on; what arrives is held in memory, and written when the disk takes it."),
            );
        }
    }

    /// The last command's answer, once its time is over though the disk still refuses.
    fn gave_up(&mut self) -> Option<oneshot::Sender<bool>> {
        let now = self.clock.now();
        let over = |command: &Command| matches!(command, Command::Close { until, .. } if now >= *until);
        let place = self.backlog.iter().position(over)?;
        let lost = self
            .backlog
            .iter()
            .filter(|c| matches!(c, Command::Segment(_) | Command::Capture { .. } | Command::Stem(_)))
            .count();
        let message = format!("The recording was closed with {lost} pieces that could not be written.");
        self.events.error("recording.lost", "recording", message, Some("free some space before the next show"));
        match self.backlog.remove(place) {
            Some(Command::Close { done, .. }) => Some(done),
            _ => None,
        }
    }
}

/// The status of an archive as it is found.
pub(super) fn status_of(store: &Store) -> RecordingStatus {
    let model = lock(store.model());
    let segments = || model.sessions.iter().flat_map(|session| &session.segments);
    let captured = || model.sessions.iter().flat_map(|session| &session.captures);
    let stems = model.sessions.iter().flat_map(|session| &session.stems).map(|stem| &stem.start.file);
    let streams = captured().map(|capture| &capture.file).chain(stems);
    let captured_bytes: u64 =
        streams.filter_map(|file| store.path().join(file).metadata().ok()).map(|meta| meta.len()).sum();
    let path = |file: &String| model.folder.join(file).display().to_string();
    RecordingStatus {
        folder: Some(model.folder.display().to_string()),
        // The sum of nothing is -0.0, which would be printed so.
        seconds: 0.0
            + segments().map(|segment| seconds(segment.duration)).sum::<f64>()
            + captured().filter_map(|capture| capture.seconds).sum::<f64>(),
        bytes: segments().map(|segment| segment.bytes).sum::<u64>() + captured_bytes,
        segments: segments().count() as u64,
        gaps: model.gaps(),
        error: None,
        files: model.episodes.keys().map(path).collect(),
    }
}

/// What one command changed, without counting everything again.
fn update(status: &mut RecordingStatus, store: &Store, command: &Command, captured: f64) {
    match command {
        Command::Segment(segment) => {
            let model = lock(store.model());
            let kept = model.session(&segment.session).map(|session| &session.segments[..]).unwrap_or_default();
            let total: usize = model.sessions.iter().map(|session| session.segments.len()).sum();
            if total as u64 == status.segments {
                return;
            }
            status.segments += 1;
            status.bytes += segment.bytes.len() as u64;
            status.seconds += seconds(segment.duration);
            let follows = matches!(kept, [.., before, last] if before.end() == last.media_time) || kept.len() == 1;
            if !follows {
                status.gaps = model.gaps();
            }
        }
        Command::Fact(Fact::Missing(_) | Fact::Gap(_)) => status.gaps = lock(store.model()).gaps(),
        Command::Fact(Fact::Episode(_)) => status.files = status_of(store).files,
        Command::Capture { bytes, .. } => {
            status.bytes += bytes.len() as u64;
            status.seconds += captured;
        }
        _ => {}
    }
}

fn seconds(samples: u64) -> f64 {
    samples as f64 / f64::from(SAMPLE_RATE)
}
