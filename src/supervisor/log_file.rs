//! The file that a bridge process writes its standard output and error to.
//!
//! A file and not a pipe: a bridge outlives its parent, and a pipe without a reader would end it at its next word.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Size at which the file is set aside.
const SIZE_MAX: u64 = 10 << 20;

/// How much of the end is looked at for the last lines.
const TAIL_BYTES: u64 = 8 << 10;

/// Opens the file for a new process, and gives the length before its first word.
pub(super) fn open(path: &Path) -> io::Result<(File, u64)> {
    rotate(path)?;
    let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
    let length = file.metadata()?.len();
    Ok((file, length))
}

/// Sets a full file aside as `<name>.1`. It is copied and emptied, not renamed, for the process keeps it open; a line
/// that falls between the two is lost.
pub(super) fn rotate(path: &Path) -> io::Result<()> {
    match std::fs::metadata(path) {
        Ok(found) if found.len() > SIZE_MAX => {}
        Ok(_) => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    }
    std::fs::copy(path, path.with_added_extension("1"))?;
    OpenOptions::new().write(true).open(path)?.set_len(0)
}

/// The last `count` lines that were written after `start`.
pub(super) fn last_lines(path: &Path, start: u64, count: usize) -> Vec<String> {
    let read = || -> io::Result<Vec<u8>> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        // A file that was set aside is shorter than it was.
        let start = if start > length { 0 } else { start };
        file.seek(SeekFrom::Start(start.max(length.saturating_sub(TAIL_BYTES))))?;
        let mut bytes = Vec::new();
        file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read().unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(count)..].iter().map(|line| (*line).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_full_log_is_set_aside_while_the_bridge_goes_on_writing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bridge.log");
        let (mut file, start) = open(&path).unwrap();
        assert_eq!(start, 0);
        file.write_all(&vec![b'x'; SIZE_MAX as usize + 1]).unwrap();
        rotate(&path).unwrap();
        file.write_all(b"after\n").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"after\n");
        assert_eq!(std::fs::metadata(folder.path().join("bridge.log.1")).unwrap().len(), SIZE_MAX + 1);
    }

    #[test]
    fn the_last_lines_are_those_of_the_process_that_died() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bridge.log");
        open(&path).unwrap().0.write_all(b"earlier process\n").unwrap();
        let (mut file, start) = open(&path).unwrap();
        file.write_all(b"one\n\ntwo\nthree\n").unwrap();
        assert_eq!(last_lines(&path, start, 10), ["one", "two", "three"]);
        assert_eq!(last_lines(&path, start, 2), ["two", "three"]);
    }
}
