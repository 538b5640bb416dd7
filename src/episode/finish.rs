//! The files of a show's end: every session's sound as it was received, beside what it was made from.
//!
//! Reads the archive and adds finished files to it; what was recorded is never changed. A file has its final name
//! only when it is whole.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::tz::TimeZone;

use super::copy::{Copied, CopyPlan, Copying, PartFacts, copy, part_name};
use super::error::EpisodeError;
use super::label::{Tags, date_of, load_cover};
use super::output::{NewFile, Overwrite};
use super::progress::Progress;
use super::reel::{Range, Reel};
use super::tags::{FileLabels, write_mp4};
use crate::gst::Cover;
use crate::gst::remux::remux_mka;
use crate::recording::{
    Archive, EpisodeFact, Folder, Recording, RecordingError, SessionArchive, folder_name, is_plain,
};

/// Index and tags of a finished file, at most: 3 hours have 500 000 frames of 4 bytes in it, and a cover has 10 MB.
pub(super) const OVERHEAD: u64 = 16 << 20;

/// What stands in the finished files about them.
#[derive(Debug, Clone)]
pub struct EpisodeMeta {
    /// Title; the session's own where there is none.
    pub title: Option<String>,
    /// Host; the session's own where there is none.
    pub host: Option<String>,
    /// Time zone of the date.
    pub timezone: TimeZone,
    /// PNG or JPEG file with the front cover.
    pub cover: Option<PathBuf>,
}

impl Default for EpisodeMeta {
    fn default() -> Self {
        Self { title: None, host: None, timezone: TimeZone::UTC, cover: None }
    }
}

/// What finishing made.
#[derive(Debug, Clone, Default)]
pub struct Finished {
    /// The files, in order.
    pub files: Vec<EpisodeFact>,
    /// What a person should know about them.
    pub notes: Vec<String>,
}

/// Makes the files for posting of every session of a recording, waits for them and lists them in its journal. What is
/// recorded meanwhile is kept as ever.
///
/// # Errors
/// When a file could not be made; the recording itself is untouched, and it may be called again.
pub async fn finish(recording: &Recording, meta: EpisodeMeta) -> Result<Finished, EpisodeError> {
    recording.flush().await;
    let (archive, min_free) = (recording.archive(), recording.min_free());
    let work = tokio::task::spawn_blocking(move || finish_archive(&archive, &meta, min_free));
    let finished = work.await.map_err(|_| RecordingError::Closed)??;
    for note in &finished.notes {
        recording.note(note.clone());
    }
    for file in &finished.files {
        recording.episode(file.clone());
    }
    Ok(finished)
}

/// Makes the files of every session. A session that fails keeps no other from its files.
fn finish_archive(archive: &Archive, meta: &EpisodeMeta, min_free: u64) -> Result<Finished, EpisodeError> {
    let folder = Folder::open(&archive.folder).map_err(EpisodeError::io("the recording's folder cannot be opened"))?;
    let folder = Arc::new(folder);
    let mut finished = Finished::default();
    let cover = meta.cover.as_deref().and_then(|path| load_cover(path, &mut finished.notes));
    let mut errors = Vec::new();
    for session in &archive.sessions {
        let job = Job { folder: &folder, archive, session, tags: tags(session, meta, cover.clone()) };
        if let Err(error) = job.run(min_free, &mut finished) {
            errors.push(error);
        }
    }
    if finished.files.is_empty()
        && let Some(error) = errors.pop()
    {
        return Err(error);
    }
    finished.notes.extend(errors.iter().map(|error| format!("A file could not be made: {error}.")));
    Ok(finished)
}

fn tags(session: &SessionArchive, meta: &EpisodeMeta, cover: Option<Cover>) -> Tags {
    Tags {
        title: meta.title.clone().or_else(|| session.info.title.clone()),
        artist: meta.host.clone().or_else(|| session.info.host.clone()),
        date: date_of(session, &meta.timezone),
        cover,
        ..Tags::default()
    }
}

/// The start of the names of a session's files.
pub(super) fn base_name(archive: &Archive, session: &SessionArchive) -> String {
    let show = if is_plain(&archive.show.show) { &archive.show.show } else { "show" };
    format!("{show}-{}", folder_name(&session.info.session))
}

/// One session's files.
struct Job<'a> {
    folder: &'a Arc<Folder>,
    archive: &'a Archive,
    session: &'a SessionArchive,
    tags: Tags,
}

impl Job<'_> {
    fn run(&self, min_free: u64, out: &mut Finished) -> Result<(), EpisodeError> {
        let mut reel = Reel::open(self.archive, &self.session.info.session, Range::default())?;
        check_room(self.folder, reel.bytes(), min_free)?;
        let base = base_name(self.archive, self.session);
        let dress = |path: &Path, _: PartFacts| write_mp4(path, &FileLabels::new(&self.tags, Vec::new()));
        let plan = CopyPlan {
            folder: self.folder.clone(),
            base: base.clone(),
            copies: vec![Copying::M4a],
            overwrite: Overwrite::Always,
            dress: &dress,
        };
        let report = copy(&mut reel, &plan, &Progress::default())?;
        out.notes.extend(report.notes);
        out.files.extend(report.files.into_iter().map(|copied| self.fact(copied)));
        for (file, number) in report.foreign.iter().zip(1..) {
            let name = part_name(&base, number, "mka");
            let made = self.matroska(file, &name, &mut out.notes)?;
            out.files.push(made);
        }
        Ok(())
    }

    fn fact(&self, copied: Copied) -> EpisodeFact {
        EpisodeFact {
            session: self.session.info.session.clone(),
            file: copied.file.name,
            bytes: copied.file.bytes,
            sha256: copied.file.sha256,
            media_time: copied.part.origin,
            seconds: copied.part.seconds,
            filled_seconds: copied.part.filled_seconds,
        }
    }

    /// A captured stream that is no AAC, with its duration and seek head.
    fn matroska(&self, file: &str, name: &str, notes: &mut Vec<String>) -> Result<EpisodeFact, EpisodeError> {
        if self.tags.cover.is_some() {
            notes.push(format!("{name} has no cover: this GStreamer cannot put one into a Matroska file."));
        }
        let target = NewFile::create(self.folder, name)?;
        remux_mka(&self.folder.path().join(file), &target.path(), &self.tags.for_matroska())?;
        let placed = target.place(Overwrite::Always)?;
        let capture = self.session.captures.iter().find(|capture| capture.file == file);
        Ok(EpisodeFact {
            session: self.session.info.session.clone(),
            file: placed.name,
            bytes: placed.bytes,
            sha256: placed.sha256,
            seconds: capture.and_then(|capture| capture.seconds).unwrap_or(0.0),
            ..EpisodeFact::default()
        })
    }
}

/// Whether `bytes` of frames fit into a folder with their index, and `min_free` stays free.
fn check_room(folder: &Folder, bytes: u64, min_free: u64) -> Result<(), EpisodeError> {
    let free = folder.free_bytes().map_err(EpisodeError::io("the free space is not known"))?;
    let needed = if bytes == 0 { 0 } else { bytes.saturating_add(OVERHEAD) };
    if needed > 0 && free < needed.saturating_add(min_free) {
        return Err(EpisodeError::NoRoom { folder: folder.path().to_owned(), needed, free });
    }
    Ok(())
}
