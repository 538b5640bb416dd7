//! Turns what the bridge hands over into files and journal lines, each of them whole or not there.
//!
//! Every call either succeeds or may be made again with the same input: nothing is kept twice. When to try again is
//! the writer's business.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::capture::Capture;
use super::error::RecordingError;
use super::facts::{Fact, NewSegment, SegmentFact, SessionFact, ShowFact};
use super::folder::{Folder, folder_name, is_plain};
use super::journal::Journal;
use super::line::sha256_hex;
use super::lock::Lock;
use super::reader::Archive;
use super::stems::Stems;
use crate::clock::Clock;

/// The model of the archive, shared between the writer and its handle.
pub(super) type Model = Arc<Mutex<Archive>>;

/// Characters of a title, a name or a cause that are kept.
const TEXT_LIMIT: usize = 500;

/// Bytes of ID3 facts that are kept per segment; real ones have a few hundred.
const FACTS_LIMIT: usize = 64 << 10;

/// Names of missing segments that are kept per span.
const NAMES_LIMIT: usize = 100;

/// The open archive.
#[derive(Debug)]
pub(super) struct Store {
    pub(super) folder: Folder,
    journal: Journal,
    pub(super) model: Model,
    pub(super) clock: Clock,
    min_free: u64,
    captures: HashMap<String, Capture>,
    pub(super) stems: Stems,
    _lock: Lock,
}

impl Store {
    /// Makes a new archive in `parent`.
    pub(super) fn create(parent: &Path, min_free: u64, show: ShowFact, clock: Clock) -> Result<Self, RecordingError> {
        if !is_plain(&show.show) {
            return Err(RecordingError::Name(show.show));
        }
        std::fs::create_dir_all(parent).map_err(RecordingError::folder(parent))?;
        let parent = Folder::open(parent).map_err(RecordingError::folder(parent))?;
        let folder = new_folder(&parent, &show.show, &clock).map_err(RecordingError::folder(parent.path()))?;
        let lock = Lock::take(&folder)?;
        let journal = Journal::create(&folder).map_err(RecordingError::folder(folder.path()))?;
        let model = Archive { folder: folder.path().to_owned(), ..Archive::default() };
        let mut store = Self::new(folder, journal, model, min_free, clock, lock);
        store.fact(Fact::ShowStarted(show)).map_err(RecordingError::folder(store.path()))?;
        Ok(store)
    }

    /// Goes on with the archive in `folder`.
    pub(super) fn resume(path: &Path, min_free: u64, clock: Clock) -> Result<Self, RecordingError> {
        let mut store = Self::edit(path, min_free, clock)?;
        let (pid, program) = (std::process::id(), program());
        store.fact(Fact::Resumed { pid, program }).map_err(RecordingError::folder(path))?;
        Ok(store)
    }

    /// Opens the archive in `folder` without a word about its show.
    pub(super) fn edit(path: &Path, min_free: u64, clock: Clock) -> Result<Self, RecordingError> {
        let folder = Folder::open(path).map_err(RecordingError::folder(path))?;
        // Reads before it writes anything: what is no archive of ours is left alone.
        Archive::read(path)?;
        let lock = Lock::take(&folder)?;
        let mut model = Archive { folder: path.to_owned(), ..Archive::default() };
        let (journal, scan, torn) = Journal::resume(&folder, |entry| model.apply(entry.at, entry.fact))
            .map_err(RecordingError::folder(path))?;
        let model = model.checked(scan)?;
        let mut store = Self::new(folder, journal, model, min_free, clock, lock);
        if torn > 0 {
            let text = format!("A torn end of {torn} bytes was cut off this journal and put into journal.torn.");
            store.fact(Fact::Note { text }).map_err(RecordingError::folder(path))?;
        }
        Ok(store)
    }

    fn new(folder: Folder, journal: Journal, model: Archive, min_free: u64, clock: Clock, lock: Lock) -> Self {
        let model = Arc::new(Mutex::new(model));
        Self { folder, journal, model, clock, min_free, captures: HashMap::new(), stems: Stems::default(), _lock: lock }
    }

