//! The files of a recording that somebody may want to have: finished ones and exports. A file is had by its name in this
//! listing and in no other way; links are not followed.

use std::fs::File;
use std::io;
use std::time::SystemTime;

use serde::Serialize;
use utoipa::ToSchema;

use crate::recording::{Archive, Folder, is_inside};

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum FileKind {
    /// Made when the session ended.
    Finished,
    /// Made by an export.
    Export,
}

/// A file of a recording.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct RecordingFile {
    /// Its name, by which it is fetched.
    pub name: String,
    /// What it is.
    pub kind: FileKind,
    /// Its media type.
    pub media_type: &'static str,
    /// The session's id.
    pub session: String,
    /// Its length in bytes.
    pub bytes: u64,
    /// Length of its audio, in seconds.
    pub seconds: f64,
    /// Place of its first sample, in seconds of the session's media time, where it is known.
    pub starts_at: Option<f64>,
    /// Path inside the archive.
    #[serde(skip)]
    path: String,
}

/// Every file of the recording that lies in its folder.
pub fn list(archive: &Archive) -> Vec<RecordingFile> {
    let finished = archive.episodes.values().map(|episode| RecordingFile {
        name: base(&episode.file),
        kind: FileKind::Finished,
        media_type: media_type(&episode.file),
        session: episode.session.clone(),
        bytes: episode.bytes,
        seconds: episode.seconds,
        starts_at: Some(episode.media_time as f64 / f64::from(crate::media::SAMPLE_RATE)),
        path: episode.file.clone(),
    });
    let exports = archive.exports.iter().filter(|export| is_inside(&export.file)).map(|export| RecordingFile {
        name: base(&export.file),
        kind: FileKind::Export,
        media_type: media_type(&export.file),
        session: export.session.clone(),
        bytes: export.bytes,
        seconds: export.seconds,
        starts_at: None,
        path: export.file.clone(),
    });
    let mut files: Vec<RecordingFile> = Vec::new();
    for file in finished.chain(exports) {
        // What was made again under the same name took its place.
        files.retain(|known| known.name != file.name);
        files.push(file);
    }
    files.retain(|file| there(archive, file).is_ok());
    files
}

fn base(path: &str) -> String {
    path.rsplit('/').next().unwrap_or(path).to_owned()
}

/// What the ending says; nothing is guessed from the bytes.
fn media_type(path: &str) -> &'static str {
    match path.rsplit('.').next().unwrap_or_default() {
        "aac" => "audio/aac",
        "m4a" => "audio/mp4",
        "mp3" => "audio/mpeg",
        "opus" => "audio/ogg",
        "flac" => "audio/flac",
        "wav" => "audio/wav",
        "mka" => "audio/x-matroska",
        "mp4" => "video/mp4",
        "png" => "image/png",
        "json" => "application/json",
        "vtt" => "text/vtt",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

fn there(archive: &Archive, file: &RecordingFile) -> io::Result<File> {
    Folder::open(&archive.folder)?.open_path(&file.path)
}

/// A file that is open: its bytes, its length and what tells one state of it from another.
#[derive(Debug)]
pub struct Open {
    /// What it is.
    pub listed: RecordingFile,
    /// Its bytes.
    pub file: File,
    /// Its length in bytes.
    pub bytes: u64,
    /// Another word for every other content.
    pub tag: String,
}

/// Opens the file of this name.
///
/// # Errors
/// [`io::ErrorKind::NotFound`] where the listing has none, or what the system says.
pub fn open(archive: &Archive, name: &str) -> io::Result<Open> {
    let listed = list(archive).into_iter().find(|file| file.name == name).ok_or(io::ErrorKind::NotFound)?;
    let file = there(archive, &listed)?;
    let meta = file.metadata()?;
    if !meta.is_file() {
        return Err(io::ErrorKind::NotFound.into());
    }
    let changed = meta.modified().ok().and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
    let tag = format!("\"{:x}-{:x}\"", meta.len(), changed.unwrap_or_default().as_nanos());
    Ok(Open { listed, file, bytes: meta.len(), tag })
}
