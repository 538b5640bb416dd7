//! The archives below a folder: which there are, what each one holds in a few figures, and which one is meant by a word.
//!
//! Reads only, follows no link, and passes over what is no archive. A folder is as deep as it looks: archives lie
//! directly below it.

use std::fs::{self, DirEntry, File};
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Serialize;

use super::error::RecordingError;
use super::facts::{Fact, RepairState, ShowFact};
use super::folder::Folder;
use super::line::{self, MAX_LINE};
use super::reader::{Archive, SessionArchive};
use super::{folder, gaps, journal, lock};
use crate::media::SAMPLE_RATE;
use crate::text;

/// Entries of a folder that are looked at: more recordings than anybody has, fewer than a program would hang on.
const MOST_ENTRIES: usize = 20_000;

/// Names that are told where one was not found or means several.
const TOLD: usize = 3;

/// Formats of exports that hold the audio, and not only a picture or a list.
const AUDIO_FORMATS: [&str; 7] = ["m4a", "mp3", "opus", "flac", "wav", "mp4", "stems"];

/// An archive in a few figures.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Summary {
    /// The folder's name.
    pub name: String,
    /// The archive's folder.
    pub folder: PathBuf,
    /// The show's name; the folder's where the journal lost it.
    pub show: String,
    /// The operator's title, or the first session's; hostile text.
    pub title: Option<String>,
    /// The operator's word for the host, or the first session's; hostile text.
    pub host: Option<String>,
    /// When the archive began.
    pub started_at: Option<Timestamp>,
    /// When its show ended; none while it is on the air or suspended, and after a crash.
    pub ended_at: Option<Timestamp>,
    /// Ids of its sessions.
    pub sessions: Vec<String>,
    /// Seconds of source audio that are kept.
    pub seconds: f64,
    /// Bytes of what the journal lists, as it lists them.
    pub bytes: u64,
    /// Segments that are kept.
    pub segments: u64,
    /// Intervals that are missing.
    pub gaps: u64,
    /// Seconds that are missing.
    pub missing_seconds: f64,
    /// Segments that were had from a snapshot or a replay.
    pub repaired: u64,
    /// Whether a repair is not at its end.
    pub repair_pending: bool,
    /// Places that the operator named.
    pub marks: u64,
    /// Files that somebody had made.
    pub exports: u64,
    /// Whether one of these holds its audio.
    pub exported: bool,
    /// Whether it is never to be deleted by itself.
    pub keep: bool,
    /// Process that writes it now; `unknown` where the lock does not say.
    pub written_by: Option<String>,
    /// Lines of the journal that cannot be used.
    pub damaged_lines: u64,
}

impl Summary {
    /// Reads the archive in `folder`.
    ///
    /// # Errors
    /// As [`Archive::read`].
    pub fn read(folder: &Path) -> Result<Self, RecordingError> {
        Ok(Self::of(&Archive::read(folder)?))
    }

    /// The figures of an archive that was read already.
    pub fn of(archive: &Archive) -> Self {
        let name = name_of(&archive.folder);
        let known = |first: Option<&String>, session: fn(&SessionArchive) -> Option<&String>| {
            first.or_else(|| archive.sessions.iter().find_map(session)).cloned()
        };
        let segments = || archive.sessions.iter().flat_map(|session| &session.segments);
        let gaps = archive.gaps();
        let kept: i64 = archive.sessions.iter().map(|session| gaps::kept_samples(&session.segments)).sum();
        let captures = archive.sessions.iter().flat_map(|session| &session.captures);
        let pending = |session: &SessionArchive| {
            session.repair.as_ref().is_some_and(|repair| repair.state == RepairState::Pending)
        };
        Self {
            show: if archive.show.show.is_empty() { name.clone() } else { archive.show.show.clone() },
            title: known(archive.show.title.as_ref(), |session| session.info.title.as_ref()),
            host: known(archive.show.host.as_ref(), |session| session.info.host.as_ref()),
            started_at: archive.started_at,
            ended_at: archive.ended_at,
            sessions: archive.sessions.iter().map(|session| session.info.session.clone()).collect(),
            seconds: kept as f64 / f64::from(SAMPLE_RATE)
                + captures.filter_map(|capture| capture.seconds).fold(0.0, |sum, seconds| sum + seconds),
            bytes: bytes_of(archive),
            segments: segments().count() as u64,
            missing_seconds: gaps.iter().fold(0.0, |sum, gap| sum + (gap.end_seconds - gap.start_seconds)),
            gaps: gaps.len() as u64,
            repaired: segments().filter(|segment| !segment.origin.is_live()).count() as u64,
            repair_pending: archive.sessions.iter().any(pending),
            marks: archive.sessions.iter().map(|session| session.marks.len() as u64).sum(),
            exports: archive.exports.len() as u64,
            exported: archive.exports.iter().any(|export| AUDIO_FORMATS.contains(&export.format.as_str())),
            keep: archive.keep,
            written_by: writer_of(&archive.folder),
            damaged_lines: archive.damage.len() as u64,
            folder: archive.folder.clone(),
            name,
        }
    }
}

