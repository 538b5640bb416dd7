//! One export from the request to the files: what is asked is checked before anything is written.
//!
//! Blocks; call it from a thread that may. Reads the archive and writes beside it; the journal's line about the files
//! is [`note`]'s.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

use super::error::EpisodeError;
use super::finish::OVERHEAD;
use super::job::Job;
use super::label::Labels;
use super::progress::Progress;
use super::request::{ExportRequest, Format};
use crate::recording::{Archive, Closing, ExportFact, Folder, Recording, RecordingError, SessionArchive, Surroundings};

/// The folder in an archive for what is exported from it.
pub const FOLDER: &str = "export";

/// A file that was made.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Made {
    /// The session's id.
    pub session: String,
    /// Its format.
    pub format: Format,
    /// Where it is.
    pub file: PathBuf,
    /// Length.
    pub bytes: u64,
    /// SHA-256, in hexadecimal.
    pub sha256: String,
    /// Media time of its first sample, in samples of 48 000 a second.
    pub media_time: i64,
    /// Length of its audio.
    pub seconds: f64,
    /// How much of that is silence in place of missing audio.
    pub filled_seconds: f64,
}

/// What an export made.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Exported {
    /// The files, in order.
    pub files: Vec<Made>,
    /// What a person should know about them.
    pub notes: Vec<String>,
}

/// Makes what is asked. A file has its name when it is whole.
///
/// # Errors
/// The first one. Nothing half-made is left; files that were whole by then stay.
pub fn export(request: &ExportRequest, progress: &Progress) -> Result<Exported, EpisodeError> {
    let archive = Archive::read(&request.archive)?;
    let sessions = sessions(&archive, request)?;
    let mut out = Exported::default();
    let labels = Labels::new(request, &mut out.notes)?;
    let mut jobs = Vec::new();
    for session in &sessions {
        jobs.push(Job::new(request, &archive, session, sessions.len() > 1, &labels)?);
    }
    let folder = target_folder(request)?;
    for job in &jobs {
        job.refuse_to_overwrite(&folder)?;
    }
    let needed: u64 = jobs.iter().map(Job::needed).fold(OVERHEAD, u64::saturating_add);
    let free = folder.free_bytes().map_err(EpisodeError::io("the free space is not known"))?;
    if free < needed.saturating_add(request.min_free) {
        return Err(EpisodeError::NoRoom { folder: folder.path().to_owned(), needed, free });
    }
    for job in &jobs {
        progress.plan(job.work());
    }
    for job in jobs {
        job.run(&folder, progress, &mut out)?;
    }
    if out.files.is_empty() {
        return Err(EpisodeError::NoAudio(out.notes.join(" ")));
    }
    Ok(out)
}

/// Sessions that are asked for and have something to make files from.
fn sessions<'a>(archive: &'a Archive, request: &ExportRequest) -> Result<Vec<&'a SessionArchive>, EpisodeError> {
    let has_audio = |session: &&SessionArchive| {
        !session.segments.is_empty() || !session.captures.is_empty() || !session.stems.is_empty()
    };
    if request.sessions.is_empty() {
        let all: Vec<&SessionArchive> = archive.sessions.iter().filter(has_audio).collect();
        return if all.is_empty() {
            Err(EpisodeError::NoAudio("the recording holds no segment of any session".to_owned()))
        } else {
            Ok(all)
        };
    }
    let find = |name: &String| {
        archive.session(name).ok_or_else(|| EpisodeError::NoSession {
            name: name.clone(),
            known: archive.sessions.iter().map(|s| s.info.session.as_str()).collect::<Vec<_>>().join(", "),
        })
    };
    request.sessions.iter().map(find).collect()
}

/// Opens the folder for the files, and makes it if it is not there.
fn target_folder(request: &ExportRequest) -> Result<Arc<Folder>, EpisodeError> {
    let opened = match &request.folder {
        Some(folder) => std::fs::create_dir_all(folder).and_then(|()| Folder::open(folder)),
        None => Folder::open(&request.archive).and_then(|archive| archive.folder(FOLDER)),
    };
    let path = request.folder.clone().unwrap_or_else(|| request.archive.join(FOLDER));
    opened.map(Arc::new).map_err(EpisodeError::io(format!("the folder {} cannot be used", path.display())))
}

/// Lists files in the journal of the archive that they were made from. Where a bridge writes it at the time they are not
/// listed, and that is an error to be told: the files are whole all the same.
///
/// # Errors
/// As [`Recording::edit`].
pub async fn note(archive: &Path, made: &[Made], min_free: u64, with: Surroundings) -> Result<(), RecordingError> {
    let recording = Recording::edit(archive, min_free, with)?;
    let own = archive.canonicalize().unwrap_or_else(|_| archive.to_owned());
    for file in made {
        let path = file.file.canonicalize().unwrap_or_else(|_| file.file.clone());
        recording.exported(ExportFact {
            session: file.session.clone(),
            file: path.strip_prefix(&own).unwrap_or(&path).display().to_string(),
            format: file.format.name().to_owned(),
            bytes: file.bytes,
            sha256: file.sha256.clone(),
            seconds: file.seconds,
        });
    }
    recording.close(Closing::Edited).await
}
