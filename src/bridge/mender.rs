//! Has what the show misses of its sessions, from what the platform still holds: beside the show, and after its end.
//!
//! Touches the recording and nothing else: what goes on the air waits for nothing here.

use std::collections::HashMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::archive::Archive;
use super::conductor::SessionView;
use super::sources;
use crate::alert::Events;
use crate::clock::Clock;
use crate::config::{Secrets, ShowConfig};
use crate::episode::{EpisodeError, OtherPath, Progress, other_path, sessions_with_another_path};
use crate::media::SAMPLE_RATE;
use crate::recording::Recording;
use crate::repair::{Repair, RepairProgress, lacking};
use crate::source::Past;
use crate::source::past::PastQuery;

/// What is known of a session beside its archive.
#[derive(Clone)]
struct Known {
    past: Arc<dyn Past>,
    playlist_url: Option<String>,
    from_the_beginning: Arc<AtomicBool>,
}

/// Mends a show's recording.
#[derive(Clone)]
pub(super) struct Mender {
    recording: Arc<Recording>,
    config: Arc<(ShowConfig, Secrets)>,
    clock: Clock,
    events: Events,
    known: Arc<Mutex<HashMap<String, Known>>>,
    /// How long it goes on after the end.
    pub(super) patience: Duration,
}

impl Mender {
    /// A mender, if there is a recording and the operator wants it mended.
    pub(super) fn of(
        config: &ShowConfig,
        secrets: &Secrets,
        archive: &Archive,
        clock: &Clock,
        events: &Events,
    ) -> Option<Self> {
        Some(Self {
            recording: archive.recording()?.clone(),
            patience: config.recording.repair_for?,
            config: Arc::new((config.clone(), secrets.clone())),
            clock: clock.clone(),
            events: events.clone(),
            known: Arc::default(),
        })
    }

    /// Mends beside the show, one session after the other. Dropping the handle ends it.
    pub(super) fn beside(&self, mut view: watch::Receiver<SessionView>) -> AbortOnDropHandle<()> {
        let mender = self.clone();
        AbortOnDropHandle::new(tokio::spawn(async move {
            let mut running: Option<(String, AbortOnDropHandle<()>)> = None;
            loop {
                let (session, playlist_url, segments) = {
                    let view = view.borrow_and_update();
                    (view.info.id.clone(), view.info.playlist_url.clone(), view.segments)
                };
                mender.learn(&session, playlist_url);
                let is_new = running.as_ref().is_none_or(|(of, _)| *of != session);
                // Only what is heard has an anchor.
                if is_new && segments > 0 && !session.is_empty() {
                    running = mender
                        .repair(&session, CancellationToken::new())
                        .map(|(repair, _)| (session, AbortOnDropHandle::new(tokio::spawn(repair.beside()))));
                    if running.is_none() {
                        return;
                    }
                }
                if view.changed().await.is_err() {
                    return;
                }
            }
        }))
    }

    /// Sessions that lack something that may be had.
    pub(super) fn lacking(&self) -> Vec<String> {
        let archive = self.recording.archive();
        let lacks = |session: &&crate::recording::SessionArchive| {
            let mut lacking = lacking(session);
            let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            let known = known.get(&session.info.session);
            if known.is_some_and(|known| known.from_the_beginning.load(std::sync::atomic::Ordering::Relaxed)) {
                lacking.before_seconds = 0.0;
            }
            !lacking.is_nothing()
        };
        archive.sessions.iter().filter(lacks).map(|session| session.info.session.clone()).collect()
    }

    /// Sessions that lack something which another one may hold.
    fn with_another_path(&self) -> Vec<String> {
        sessions_with_another_path(&self.recording.archive())
    }

    /// Whether any session lacks something which another one may hold.
    pub(super) fn has_another_path(&self) -> bool {
        !self.with_another_path().is_empty()
    }

    /// Finds on other paths what sessions lack, lists it in the journal, and says what came of it. Ends soon after
    /// `progress` is cancelled; what was found by then is kept.
    pub(super) async fn other_path(&self, progress: Progress) {
        self.recording.flush().await;
        for session in self.with_another_path() {
            let (archive, progress) = (self.recording.archive(), progress.clone());
            let work = tokio::task::spawn_blocking(move || other_path(&archive, &session, &progress));
            match work.await {
                Ok(Ok(found)) => self.fill(found),
                Ok(Err(EpisodeError::Cancelled)) => return,
                Ok(Err(error)) => tracing::warn!(%error, "The other paths could not be looked through."),
                Err(error) => tracing::warn!(%error, "The look through the other paths broke."),
            }
        }
    }

    fn fill(&self, found: OtherPath) {
        let samples: i64 = found.fills.iter().map(|fill| fill.end - fill.start).sum();
        if samples > 0 {
            let seconds = samples as f64 / f64::from(SAMPLE_RATE);
            let message =
                format!("{seconds:.1} s that one path lacks are heard on another one; encoded exports have them");
            self.events.info("repair.filled", "recording", message);
        }
        found.fills.into_iter().for_each(|fill| self.recording.fill(fill));
        found.notes.into_iter().for_each(|note| self.events.info("recording.note", "recording", note));
    }

    /// A repair of `session`, and where it tells how far it is; none where nothing is to be had of what is past.
    pub(super) fn repair(
        &self,
        session: &str,
        token: CancellationToken,
    ) -> Option<(Repair, watch::Receiver<RepairProgress>)> {
        let known = self.known(session)?;
        let (progress, receiver) = watch::channel(RepairProgress::default());
        let repair = Repair {
            recording: self.recording.clone(),
            past: known.past,
            query: PastQuery { session: session.to_owned(), playlist_url: known.playlist_url },
            damaged: Default::default(),
            clock: self.clock.clone(),
            events: self.events.clone(),
            token,
            progress,
            from_the_beginning: known.from_the_beginning,
        };
        Some((repair, receiver))
    }

    fn known(&self, session: &str) -> Option<Known> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.get(session) {
            return Some(known.clone());
        }
        let (config, secrets) = &*self.config;
        match sources::past_of(session, config, secrets, &self.clock) {
            Ok(past) => {
                let new = Known { past, playlist_url: None, from_the_beginning: Arc::default() };
                known.insert(session.to_owned(), new.clone());
                Some(new)
            }
            Err(error) => {
                tracing::debug!(%error, "Nothing can be had of what is past.");
                None
            }
        }
    }

    /// The address under which a session was heard last.
    pub(super) fn learn(&self, session: &str, playlist_url: Option<String>) {
        if session.is_empty() || playlist_url.is_none() || self.known(session).is_none() {
            return;
        }
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.get_mut(session) {
            known.playlist_url = playlist_url;
        }
    }
}