    pub(super) fn path(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    pub(super) fn model(&self) -> &Model {
        &self.model
    }

    /// Writes a fact and adds it to the model.
    pub(super) fn fact(&mut self, fact: Fact) -> io::Result<()> {
        let fact = bounded(fact);
        let at = self.clock.wall();
        self.journal.append(at, &fact)?;
        lock(&self.model).apply(at, fact);
        Ok(())
    }

    /// Writes what is new about a session.
    pub(super) fn session(&mut self, info: &SessionFact) -> io::Result<()> {
        let info = bounded_session(info.clone());
        let known = lock(&self.model).session(&info.session).map(|session| session.info.clone());
        match known {
            Some(known) if known == info => Ok(()),
            _ if info.ended => self.fact(Fact::SessionEnded(info)),
            None => self.fact(Fact::SessionStarted(info)),
            Some(_) => self.fact(Fact::SessionChanged(info)),
        }
    }

    /// Keeps a segment: its bytes first, then its line.
    pub(super) fn segment(&mut self, segment: &NewSegment) -> io::Result<()> {
        let sha256 = sha256_hex(&segment.bytes);
        let session = folder_name(&segment.session);
        let Some((name, file)) = self.free_name(segment, &session, &sha256) else {
            return if segment.origin.is_live() { Ok(()) } else { self.mend(segment, &session, &sha256) };
        };
        self.check_room(segment.bytes.len())?;
        self.folder.folder("segments")?.folder(&session)?.write_whole(&name, &segment.bytes)?;
        self.fact(Fact::Segment(SegmentFact {
            session: segment.session.clone(),
            sequence: segment.sequence,
            name: segment.name.clone(),
            file,
            bytes: segment.bytes.len() as u64,
            sha256,
            media_time: segment.media_time,
            duration: segment.duration,
            program_date_time: segment.program_date_time,
            listed_at: segment.listed_at,
            discontinuity: segment.discontinuity,
            late: self.is_late(segment),
            origin: segment.origin,
            facts: bounded_facts(&segment.facts),
        }))
    }

    /// Writes a segment that is listed already once more, if its file was altered or is gone.
    fn mend(&self, segment: &NewSegment, session: &str, sha256: &str) -> io::Result<()> {
        let listed = {
            let model = lock(&self.model);
            let same = |kept: &&SegmentFact| kept.sequence == segment.sequence && kept.sha256 == sha256;
            let known = model.session(&segment.session);
            known.and_then(|known| known.segments.iter().find(same)).map(|kept| kept.file.clone())
        };
        let Some(file) = listed else { return Ok(()) };
        let limit = (segment.bytes.len() as u64).saturating_add(1);
        if self.folder.read(&file, limit).is_ok_and(|bytes| sha256_hex(&bytes) == sha256) {
            return Ok(());
        }
        let Some(name) = file.rsplit('/').next() else { return Ok(()) };
        self.check_room(segment.bytes.len())?;
        self.folder.folder("segments")?.folder(session)?.write_whole(name, &segment.bytes)
    }

    /// Whether what is kept or given up of its session reaches further already.
    fn is_late(&self, segment: &NewSegment) -> bool {
        let end = segment.media_time.saturating_add(i64::try_from(segment.duration).unwrap_or(i64::MAX));
        lock(&self.model).session(&segment.session).and_then(|known| known.end()).is_some_and(|known| end < known)
    }

    /// A name that no other segment has, and its path; none if this very segment is kept already. A server that begins
    /// to count anew sends other segments under old numbers.
    fn free_name(&self, segment: &NewSegment, session: &str, sha256: &str) -> Option<(String, String)> {
        let model = lock(&self.model);
        let known = model.session(&segment.session);
        for copy in 1_u32.. {
            let suffix = if copy == 1 { String::new() } else { format!("-{copy}") };
            let name = format!("{:08}{suffix}.aac", segment.sequence);
            let file = format!("segments/{session}/{name}");
            if !known.is_some_and(|known| known.has_file(&file)) {
                return Some((name, file));
            }
            let same = |kept: &SegmentFact| kept.file == file && kept.sha256 == sha256;
            if known.is_some_and(|known| known.segments.iter().any(same)) {
                return None;
            }
        }
        None
    }

    /// Appends to the session's captured stream. A Matroska header begins a new file, whose zero is `media_time`. The
    /// seconds that were added.
    pub(super) fn capture(&mut self, session: &str, bytes: &Bytes, media_time: Option<i64>) -> io::Result<f64> {
        self.check_room(bytes.len())?;
        if Capture::begins(bytes) {
            self.end_capture(session)?;
        }
        if !self.captures.contains_key(session) {
            let count = lock(&self.model).session(session).map_or(0, |session| session.captures.len());
            let (capture, name) = Capture::create(&self.folder.folder("capture")?, &folder_name(session), count)?;
            let file = format!("capture/{name}");
            let started = Fact::CaptureStarted { session: session.to_owned(), file, media_time };
            if let Err(error) = self.fact(started) {
                self.folder.folder("capture")?.remove(&name)?;
                return Err(error);
            }
            self.captures.insert(session.to_owned(), capture);
        }
        match self.captures.get_mut(session) {
            Some(capture) => capture.append(bytes, self.clock.now()),
            None => Ok(0.0),
        }
    }

    /// The session's captured stream is over.
    pub(super) fn end_capture(&mut self, session: &str) -> io::Result<()> {
        let Some(capture) = self.captures.get_mut(session) else { return Ok(()) };
        capture.sync()?;
        let (file, bytes, seconds) = (format!("capture/{}", capture.name()), capture.bytes(), capture.seconds());
        self.fact(Fact::CaptureEnded { session: session.to_owned(), file, bytes, seconds })?;
        self.captures.remove(session);
        Ok(())
    }

    /// Ends every captured stream.
    pub(super) fn end_captures(&mut self) -> io::Result<()> {
        let sessions: Vec<String> = self.captures.keys().cloned().collect();
        sessions.iter().try_for_each(|session| self.end_capture(session))
    }

    pub(super) fn check_room(&self, bytes: usize) -> io::Result<()> {
        let free = self.folder.free_bytes()?;
        if free < self.min_free.saturating_add(bytes as u64) {
            let text = format!("{free} bytes are free and {} shall stay free", self.min_free);
            return Err(io::Error::new(io::ErrorKind::StorageFull, text));
        }
        Ok(())
    }
}

/// Program and version, as it stands in journals.
pub(super) fn program() -> String {
    concat!("spacebridge ", env!("CARGO_PKG_VERSION")).to_owned()
}

/// A model behind its lock; a panic of another thread harms no plain data.
pub(super) fn lock(model: &Model) -> MutexGuard<'_, Archive> {
    model.lock().unwrap_or_else(PoisonError::into_inner)
}

