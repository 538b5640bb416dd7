//! The recording: what was received, bit for bit, and a journal of what was not.
//!
//! One [`Recording`] per show is the sole owner of its archive's folder. It keeps what a source hands over before any
//! decode, in the unit that the source has, and never waits for the show nor lets the show wait for the disk: its own
//! thread writes. The format is described in `docs/recordings.md`. It decodes nothing and knows no source.

pub mod adts;
mod capture;
pub mod catalogue;
mod error;
mod facts;
mod fills;
mod folder;
mod gaps;
mod inventory;
mod journal;
mod line;
mod lock;
mod reader;
pub mod removal;
pub mod retention;
pub mod room;
mod said;
mod stems;
mod store;
pub mod verify;
mod writer;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{oneshot, watch};

pub use error::RecordingError;
pub use facts::{
    EpisodeFact, ExportFact, Fact, GapFact, MarkFact, MissingFact, NewSegment, Origin, RepairFact, RepairState,
    SegmentFact, SessionFact, ShowFact,
};
pub use fills::{FillFact, spans_without};
pub use folder::{Folder, folder_name, is_inside, is_plain};
pub use journal::file_of as journal_file;
pub use line::{Entry, FORMAT_VERSION, LineError, decode, hex, sha256_hex};
pub use reader::{Archive, CaptureArchive, Damage, ResumeState, Scan, SessionArchive, scan};
pub use said::{CaptionFact, TalkingFact};
pub use stems::{NewStem, PlacedPacket, SpeakerChange, SpeakerFact, StemArchive, StemEnd, StemReader, StemStart};
pub use writer::Limits;

use crate::alert::{Events, Report};
use crate::clock::Clock;
use crate::config::RecordingConfig;
use crate::status::RecordingStatus;
use store::{Model, Store};
use writer::{Command, Queue, Writer, status_of};

/// How long finishing waits for the writer to be through with what was handed over before.
const FLUSH_PATIENCE: Duration = Duration::from_secs(10);

/// The same while the disk refuses: it was told long ago, and closing tries again.
const REFUSED_PATIENCE: Duration = Duration::from_millis(500);

/// How long closing lets the writer try: two tries, and well within the time that a supervisor gives the whole show.
const CLOSE_PATIENCE: Duration = Duration::from_secs(6);

/// What a recording is given of the program around it.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// Time.
    pub clock: Clock,
    /// Where to report.
    pub events: Events,
    /// How much to hold in memory while the disk refuses.
    pub limits: Limits,
}

/// How a recording is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closing {
    /// The show may be resumed.
    Suspended,
    /// The show is over.
    Ended,
    /// Nothing about the show: an archive that was opened by [`Recording::edit`].
    Edited,
}

/// A show's archive, open for writing. Calls only hand over and never wait, unless they say so.
#[derive(Debug)]
pub struct Recording {
    folder: PathBuf,
    commands: mpsc::Sender<Command>,
    queue: Arc<Queue>,
    status: watch::Receiver<RecordingStatus>,
    model: Model,
    surroundings: Surroundings,
    min_free: u64,
}

impl Recording {
    /// Makes a new archive `<folder>/<show>-<UTC time>/` and its journal. Writes to the disk: milliseconds.
    ///
    /// # Errors
    /// When the folder cannot be written, with what to do; the caller may go on without a recording.
    pub fn create(config: &RecordingConfig, show: ShowFact, with: Surroundings) -> Result<Self, RecordingError> {
        let show = ShowFact { program: store::program(), ..show };
        let store = Store::create(&config.folder, config.min_free_bytes, show, with.clock.clone())?;
        Self::start(store, config.min_free_bytes, with)
    }

    /// Goes on with the archive in `folder`, as after a crash or a suspension. Writes to the disk.
    ///
    /// # Errors
    /// When it is no archive, another process writes it, it is of a later version, or it cannot be written.
    pub fn resume(folder: &Path, config: &RecordingConfig, with: Surroundings) -> Result<Self, RecordingError> {
        let store = Store::resume(folder, config.min_free_bytes, with.clock.clone())?;
        Self::start(store, config.min_free_bytes, with)
    }

