//! The show's recording as the bridge hands to it: source events in the recording's own words, or nothing at all where
//! recording is off or impossible.

mod captions;
mod files;
mod stems;
mod talking;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use self::captions::Captions;
use self::stems::Stream;
use self::talking::Talking;
use super::measuring::Measuring;
use crate::alert::Events;
use crate::clock::Clock;
use crate::config::ShowConfig;
use crate::media::SAMPLE_RATE;
use crate::recording::{
    Closing, GapFact, Limits, MarkFact, MissingFact, NewSegment, Origin, Recording, RecordingError, SessionFact,
    ShowFact, Surroundings,
};
use crate::source::{MissingSpan, ResumePoint, Segment, SessionInfo, SessionPhase};
use crate::status::RecordingStatus;

/// Why a stream that is captured has a hole.
pub(super) const BROKE: &str = "the stream broke";

/// Segments of an earlier process that are heard again: a playlist's window.
const HEARD_AGAIN: usize = 4;

/// Given-up segments that are tried again after a restart, at most: an hour and a half of a space.
const WANTED_AGAIN: usize = 2000;

/// A show's archive, or the reason why there is none. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Archive {
    recording: Option<Arc<Recording>>,
    status: watch::Receiver<RecordingStatus>,
    shared: Arc<Mutex<Shared>>,
    clock: Clock,
    measuring: Measuring,
}

#[derive(Debug, Default)]
struct Shared {
    session: SessionFact,
    /// Segments of the session that are kept, each with its end in media time: a source delivers a window again after
    /// a restart.
    kept: BTreeMap<u64, i64>,
    stream: Stream,
    captions: Captions,
    talking: Talking,
    /// Keeps the status channel open where there is no recording.
    _status: Option<watch::Sender<RecordingStatus>>,
}

impl Archive {
    /// Goes on with the archive at `earlier`, or makes a new one. A folder that cannot be written is an event and an
    /// archive that keeps nothing: the outputs go on the air all the same.
    ///
    /// # Errors
    /// The recording's own error when there are no outputs: then nothing is left to do.
    pub(super) fn open(
        config: &ShowConfig,
        earlier: Option<&Path>,
        clock: &Clock,
        events: &Events,
    ) -> Result<Self, RecordingError> {
        if !config.recording.enabled {
            return Ok(Self::nowhere(RecordingStatus::default(), clock));
        }
        match open_recording(config, earlier, clock, events) {
            Ok(recording) => Ok(Self::of(recording, clock)),
            Err(error) if config.outputs.is_empty() => Err(error),
            Err(error) => {
                events.error("recording.failed", "recording", format!("Nothing is recorded: {error}"), None);
                let status = RecordingStatus { error: Some(error.to_string()), ..RecordingStatus::default() };
                Ok(Self::nowhere(status, clock))
            }
        }
    }

    /// The same recording, for a path whose session is another: each is kept beside the other.
    pub(super) fn beside(&self) -> Self {
        let shared = Arc::new(Mutex::new(Shared::default()));
        Self { shared, measuring: Measuring::default(), ..self.clone() }
    }

    fn of(recording: Recording, clock: &Clock) -> Self {
        let session = recording.last_session().unwrap_or_default();
        let kept = kept_of(&recording, &session.session);
        let status = recording.status();
        let measuring = Measuring::start(recording.folder());
        let shared = Shared { session, kept, ..Shared::default() };
        Self {
            measuring,
            recording: Some(Arc::new(recording)),
            status,
            shared: Arc::new(Mutex::new(shared)),
            clock: clock.clone(),
        }
    }

    /// An archive that keeps nothing.
    pub(super) fn closed() -> Self {
        Self::nowhere(RecordingStatus::default(), &Clock::system())
    }

    fn nowhere(status: RecordingStatus, clock: &Clock) -> Self {
        let (sender, status) = watch::channel(status);
        let shared = Shared { _status: Some(sender), ..Shared::default() };
        let (shared, measuring) = (Arc::new(Mutex::new(shared)), Measuring::default());
        Self { recording: None, status, shared, clock: clock.clone(), measuring }
    }

    /// What the recording says of itself.
    pub(super) fn status(&self) -> watch::Receiver<RecordingStatus> {
        self.status.clone()
    }

    /// The archive's folder.
    pub(super) fn folder(&self) -> Option<PathBuf> {
        self.recording.as_ref().map(|recording| recording.folder().to_owned())
    }