fn new_folder(parent: &Folder, show: &str, clock: &Clock) -> io::Result<Folder> {
    let stamp = clock.wall().strftime("%Y%m%dT%H%M%SZ");
    let mut name = format!("{show}-{stamp}");
    for copy in 2.. {
        match parent.create_new(&name) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => name = format!("{show}-{stamp}-{copy}"),
            other => return other,
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

fn text(text: &mut String) {
    *text = text.chars().filter(|c| !c.is_control()).take(TEXT_LIMIT).collect();
}

fn bounded_session(mut info: SessionFact) -> SessionFact {
    text(&mut info.session);
    [&mut info.title, &mut info.host, &mut info.platform_state].into_iter().flatten().for_each(text);
    info
}

/// Texts from outside, cut to what a line may hold.
fn bounded(mut fact: Fact) -> Fact {
    match &mut fact {
        Fact::ShowStarted(show) => [&mut show.title, &mut show.host].into_iter().flatten().for_each(text),
        Fact::Segment(segment) => text(&mut segment.name),
        Fact::Missing(missing) => {
            text(&mut missing.cause);
            missing.names.truncate(NAMES_LIMIT);
            missing.names.iter_mut().for_each(text);
        }
        Fact::Gap(gap) => text(&mut gap.cause),
        Fact::Speaker(speaker) => [&mut speaker.speaker, &mut speaker.name].into_iter().for_each(text),
        Fact::StemStarted(start) => text(&mut start.speaker),
        Fact::State { state, words } => [state, words].into_iter().for_each(text),
        Fact::CaptureLost { cause, .. } => text(cause),
        Fact::Mark(mark) => text(&mut mark.title),
        Fact::Talking(talking) => talking.names.iter_mut().for_each(text),
        Fact::Caption(caption) => caption.speaker.iter_mut().chain([&mut caption.text]).for_each(text),
        Fact::Repair(repair) => text(&mut repair.tried),
        Fact::Fill(fill) => [&mut fill.session, &mut fill.from].into_iter().for_each(text),
        Fact::Note { text: note } => text(note),
        _ => {}
    }
    fact
}

fn bounded_facts(facts: &[serde_json::Value]) -> Vec<serde_json::Value> {
    let size: usize = facts.iter().map(|fact| fact.to_string().len()).sum();
    if size <= FACTS_LIMIT { facts.to_vec() } else { vec![serde_json::json!({"kind": "left_out", "bytes": size})] }
}