    /// Opens the archive in `folder` to add to it what is no part of a show: repaired segments, marks, exports. Its show
    /// stays as it was, ended or not. Writes to the disk.
    ///
    /// # Errors
    /// As [`Recording::resume`].
    pub fn edit(folder: &Path, min_free: u64, with: Surroundings) -> Result<Self, RecordingError> {
        let store = Store::edit(folder, min_free, with.clock.clone())?;
        Self::start(store, min_free, with)
    }

    fn start(store: Store, min_free: u64, with: Surroundings) -> Result<Self, RecordingError> {
        let (folder, model) = (store.path(), store.model().clone());
        let (commands, receiver) = mpsc::channel();
        let (status_sender, status) = watch::channel(status_of(&store));
        let queue = Arc::new(Queue::default());
        let writer = Writer {
            store,
            commands: receiver,
            backlog: VecDeque::new(),
            queue: queue.clone(),
            status: status_sender,
            events: with.events.clone(),
            clock: with.clock.clone(),
            limits: with.limits,
            retry_at: None,
            stem_bytes: 0,
        };
        let thread = std::thread::Builder::new().name("recording".to_owned());
        thread.spawn(move || writer.run()).map_err(RecordingError::io("the recording's thread could not start"))?;
        Ok(Self { folder, commands, queue, status, model, surroundings: with, min_free })
    }

    /// The archive's folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The recording's part of the show's status, as it changes.
    pub fn status(&self) -> watch::Receiver<RecordingStatus> {
        self.status.clone()
    }

    /// What is known of a session. Only news are written.
    pub fn session(&self, info: SessionFact) {
        self.send(Command::Session(info));
    }

    /// Keeps a segment. If it can neither be written nor held it is listed as missing.
    pub fn segment(&self, segment: NewSegment) {
        if self.has_room(segment.bytes.len()) {
            return self.send(Command::Segment(Box::new(segment)));
        }
        self.send(Command::Fact(Fact::Missing(MissingFact {
            session: segment.session,
            first_sequence: segment.sequence,
            last_sequence: segment.sequence,
            names: vec![segment.name],
            media_time: segment.media_time,
            duration: segment.duration,
            cause: self.queue.cause().to_owned(),
        })));
    }

    /// Lists media that could not be had.
    pub fn missing(&self, missing: MissingFact) {
        self.send(Command::Fact(Fact::Missing(missing)));
    }

    /// Lists an interval without audio of a source that has no segments.
    pub fn gap(&self, gap: GapFact) {
        self.send(Command::Fact(Fact::Gap(gap)));
    }

    /// Appends to the session's captured Matroska stream; a new header begins a new file, whose zero is `media_time` where
    /// that is known.
    pub fn capture(&self, session: &str, bytes: Bytes, media_time: Option<i64>) {
        let session = session.to_owned();
        if self.has_room(bytes.len()) {
            return self.send(Command::Capture { session, bytes, media_time });
        }
        let (bytes, cause) = (bytes.len() as u64, self.queue.cause().to_owned());
        self.send(Command::Fact(Fact::CaptureLost { session, bytes, cause }));
    }

    /// Keeps a speaker's packet.
    pub fn stem(&self, stem: NewStem) {
        if self.has_room(stem.data.len()) {
            return self.send(Command::Stem(Box::new(stem)));
        }
        self.queue.lost_stems.fetch_add(1, Ordering::Relaxed);
    }

    /// Who is in a session at a media time, each with id and name. Only news are written.
    pub fn speakers(&self, session: &str, now: Vec<(String, String)>, media_time: i64) {
        self.send(Command::Speakers { session: session.to_owned(), now, media_time });
    }

    /// The session's captured stream and those of its speakers are over, as when its connection is lost.
    pub fn end_capture(&self, session: &str) {
        self.send(Command::EndCapture { session: session.to_owned() });
    }

    /// The show entered a state.
    pub fn state(&self, state: &str, words: &str) {
        self.send(Command::Fact(Fact::State { state: state.to_owned(), words: words.to_owned() }));
    }

    /// A place in a session that the operator named.
    pub fn mark(&self, mark: MarkFact) {
        self.send(Command::Fact(Fact::Mark(mark)));
    }