    /// Where the session of an earlier process goes on: a few segments back, since what was received and not yet heard
    /// shall be heard, unless nothing is to be heard `again`. What is kept already is not kept twice.
    pub(super) fn resume_point(&self, playlist_url: Option<String>, again: bool) -> Option<ResumePoint> {
        let session = self.shared().session.session.clone();
        let recording = self.recording.as_ref()?;
        if let Some(media_time) = self.stream_time(recording, &session) {
            return Some(ResumePoint { session_id: session, media_time, ..ResumePoint::default() });
        }
        let Some(state) = recording.resume_point(&session) else {
            // Nothing was heard yet: only where to listen is known.
            let known = playlist_url.is_some() && !session.is_empty();
            return known.then(|| ResumePoint { session_id: session, playlist_url, ..ResumePoint::default() });
        };
        let model = recording.archive();
        let kept = model.session(&session)?;
        let point = ResumePoint {
            session_id: state.session,
            last_sequence: state.last_sequence,
            media_time: state.media_time,
            program_date_time: state.program_date_time,
            playlist_url,
            missing: kept.wanted(WANTED_AGAIN).into_iter().map(span_of).collect(),
        };
        // Those that came late say nothing of where listening stopped.
        let mut in_time = kept.segments.iter().rev().filter(|segment| again && !segment.late);
        Some(match in_time.nth(HEARD_AGAIN) {
            Some(earlier) => ResumePoint {
                last_sequence: earlier.sequence,
                media_time: earlier.end(),
                program_date_time: earlier.program_date_time.map(|date| (date, earlier.media_time)),
                ..point
            },
            None => point,
        })
    }

    /// Goes on with an earlier session of the show: where its source goes on, if it is known here.
    pub(super) fn rejoin(&self, session: &str) -> Option<ResumePoint> {
        let recording = self.recording.as_ref()?;
        let info = recording.archive().session(session)?.info.clone();
        *self.shared() = Shared { session: info, kept: kept_of(recording, session), ..Shared::default() };
        self.resume_point(None, true)
    }

    /// Media time of a captured stream, which went on while nobody listened.
    fn stream_time(&self, recording: &Recording, session: &str) -> Option<i64> {
        let started_at = recording.archive().session(session)?.captures.first()?.started_at?;
        let seconds = self.clock.wall().duration_since(started_at).as_secs_f64().max(0.0);
        Some((seconds * f64::from(SAMPLE_RATE)) as i64)
    }

    /// What is known of the session.
    pub(super) fn session(&self, info: &SessionInfo) {
        let fact = SessionFact {
            session: info.id.clone(),
            title: info.title.clone(),
            host: info.host.clone(),
            platform_state: info.platform_state.clone(),
            scheduled_start: info.scheduled_start,
            started_at: info.started_at,
            ended_at: info.ended_at,
            ended: info.phase == SessionPhase::Ended,
        };
        self.measuring.session(&info.id);
        let mut shared = self.shared();
        if shared.session.session != fact.session {
            let kept = self.recording.as_ref().map(|recording| kept_of(recording, &fact.session));
            shared.kept = kept.unwrap_or_default();
            shared.stream = Stream::default();
        }
        shared.session = fact.clone();
        if let Some(recording) = &self.recording {
            recording.session(fact);
        }
    }

    /// Keeps a segment, once.
    pub(super) fn segment(&self, segment: &Segment) {
        let mut shared = self.shared();
        let Some(recording) = &self.recording else { return };
        let end = segment.media_time.saturating_add(segment.duration as i64);
        if shared.kept.insert(segment.sequence, end).is_some() {
            return;
        }
        recording.segment(NewSegment {
            session: shared.session.session.clone(),
            sequence: segment.sequence,
            name: segment.name.clone(),
            bytes: segment.bytes.clone(),
            media_time: segment.media_time,
            duration: segment.duration,
            program_date_time: segment.program_date_time,
            listed_at: segment.listed_at,
            discontinuity: segment.discontinuity,
            origin: Origin::Live,
            facts: segment.facts.iter().filter_map(|fact| serde_json::to_value(fact).ok()).collect(),
        });
    }

    /// Lists media that could not be had. Gives what of it really lacks: an earlier process may have kept the rest.
    pub(super) fn missing(&self, span: &MissingSpan) -> Option<MissingSpan> {
        let shared = self.shared();
        let span = without_kept(span, &shared.kept)?;
        if let Some(recording) = &self.recording {
            recording.missing(MissingFact {
                session: shared.session.session.clone(),
                first_sequence: span.first_sequence,
                last_sequence: span.last_sequence,
                names: span.names.clone(),
                media_time: span.media_time,
                duration: span.duration,
                cause: span.cause.clone(),
            });
        }
        Some(span)
    }

