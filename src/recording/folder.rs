//! Folders and files of an archive, opened relative to each other so that no link is ever followed inside it.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags};

/// Files and folders are for the operator's other tools too; nothing in them is secret. The umask may take more away.
const FILE_MODE: Mode = Mode::from_raw_mode(0o644);
const FOLDER_MODE: Mode = Mode::from_raw_mode(0o755);

/// What an entry of a folder is, a link by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    File,
    Folder,
    /// A link, a pipe, a device.
    Other,
}

impl Kind {
    fn of(kind: FileType) -> Self {
        match kind {
            FileType::RegularFile => Self::File,
            FileType::Directory => Self::Folder,
            _ => Self::Other,
        }
    }
}

/// An open folder of an archive.
#[derive(Debug)]
pub struct Folder {
    fd: OwnedFd,
    path: PathBuf,
}

impl Folder {
    /// Opens an existing folder at a path that the operator chose.
    pub fn open(path: &Path) -> io::Result<Self> {
        let fd = rustix::fs::open(path, OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::RDONLY, Mode::empty())?;
        Ok(Self { fd, path: path.to_owned() })
    }

    /// Makes a folder that must not exist yet.
    pub(super) fn create_new(&self, name: &str) -> io::Result<Self> {
        rustix::fs::mkdirat(&self.fd, name, FOLDER_MODE)?;
        self.sync()?;
        self.child(name)
    }

    /// The folder `name` in here, made if it is not there.
    pub fn folder(&self, name: &str) -> io::Result<Self> {
        match self.create_new(name) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => self.child(name),
            other => other,
        }
    }

    pub(super) fn child(&self, name: &str) -> io::Result<Self> {
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::RDONLY;
        let fd = rustix::fs::openat(&self.fd, name, flags, Mode::empty())?;
        Ok(Self { fd, path: self.path.join(name) })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens a file for reading and appending, made if it is not there.
    pub(super) fn append(&self, name: &str) -> io::Result<File> {
        self.file(name, OFlags::CREATE | OFlags::APPEND | OFlags::RDWR)
    }

    /// Makes a file that must not exist yet.
    pub(super) fn create_file(&self, name: &str) -> io::Result<File> {
        let file = self.file(name, OFlags::CREATE | OFlags::EXCL | OFlags::APPEND | OFlags::WRONLY)?;
        self.sync()?;
        Ok(file)
    }

    fn file(&self, name: &str, flags: OFlags) -> io::Result<File> {
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(File::from(rustix::fs::openat(&self.fd, name, flags, FILE_MODE)?))
    }

    /// Opens a file for writing and reading anywhere in it, made if it is not there.
    ///
    /// # Errors
    /// What the system says; a link is refused.
    pub fn write_file(&self, name: &str) -> io::Result<File> {
        self.file(name, OFlags::CREATE | OFlags::RDWR)
    }

    /// Puts `bytes` under `name`: after a crash the file is there whole or not at all.
    pub(super) fn write_whole(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let part = format!(".{name}.part");
        self.remove(&part)?;
        let written = (|| {
            let mut file = self.file(&part, OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY)?;
            file.write_all(bytes)?;
            file.sync_all()
        })();
        if let Err(error) = written {
            // Gives the room back; what matters is the first error.
            drop(self.remove(&part));
            return Err(error);
        }
        self.rename(&part, name)
    }

    /// Gives a file its final name.
    pub fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        rustix::fs::renameat(&self.fd, from, &self.fd, to)?;
        self.sync()
    }

    /// Removes a file, if it is there.
    pub fn remove(&self, name: &str) -> io::Result<()> {
        match rustix::fs::unlinkat(&self.fd, name, AtFlags::empty()) {
            Ok(()) | Err(rustix::io::Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Makes names durable.
    pub fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::fsync(&self.fd)?)
    }

    /// Bytes that this user may still write.
    pub fn free_bytes(&self) -> io::Result<u64> {
        let stat = rustix::fs::fstatvfs(&self.fd)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    /// The whole file at a path like `segments/ID/00000001.aac`; at most `limit` bytes, no link followed.
    pub fn read(&self, path: &str, limit: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.open_path(path)?.take(limit).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// What lies in here, by name. What has a name that is no UTF-8 is none of ours and nothing to open.
    pub(super) fn entries(&self) -> io::Result<Vec<(String, Kind)>> {
        let mut entries = Vec::new();
        for entry in rustix::fs::Dir::read_from(&self.fd)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().to_str() else {
                entries.push((entry.file_name().to_string_lossy().into_owned(), Kind::Other));
                continue;
            };
            if name == "." || name == ".." {
                continue;
            }
            // Some filesystems do not tell the type with the name.
            let kind = match entry.file_type() {
                FileType::Unknown => {
                    FileType::from_raw_mode(rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW)?.st_mode)
                }
                known => known,
            };
            entries.push((name.to_owned(), Kind::of(kind)));
        }
        entries.sort();
        Ok(entries)
    }

    /// Removes the file, or the folder if it is empty, at a path of plain names; the bytes of a file. What is gone
    /// already is no error.
    pub(super) fn remove_path(&self, path: &str, kind: Kind) -> io::Result<u64> {
        let (parent, name) = match path.rsplit_once('/') {
            Some((parent, name)) => (Some(self.descend(parent)?), name),
            None => (None, path),
        };
        let parent = parent.as_ref().unwrap_or(self);
        let bytes = rustix::fs::statat(&parent.fd, name, AtFlags::SYMLINK_NOFOLLOW).map_or(0, |stat| stat.st_size);
        let flags = if kind == Kind::Folder { AtFlags::REMOVEDIR } else { AtFlags::empty() };
        match rustix::fs::unlinkat(&parent.fd, name, flags) {
            // A folder that is not empty holds what is not ours.
            Ok(()) | Err(rustix::io::Errno::NOENT) => Ok(u64::try_from(bytes).unwrap_or(0)),
            Err(rustix::io::Errno::NOTEMPTY) if kind == Kind::Folder => Ok(0),
            Err(error) => Err(error.into()),
        }
    }

    /// The folder at a path of plain names below this one.
    fn descend(&self, path: &str) -> io::Result<Self> {
        if !is_inside(path) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a path inside the archive"));
        }
        let mut names = path.split('/');
        let first = self.child(names.next().unwrap_or_default())?;
        names.try_fold(first, |folder, name| folder.child(name))
    }

    /// Opens the file at a path of plain names below this folder.
    pub fn open_path(&self, path: &str) -> io::Result<File> {
        match path.rsplit_once('/') {
            Some((parent, name)) if is_inside(name) => self.descend(parent)?.file(name, OFlags::RDONLY),
            None if is_inside(path) => self.file(path, OFlags::RDONLY),
            _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "not a path inside the archive")),
        }
    }
}

