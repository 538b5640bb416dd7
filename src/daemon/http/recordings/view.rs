//! What the API shows of a recording: no path of the machine, and hostile text only as plain text.

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::daemon::recordings::files::{self, RecordingFile};
use crate::measure;
use crate::media::SAMPLE_RATE;
use crate::recording::catalogue::Summary;
use crate::recording::{Archive, SessionArchive, folder_name};
use crate::status::Gap;
use crate::text::plain;

/// Longest text of a space that is told, in characters.
const TEXT_MAX: usize = 300;

/// Gaps and marks of a session that are told at most.
const MOST: usize = 2000;

/// Whether a recording can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Condition {
    /// It is being written.
    Live,
    /// Its show is over.
    Finished,
    /// Its show did not end: it was suspended, or its machine died.
    Interrupted,
    /// Lines of its journal cannot be used.
    Damaged,
}

/// A recording in a few figures.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct RecordingSummary {
    /// Its id.
    id: String,
    /// Its name, as it is called on the machine.
    name: String,
    /// The show's name.
    show: String,
    /// Title; hostile text.
    title: Option<String>,
    /// Host; hostile text.
    host: Option<String>,
    /// Whether it can be used.
    state: Condition,
    /// When it began.
    started_at: Option<Timestamp>,
    /// When its show ended.
    ended_at: Option<Timestamp>,
    /// Seconds of source audio that are kept.
    seconds: f64,
    /// Bytes that it holds.
    bytes: u64,
    /// Intervals that are missing.
    gaps: u64,
    /// Seconds that are missing.
    missing_seconds: f64,
    /// Segments that were had afterwards.
    repaired: u64,
    /// Whether a repair is not at its end.
    repair_pending: bool,
    /// Places that were named.
    marks: u64,
    /// Whether one of its exports holds its audio.
    exported: bool,
    /// Whether it is never to be deleted by itself.
    kept: bool,
}

impl RecordingSummary {
    pub(super) fn new(id: String, summary: &Summary) -> Self {
        let text = |text: &Option<String>| text.as_deref().map(|text| plain(text, TEXT_MAX));
        let state = if summary.written_by.is_some() {
            Condition::Live
        } else if summary.damaged_lines > 0 {
            Condition::Damaged
        } else if summary.ended_at.is_some() {
            Condition::Finished
        } else {
            Condition::Interrupted
        };
        Self {
            id,
            name: plain(&summary.name, TEXT_MAX),
            show: plain(&summary.show, TEXT_MAX),
            title: text(&summary.title),
            host: text(&summary.host),
            state,
            started_at: summary.started_at,
            ended_at: summary.ended_at,
            seconds: summary.seconds,
            bytes: summary.bytes,
            gaps: summary.gaps,
            missing_seconds: summary.missing_seconds,
            repaired: summary.repaired,
            repair_pending: summary.repair_pending,
            marks: summary.marks,
            exported: summary.exported,
            kept: summary.keep,
        }
    }
}

/// A place that the operator named.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct MarkView {
    /// The place, in seconds of the session's media time.
    seconds: f64,
    /// The words.
    title: String,
}

/// One session.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct SessionView {
    /// Its id.
    session: String,
    /// Title; hostile text.
    title: Option<String>,
    /// Host; hostile text.
    host: Option<String>,
    /// When it started.
    started_at: Option<Timestamp>,
    /// When it ended.
    ended_at: Option<Timestamp>,
    /// Start of what is kept, in seconds of its media time.
    starts_at: f64,
    /// End of what is kept, in seconds of its media time.
    ends_at: f64,
    /// What is missing, in seconds of its media time.
    gaps: Vec<Gap>,
    /// What was named.
    marks: Vec<MarkView>,
    /// Where its repair stands.
    repair: Option<String>,
}

/// Everything about a recording.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct RecordingDetail {
    #[serde(flatten)]
    summary: RecordingSummary,
    /// Its sessions, in order.
    sessions: Vec<SessionView>,
    /// Files that can be had.
    files: Vec<RecordingFile>,
}

impl RecordingDetail {
    pub(super) fn new(id: String, summary: &Summary, archive: &Archive) -> Self {
        Self {
            summary: RecordingSummary::new(id, summary),
            sessions: archive.sessions.iter().map(session).collect(),
            files: files::list(archive),
        }
    }
}

fn seconds(samples: i64) -> f64 {
    samples as f64 / f64::from(SAMPLE_RATE)
}

fn session(session: &SessionArchive) -> SessionView {
    let text = |text: &Option<String>| text.as_deref().map(|text| plain(text, TEXT_MAX));
    let mut gaps = session.gap_list();
    gaps.truncate(MOST);
    for gap in &mut gaps {
        gap.cause = plain(&gap.cause, TEXT_MAX);
    }
    let first = session.segments.iter().map(|segment| segment.media_time).min();
    let captured: f64 = session.captures.iter().filter_map(|capture| capture.seconds).sum();
    let mark = |mark: &crate::recording::MarkFact| MarkView {
        seconds: seconds(mark.media_time),
        title: plain(&mark.title, TEXT_MAX),
    };
    SessionView {
        session: session.info.session.clone(),
        title: text(&session.info.title),
        host: text(&session.info.host),
        started_at: session.info.started_at,
        ended_at: session.info.ended_at,
        starts_at: first.map_or(0.0, seconds),
        ends_at: session.end().map_or(captured, seconds),
        gaps,
        marks: session.marks.iter().take(MOST).map(mark).collect(),
        repair: session.repair.as_ref().and_then(|repair| {
            serde_json::to_value(repair.state).ok().and_then(|state| state.as_str().map(str::to_owned))
        }),
    }
}

/// How loud a session is over its time.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct Waveform {
    /// The session's id.
    session: String,
    /// Start of the first piece, in seconds of the session's media time.
    starts_at: f64,
    /// Length of all pieces together, in seconds.
    seconds: f64,
    /// Highest sample of each piece, from 0 to 1; none where nothing was measured.
    peaks: Vec<Option<f64>>,
}

impl Waveform {
    pub(super) fn of(archive: &Archive, session: &SessionArchive, points: usize) -> Self {
        let id = &session.info.session;
        let measurement = measure::load(&measure::file_of(&archive.folder, &folder_name(id))).unwrap_or_default();
        let first = session.segments.iter().map(|segment| segment.media_time).min();
        let kept = first.zip(session.end()).map(|(first, end)| first..end);
        let range = kept.or_else(|| measurement.span()).unwrap_or(0..0);
        let highest = |(min, max): (i8, i8)| f64::from(min.unsigned_abs().max(max.unsigned_abs())) / 127.0;
        Self {
            session: id.clone(),
            starts_at: seconds(range.start),
            seconds: seconds(range.end.saturating_sub(range.start)),
            peaks: measurement.peaks(&range, points).into_iter().map(|peak| peak.map(highest)).collect(),
        }
    }
}