/// Bytes of segments, finished files and streams (speakers' own among them); a stream's and an export's as they lie on the disk.
fn bytes_of(archive: &Archive) -> u64 {
    let sessions = || archive.sessions.iter();
    let segments: u64 = sessions().flat_map(|session| &session.segments).map(|segment| segment.bytes).sum();
    let episodes: u64 = archive.episodes.values().map(|episode| episode.bytes).sum();
    let captures = sessions().flat_map(|session| &session.captures).map(|capture| &capture.file);
    let stems = sessions().flat_map(|session| &session.stems).map(|stem| &stem.start.file);
    let exports = archive.exports.iter().map(|export| &export.file).filter(|file| folder::is_inside(file));
    let mut others: Vec<&String> = captures.chain(stems).chain(exports).collect();
    others.sort_unstable();
    others.dedup();
    let length = |file: &String| archive.folder.join(file).symlink_metadata().map_or(0, |meta| meta.len());
    segments + episodes + others.into_iter().map(length).sum::<u64>()
}

/// What lies below a folder.
#[derive(Debug, Default)]
pub struct Catalogue {
    /// Archives, newest first.
    pub archives: Vec<Summary>,
    /// Folders that were archives once, or will be when they are copied whole, and why they cannot be read.
    pub broken: Vec<(PathBuf, RecordingError)>,
}

/// Every archive below `folder`, newest first. A folder that is not there holds none.
///
/// # Errors
/// When the folder cannot be read.
pub fn list(folder: &Path) -> Result<Catalogue, RecordingError> {
    let mut catalogue = Catalogue::default();
    for place in places(folder)? {
        match Summary::read(&place.folder) {
            Ok(summary) => catalogue.archives.push(summary),
            Err(error) => catalogue.broken.push((place.folder, error)),
        }
    }
    Ok(catalogue)
}

/// The folders below `folder` that are or were archives, newest first.
///
/// # Errors
/// When the folder cannot be read.
pub fn folders(folder: &Path) -> Result<Vec<PathBuf>, RecordingError> {
    Ok(places(folder)?.into_iter().map(|place| place.folder).collect())
}

/// The process that writes the archive in `folder` now; `unknown` where the lock does not say.
pub fn writer_of(folder: &Path) -> Option<String> {
    Folder::open(folder).ok().and_then(|open| lock::holder_of(&open))
}

/// Why no archive was found.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// Nothing is called so.
    #[error("no recording is called {what:?} in {}{}", folder.display(), nearest(.names))]
    Unknown {
        /// What was asked for.
        what: String,
        /// Where it was looked for.
        folder: PathBuf,
        /// What comes nearest.
        names: Vec<String>,
    },
    /// Several begin so.
    #[error("{what:?} begins the names of {count} recordings, such as {}: write more of it", names.join(", "))]
    Several {
        /// What was asked for.
        what: String,
        /// How many.
        count: usize,
        /// Some of them.
        names: Vec<String>,
    },
    /// The folder cannot be read.
    #[error(transparent)]
    Recording(#[from] RecordingError),
}

fn nearest(names: &[String]) -> String {
    match names {
        [] => ", which holds none".to_owned(),
        names => format!("; there is {}", names.join(", ")),
    }
}