    /// Others talk than before.
    pub fn talking(&self, talking: TalkingFact) {
        self.send(Command::Fact(Fact::Talking(talking)));
    }

    /// What the platform says was said.
    pub fn caption(&self, caption: CaptionFact) {
        self.send(Command::Fact(Fact::Caption(caption)));
    }

    /// Where the repair of a session stands.
    pub fn repair(&self, repair: RepairFact) {
        self.send(Command::Fact(Fact::Repair(repair)));
    }

    /// Another session of the show holds what one lacks.
    pub fn fill(&self, fill: FillFact) {
        self.send(Command::Fact(Fact::Fill(fill)));
    }

    /// A file that was made for posting.
    pub fn exported(&self, export: ExportFact) {
        self.send(Command::Fact(Fact::Exported(export)));
    }

    /// Whether the recording is never to be deleted by itself.
    pub fn keep(&self, keep: bool) {
        self.send(Command::Fact(Fact::Keep { keep }));
    }

    /// Something that a person may want to know later.
    pub fn note(&self, text: impl Into<String>) {
        self.send(Command::Fact(Fact::Note { text: text.into() }));
    }

    /// Where the source of a session goes on, as far as it is written.
    pub fn resume_point(&self, session: &str) -> Option<ResumeState> {
        store::lock(&self.model).resume_point(session)
    }

    /// The session that was found last, newest word.
    pub fn last_session(&self) -> Option<SessionFact> {
        store::lock(&self.model).sessions.last().map(|session| session.info.clone())
    }

    /// The archive as its journal tells it now.
    pub fn archive(&self) -> Archive {
        store::lock(&self.model).clone()
    }

    /// A file that was finished from it.
    pub fn episode(&self, episode: EpisodeFact) {
        self.send(Command::Fact(Fact::Episode(episode)));
    }

    /// Bytes that shall stay free on its disk.
    pub fn min_free(&self) -> u64 {
        self.min_free
    }

    /// Waits until what was handed over is written, for as long as that makes sense.
    pub async fn flush(&self) {
        let (done, flushed) = oneshot::channel();
        self.send(Command::Flush(Some(done)));
        let refused = self.status.borrow().error.is_some();
        let patience = if refused { REFUSED_PATIENCE } else { FLUSH_PATIENCE };
        if tokio::time::timeout(patience, flushed).await.is_err() {
            tracing::warn!("The recording is not written to its end while it is being finished.");
        }
    }

    /// Writes what is left and a last line, and gives the archive free. Waits about 6 s where the disk refuses.
    ///
    /// # Errors
    /// [`RecordingError::Closed`] if something could not be written (events say what) or it was closed before.
    pub async fn close(&self, closing: Closing) -> Result<(), RecordingError> {
        let (done, closed) = oneshot::channel();
        let fact = match closing {
            Closing::Suspended => Some(Fact::Suspended),
            Closing::Ended => Some(Fact::Ended),
            Closing::Edited => None,
        };
        self.send(Command::Close { fact, until: self.surroundings.clock.now() + CLOSE_PATIENCE, done });
        // A disk that hangs inside a system call is waited for a little longer, then left to itself.
        match tokio::time::timeout(CLOSE_PATIENCE + Duration::from_secs(3), closed).await {
            Ok(Ok(true)) => Ok(()),
            _ => Err(RecordingError::Closed),
        }
    }

    /// Whether so many bytes more may wait to be written; says once when something begins to be lost.
    fn has_room(&self, bytes: usize) -> bool {
        if self.queue.held.load(Ordering::Relaxed) + bytes <= self.surroundings.limits.held_bytes {
            return true;
        }
        if !self.queue.losing.swap(true, Ordering::Relaxed) {
            let message = "The recording loses what arrives now: too much waits to be written.";
            let report = Report::error("recording.losing", "recording", message).remedy("free some space at once");
            self.surroundings.events.tell(report.doing("Lists what is lost as a gap, and goes on when there is room."));
        }
        false
    }

    fn send(&self, command: Command) {
        self.queue.held.fetch_add(command.cost(), Ordering::Relaxed);
        if self.commands.send(command).is_err() {
            tracing::debug!("Recording was handed something after its end.");
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