    /// Lists an interval without audio of a source that has no segments.
    pub(super) fn gap(&self, start: i64, end: i64, cause: &str) {
        if let Some(recording) = self.recording.as_ref().filter(|_| end > start) {
            let session = self.shared().session.session.clone();
            recording.gap(GapFact { session, start, end, cause: cause.to_owned() });
        }
    }

    /// Names a place in a session. False where nothing is recorded.
    pub(super) fn mark(&self, session: &str, media_time: i64, title: &str) -> bool {
        let mark = MarkFact { session: session.to_owned(), media_time, title: title.to_owned() };
        self.recording.as_ref().inspect(|recording| recording.mark(mark)).is_some()
    }

    /// The show entered a state.
    pub(super) fn state(&self, state: &str, words: &str) {
        if let Some(recording) = &self.recording {
            recording.state(state, words);
        }
    }

    /// The session is over for good.
    pub(super) fn session_ended(&self) {
        let mut shared = self.shared();
        shared.session.ended = true;
        if let Some(recording) = self.recording.as_ref().filter(|_| !shared.session.session.is_empty()) {
            recording.session(shared.session.clone());
        }
    }

    /// Everything on disk; the show may be resumed.
    pub(super) async fn suspend(&self) {
        self.close(Closing::Suspended).await;
    }

    /// The open recording.
    pub(super) fn recording(&self) -> Option<&Arc<Recording>> {
        self.recording.as_ref()
    }

    async fn close(&self, closing: Closing) {
        self.measuring.end().await;
        if let Some(recording) = &self.recording
            && let Err(error) = recording.close(closing).await
        {
            tracing::warn!(%error, "The recording did not close cleanly.");
        }
    }

    fn shared(&self) -> std::sync::MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn span_of(missing: &MissingFact) -> MissingSpan {
    MissingSpan {
        first_sequence: missing.first_sequence,
        last_sequence: missing.last_sequence,
        names: missing.names.clone(),
        media_time: missing.media_time,
        duration: missing.duration,
        cause: missing.cause.clone(),
    }
}

/// Segments of a session that are kept, each with its end in media time.
fn kept_of(recording: &Recording, session: &str) -> BTreeMap<u64, i64> {
    let model = recording.archive();
    let of_session = model.sessions.iter().filter(|kept| kept.info.session == session);
    of_session.flat_map(|kept| kept.segments.iter().map(|segment| (segment.sequence, segment.end()))).collect()
}

/// The span without the segments at its start that are kept.
fn without_kept(span: &MissingSpan, kept: &BTreeMap<u64, i64>) -> Option<MissingSpan> {
    let mut left = span.clone();
    while let Some(end) = kept.get(&left.first_sequence) {
        if left.first_sequence == left.last_sequence {
            return None;
        }
        left.first_sequence += 1;
        left.duration = left.duration.saturating_sub(u64::try_from(end - left.media_time).unwrap_or(0));
        left.media_time = left.media_time.max(*end);
    }
    Some(left)
}

fn open_recording(
    config: &ShowConfig,
    earlier: Option<&Path>,
    clock: &Clock,
    events: &Events,
) -> Result<Recording, RecordingError> {
    let with = || Surroundings { clock: clock.clone(), events: events.clone(), limits: Limits::default() };
    if let Some(folder) = earlier {
        match Recording::resume(folder, &config.recording, with()) {
            Ok(recording) => return Ok(recording),
            Err(error @ RecordingError::Locked { .. }) => return Err(error),
            Err(error) => {
                let message = format!("A new recording begins, the earlier one cannot be resumed: {error}");
                events.warning("recording.resume", "recording", message, None);
            }
        }
    }
    let show = ShowFact {
        show: config.show.name.clone(),
        title: config.show.title.clone(),
        host: config.show.host.clone(),
        ..ShowFact::default()
    };
    Recording::create(&config.recording, show, with())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(first: u64, last: u64, media_time: i64, duration: u64) -> MissingSpan {
        let cause = "test".to_owned();
        MissingSpan { first_sequence: first, last_sequence: last, names: Vec::new(), media_time, duration, cause }
    }

    #[test]
    fn what_an_earlier_process_kept_is_not_listed_as_missing() {
        let kept = BTreeMap::from([(5, 600), (6, 700)]);
        assert_eq!(without_kept(&span(5, 6, 500, 200), &kept), None);
        assert_eq!(without_kept(&span(5, 8, 500, 400), &kept), Some(span(7, 8, 700, 200)));
        assert_eq!(without_kept(&span(8, 9, 800, 200), &kept), Some(span(8, 9, 800, 200)));
    }
}