/// The archive that is meant by `what`: its folder's path, the folder's name below `folder`, the show's name (the newest
/// one), a beginning of the folder's name that no other has, or the id of a session (the newest one that has it).
///
/// # Errors
/// [`FindError`], with the names that come nearest.
pub fn find(folder: &Path, what: &str) -> Result<PathBuf, FindError> {
    let path = Path::new(what);
    if path.join(journal::NAME).is_file() || (what.contains('/') && path.is_dir()) {
        return Ok(path.to_owned());
    }
    let places = places(folder)?;
    let named = |name: &str| places.iter().find(|place| place.name == name);
    if let Some(place) = named(what).or_else(|| places.iter().find(|place| place.show == what)) {
        return Ok(place.folder.clone());
    }
    let begin: Vec<&Place> = places.iter().filter(|place| !what.is_empty() && place.name.starts_with(what)).collect();
    match begin[..] {
        [] => {}
        [only] => return Ok(only.folder.clone()),
        _ => {
            let names = begin.iter().take(TOLD).map(|place| place.name.clone()).collect();
            return Err(FindError::Several { what: what.to_owned(), count: begin.len(), names });
        }
    }
    let has_session = |place: &&Place| {
        Archive::read(&place.folder).is_ok_and(|archive| archive.session(what).is_some() && !what.is_empty())
    };
    if let Some(place) = places.iter().find(has_session) {
        return Ok(place.folder.clone());
    }
    Err(FindError::Unknown { what: text::plain(what, 80), folder: folder.to_owned(), names: near(&places, what) })
}

/// Names that are like `what`, best first; the newest ones where none is.
fn near(places: &[Place], what: &str) -> Vec<String> {
    let likeness = |place: &Place| {
        let what: String = what.chars().take(100).collect();
        strsim::jaro_winkler(&place.name, &what).max(strsim::jaro_winkler(&place.show, &what))
    };
    let mut scored: Vec<(f64, &Place)> = places.iter().map(|place| (likeness(place), place)).collect();
    if scored.iter().any(|(score, _)| *score > 0.7) {
        scored.retain(|(score, _)| *score > 0.7);
        scored.sort_by(|a, b| b.0.total_cmp(&a.0));
    }
    scored.into_iter().take(TOLD).map(|(_, place)| place.name.clone()).collect()
}

/// A folder that is or was an archive.
#[derive(Debug)]
struct Place {
    folder: PathBuf,
    name: String,
    show: String,
    started_at: Option<Timestamp>,
}

/// Folders that look like archives, newest first.
fn places(folder: &Path) -> Result<Vec<Place>, RecordingError> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(RecordingError::folder(folder)(error)),
    };
    let mut places: Vec<Place> = entries.flatten().take(MOST_ENTRIES).filter_map(|entry| place(&entry)).collect();
    places.sort_by(|a, b| (b.started_at, &b.name).cmp(&(a.started_at, &a.name)));
    Ok(places)
}

fn place(entry: &DirEntry) -> Option<Place> {
    // The type of the entry itself: a link to a folder is none.
    if !entry.file_type().ok()?.is_dir() {
        return None;
    }
    let folder = entry.path();
    let is = |name: &str, right: fn(&fs::Metadata) -> bool| {
        folder.join(name).symlink_metadata().is_ok_and(|metadata| right(&metadata))
    };
    if !is(journal::NAME, fs::Metadata::is_file) && !is("segments", fs::Metadata::is_dir) {
        return None;
    }
    let name = name_of(&folder);
    let (started_at, show) = first_line(&folder).unwrap_or_default();
    Some(Place { show: show.show, started_at: started_at.or_else(|| time_in(&name)), name, folder })
}

/// When the archive began and what its show is, from the journal's first line alone.
fn first_line(folder: &Path) -> Option<(Option<Timestamp>, ShowFact)> {
    let file: File = Folder::open(folder).ok()?.open_path(journal::NAME).ok()?;
    let mut first = Vec::new();
    BufReader::new(file.take(MAX_LINE as u64)).read_until(b'\n', &mut first).ok()?;
    first.pop_if(|byte| *byte == b'\n');
    let entry = line::decode(&first).ok()?;
    match entry.fact {
        Fact::ShowStarted(show) => Some((Some(entry.at), show)),
        _ => None,
    }
}

/// The time in a folder's name such as `evening-20260102T190000Z-2`.
fn time_in(name: &str) -> Option<Timestamp> {
    let stamp = name.split('-').find(|part| part.len() == 16 && part.ends_with('Z'))?;
    jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", stamp)
        .ok()?
        .to_zoned(jiff::tz::TimeZone::UTC)
        .ok()
        .map(Into::into)
}

fn name_of(folder: &Path) -> String {
    folder.file_name().unwrap_or(folder.as_os_str()).to_string_lossy().into_owned()
}

#[cfg(test)]
#[path = "catalogue_tests.rs"]
mod tests;
