//! One export from the request to the files: what is asked is checked before anything is written.
//!
//! Blocks; call it from a thread that may. Reads the archive and writes beside it; the journal's line about the files
//! is [`note`]'s.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

use super::copy::{Copied, CopyPlan, Copying, PartFacts, copy, part_name};
use super::error::EpisodeError;
use super::finish::{OVERHEAD, base_name};
use super::label::{self, Labels};
use super::output::{Overwrite, existing};
use super::progress::Progress;
use super::reel::Reel;
use super::request::{ExportRequest, Format};
use super::slate;
use crate::media::{EncodedLoop, SAMPLE_RATE};
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
        job.refuse_to_overwrite(&archive, &folder)?;
    }
    let needed: u64 = jobs.iter().map(|job| job.needed()).fold(OVERHEAD, u64::saturating_add);
    let free = folder.free_bytes().map_err(EpisodeError::io("the free space is not known"))?;
    if free < needed.saturating_add(request.min_free) {
        return Err(EpisodeError::NoRoom { folder: folder.path().to_owned(), needed, free });
    }
    for job in &jobs {
        progress.plan(job.samples() * job.passes());
    }
    for mut job in jobs {
        job.run(&folder, progress, &mut out)?;
    }
    if out.files.is_empty() {
        return Err(EpisodeError::NoAudio(out.notes.join(" ")));
    }
    Ok(out)
}

/// Sessions that are asked for and have something to make files from.
fn sessions<'a>(archive: &'a Archive, request: &ExportRequest) -> Result<Vec<&'a SessionArchive>, EpisodeError> {
    let has_audio = |session: &&SessionArchive| !session.segments.is_empty() || !session.captures.is_empty();
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

/// One session's files.
struct Job<'a> {
    request: &'a ExportRequest,
    session: &'a SessionArchive,
    labels: &'a Labels,
    archive: &'a Archive,
    base: String,
    reel: Reel,
    picture: Option<Arc<EncodedLoop>>,
}

impl<'a> Job<'a> {
    fn new(
        request: &'a ExportRequest,
        archive: &'a Archive,
        session: &'a SessionArchive,
        several: bool,
        labels: &'a Labels,
    ) -> Result<Self, EpisodeError> {
        let base = match &request.name {
            Some(name) if several => format!("{name}-{}", crate::recording::folder_name(&session.info.session)),
            Some(name) => name.clone(),
            None => base_name(archive, session),
        };
        if base.is_empty() || base.starts_with('.') || base.contains('/') || base.chars().any(char::is_control) {
            return Err(EpisodeError::Unsuitable(format!(
                "{base:?} cannot name a file: take one without / that does not begin with a dot, and --to for the folder"
            )));
        }
        if let Some(format) = request.formats.iter().find(|format| !request.is_copied(**format)) {
            return Err(EpisodeError::Unsuitable(format!("{} cannot be made here yet", format.name())));
        }
        let reel = Reel::open(archive, &session.info.session, request.range)?;
        let picture = if request.formats.contains(&Format::Mp4) {
            let words = labels.of(archive, session);
            let title = words.title.as_deref().unwrap_or_default();
            Some(Arc::new(slate::encode(request, title, words.artist.as_deref().unwrap_or_default())?))
        } else {
            None
        };
        Ok(Self { request, session, labels, archive, base, reel, picture })
    }

    fn samples(&self) -> u64 {
        let (start, end) = self.reel.span();
        end.abs_diff(start)
    }

    /// How often the session is gone through.
    fn passes(&self) -> u64 {
        u64::from(self.request.formats.iter().any(|format| self.request.is_copied(*format)))
    }

    /// Bytes that the files take, about and rather too many.
    fn needed(&self) -> u64 {
        let seconds = self.samples() / u64::from(SAMPLE_RATE) + 1;
        let video = self.picture.as_ref().map_or(0, |picture| {
            let frames: u64 = picture.frames.iter().map(|frame| frame.len() as u64).sum();
            let length = (picture.frames.len() as u64 / u64::from(picture.format.fps.max(1))).max(1);
            frames * (seconds / length + 1)
        });
        let file = |format: &Format| {
            let own = self.reel.bytes().saturating_add(seconds * 64);
            let sound = format.bytes_a_second(self.request.bitrate).map_or(own, |bytes| bytes * seconds);
            if *format == Format::Mp4 { sound.saturating_add(video) } else { sound }
        };
        self.request.formats.iter().map(file).fold(0, u64::saturating_add)
    }

    /// A file of another making is never overwritten unasked; one that an export of this recording made may be.
    fn refuse_to_overwrite(&self, archive: &Archive, folder: &Folder) -> Result<(), EpisodeError> {
        if self.request.force {
            return Ok(());
        }
        for format in &self.request.formats {
            let name = part_name(&self.base, 1, format.name());
            let there = existing(folder, &name).map_err(EpisodeError::io(format!("{name} cannot be looked at")))?;
            let ours = |sha256: &String| archive.exports.iter().any(|export| export.sha256 == *sha256);
            if there.is_some_and(|sha256| !ours(&sha256)) {
                return Err(EpisodeError::Exists(folder.path().join(name)));
            }
        }
        Ok(())
    }

    fn run(&mut self, folder: &Arc<Folder>, progress: &Progress, out: &mut Exported) -> Result<(), EpisodeError> {
        let copies = self.copies();
        if !copies.is_empty() {
            self.copy(copies, folder, progress, out)?;
        }
        Ok(())
    }

    fn copies(&self) -> Vec<Copying> {
        let copied = self.request.formats.iter().filter(|format| self.request.is_copied(**format));
        copied
            .filter_map(|format| match format {
                Format::Mp4 => self.picture.clone().map(Copying::Mp4),
                _ => Some(Copying::M4a),
            })
            .collect()
    }

    fn overwrite(&self) -> Overwrite {
        if self.request.force { Overwrite::Always } else { Overwrite::Never }
    }

    fn copy(
        &mut self,
        copies: Vec<Copying>,
        folder: &Arc<Folder>,
        progress: &Progress,
        out: &mut Exported,
    ) -> Result<(), EpisodeError> {
        let tags = self.labels.of(self.archive, self.session);
        let dress = |path: &Path, _: PartFacts| label::write(path, &tags);
        let plan = CopyPlan {
            folder: folder.clone(),
            base: self.base.clone(),
            copies,
            overwrite: self.overwrite(),
            dress: &dress,
        };
        let report = copy(&mut self.reel, &plan, progress)?;
        out.notes.extend(report.notes);
        let foreign = |file: &String| format!("{file} is no AAC and is left out: its finished .mka holds it.");
        out.notes.extend(report.foreign.iter().map(foreign));
        out.files.extend(report.files.into_iter().map(|copied| self.made(folder, copied)));
        Ok(())
    }

    fn made(&self, folder: &Folder, copied: Copied) -> Made {
        Made {
            session: self.session.info.session.clone(),
            format: if copied.extension == "mp4" { Format::Mp4 } else { Format::M4a },
            file: folder.path().join(&copied.file.name),
            bytes: copied.file.bytes,
            sha256: copied.file.sha256,
            media_time: copied.part.origin,
            seconds: copied.part.seconds,
            filled_seconds: copied.part.filled_seconds,
        }
    }
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