/// Whether `path` is made of plain names, so that it stays inside the archive.
pub fn is_inside(path: &str) -> bool {
    path.split('/').all(|name| !name.is_empty() && name != "." && name != "..")
}

/// Whether `name` may name a folder: `[0-9A-Za-z_-]`, 1 to 64 characters.
pub fn is_plain(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

/// A folder's name for a session: its id, or a digest of one that may not name a folder.
pub fn folder_name(session: &str) -> String {
    if is_plain(session) {
        session.to_owned()
    } else {
        format!("id-{}", &super::line::sha256_hex(session.as_bytes())[..16])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_planted_link_is_not_followed() {
        let temp = tempfile::tempdir().expect("a folder");
        let outside = temp.path().join("outside");
        std::fs::write(&outside, "mine").expect("a file");
        std::fs::create_dir(temp.path().join("archive")).expect("a folder");
        let folder = Folder::open(&temp.path().join("archive")).expect("open");
        std::os::unix::fs::symlink(&outside, folder.path().join(".1.aac.part")).expect("a link");
        std::os::unix::fs::symlink(&outside, folder.path().join("journal.jsonl")).expect("a link");
        std::os::unix::fs::symlink(temp.path(), folder.path().join("segments")).expect("a link");
        folder.write_whole("1.aac", b"segment").expect("a write");
        assert!(folder.append("journal.jsonl").is_err());
        assert!(folder.folder("segments").is_err());
        assert!(folder.read("../outside", 10).is_err());
        assert_eq!(std::fs::read_to_string(&outside).expect("a file"), "mine");
        assert_eq!(folder.read("1.aac", 100).expect("a file"), b"segment");
    }

    #[test]
    fn hostile_ids_never_name_a_folder() {
        assert_eq!(folder_name("1yNxaNvaMYQKj"), "1yNxaNvaMYQKj");
        for id in ["", "..", "a/b", "a\u{202e}b", &"x".repeat(65)] {
            assert!(is_plain(&folder_name(id)) && folder_name(id).starts_with("id-"), "{id:?}");
        }
    }
}
