//! A configuration from the disk.

use std::io::Read;
use std::path::{Path, PathBuf};

use super::{DaemonConfig, Known, Problem, ShowConfig, read, read_daemon};

/// Largest file that is read, in bytes; [`read`] tells about one that is larger than it takes.
const MAX_BYTES: u64 = 2 << 20;

/// Reads the configuration in `path`. Relative paths in it belong to its folder.
///
/// # Errors
/// Every fault in it, or why it cannot be read.
pub fn load(path: &Path, known: Known<'_>) -> Result<ShowConfig, Vec<Problem>> {
    let (text, folder) = text_and_folder(path)?;
    read(&text, &folder, known)
}

/// Reads the daemon's own configuration in `path`. Relative paths in it belong to its folder.
///
/// # Errors
/// Every fault in it, or why it cannot be read.
pub fn load_daemon(path: &Path) -> Result<DaemonConfig, Vec<Problem>> {
    let (text, folder) = text_and_folder(path)?;
    read_daemon(&text, &folder)
}

fn text_and_folder(path: &Path) -> Result<(String, PathBuf), Vec<Problem>> {
    let unreadable = |message: String, remedy: &str| {
        let key = path.display().to_string();
        vec![Problem { key, line: None, message, remedy: remedy.into() }]
    };
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(MAX_BYTES).read_to_end(&mut bytes))
        .map_err(|error| unreadable(format!("cannot be read: {error}"), "Check the path and who may read it"))?;
    let text = String::from_utf8(bytes)
        .map_err(|_| unreadable("is not UTF-8 text".into(), "Save it as UTF-8 in a text editor"))?;
    let folder = path.parent().map(Path::to_owned).unwrap_or_default();
    let folder = std::path::absolute(if folder.as_os_str().is_empty() { PathBuf::from(".") } else { folder });
    Ok((text, folder.unwrap_or_else(|_| PathBuf::from("/"))))
}
