//! A file on its way to its name: hidden and locked while it is made, whole and on the disk when it appears, gone when
//! it is given up.

use std::fs::{File, TryLockError};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::error::EpisodeError;
use crate::recording::{Folder, hex};

/// What to do with a file that has the name already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overwrite {
    /// It is replaced.
    Always,
    /// It stays, and the new one is given up, unless both are the same.
    Never,
}

/// A file that is whole, under its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// Its name in its folder.
    pub name: String,
    /// Length.
    pub bytes: u64,
    /// SHA-256, in hexadecimal.
    pub sha256: String,
}

/// A file that is being made.
#[derive(Debug)]
pub struct NewFile {
    folder: Arc<Folder>,
    name: String,
    part: String,
    file: File,
    placed: bool,
}

impl NewFile {
    /// Starts the file that will be `name`. What a killed process left of it is written over.
    ///
    /// # Errors
    /// When it cannot be written, or another process is making it.
    pub fn create(folder: &Arc<Folder>, name: &str) -> Result<Self, EpisodeError> {
        let part = format!(".{name}.part");
        let failed = |error| EpisodeError::io(format!("{} cannot be made", folder.path().join(name).display()))(error);
        let file = loop {
            let file = folder.write_file(&part).map_err(failed)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(failed(io::Error::other("another process is making it"))),
                Err(TryLockError::Error(error)) => return Err(failed(error)),
            }
            // Whoever held the lock may have given the file its name meanwhile.
            if same(folder, &part, &file) {
                break file;
            }
        };
        file.set_len(0).map_err(failed)?;
        Ok(Self { folder: folder.clone(), name: name.to_owned(), part, file, placed: false })
    }

    /// A handle for writing and reading it.
    ///
    /// # Errors
    /// What the system says.
    pub fn file(&self) -> Result<File, EpisodeError> {
        self.file.try_clone().map_err(EpisodeError::io(format!("{} cannot be written", self.name)))
    }

    /// Where it lies while it is made, for libraries that open files by themselves.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join(&self.part)
    }

    /// Where it will lie.
    pub fn final_path(&self) -> PathBuf {
        self.folder.path().join(&self.name)
    }

    /// Puts it on the disk and gives it its name.
    ///
    /// # Errors
    /// What the system says, or [`EpisodeError::Exists`].
    pub fn place(mut self, overwrite: Overwrite) -> Result<Placed, EpisodeError> {
        let failed = || EpisodeError::io(format!("{} could not be put in its place", self.name));
        self.file.sync_all().map_err(failed())?;
        let (bytes, sha256) = digest(&self.folder, &self.part).map_err(failed())?;
        if overwrite == Overwrite::Never
            && let Some(there) = existing(&self.folder, &self.name).map_err(failed())?
            && there != sha256
        {
            return Err(EpisodeError::Exists(self.final_path()));
        }
        self.folder.rename(&self.part, &self.name).map_err(failed())?;
        self.placed = true;
        Ok(Placed { name: self.name.clone(), bytes, sha256 })
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if !self.placed
            && let Err(error) = self.folder.remove(&self.part)
        {
            tracing::warn!(%error, "A half-made file could not be removed.");
        }
    }
}

/// SHA-256 of the file of that name, if there is one.
pub(super) fn existing(folder: &Folder, name: &str) -> io::Result<Option<String>> {
    match digest(folder, name) {
        Ok((_, sha256)) => Ok(Some(sha256)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn same(folder: &Folder, part: &str, file: &File) -> bool {
    let identity = |file: &File| file.metadata().ok().map(|meta| (meta.dev(), meta.ino()));
    folder.open_path(part).is_ok_and(|there| identity(&there).is_some() && identity(&there) == identity(file))
}

/// Length and SHA-256 of a file.
fn digest(folder: &Folder, name: &str) -> io::Result<(u64, String)> {
    let mut file = folder.open_path(name)?;
    let (mut hash, mut length, mut buffer) = (Sha256::new(), 0, vec![0; 1 << 18]);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok((length, hex(&hash.finalize()))),
            count => {
                hash.update(&buffer[..count]);
                length += count as u64;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn folder(temp: &tempfile::TempDir) -> Arc<Folder> {
        Arc::new(Folder::open(temp.path()).expect("a folder"))
    }

    fn names(temp: &tempfile::TempDir) -> Vec<String> {
        let entries = std::fs::read_dir(temp.path()).expect("a folder");
        let mut names: Vec<String> =
            entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn another_file_of_the_same_name_is_not_overwritten() {
        let temp = tempfile::tempdir().expect("a folder");
        let folder = folder(&temp);
        let make = |text: &str, overwrite| {
            let new = NewFile::create(&folder, "a.m4a").expect("a file");
            new.file().expect("a handle").write_all(text.as_bytes()).expect("bytes");
            new.place(overwrite)
        };
        make("one", Overwrite::Never).expect("placed");
        make("one", Overwrite::Never).expect("the same again");
        let error = make("two", Overwrite::Never).expect_err("a refusal");
        assert!(matches!(error, EpisodeError::Exists(_)) && error.to_string().contains("--force"), "{error}");
        assert_eq!(std::fs::read_to_string(temp.path().join("a.m4a")).expect("a file"), "one");
        make("two", Overwrite::Always).expect("placed");
        assert_eq!(names(&temp), ["a.m4a"]);
    }

    #[test]
    fn two_processes_do_not_write_into_each_others_file() {
        let temp = tempfile::tempdir().expect("a folder");
        let folder = folder(&temp);
        let first = NewFile::create(&folder, "a.m4a").expect("a file");
        let error = NewFile::create(&folder, "a.m4a").expect_err("a refusal");
        assert!(error.to_string().contains("another process"), "{error}");
        first.place(Overwrite::Never).expect("placed");
        drop(NewFile::create(&folder, "a.m4a").expect("free again"));
        assert_eq!(names(&temp), ["a.m4a"]);
    }

    #[test]
    fn what_a_killed_process_left_is_written_over() {
        let temp = tempfile::tempdir().expect("a folder");
        std::fs::write(temp.path().join(".a.m4a.part"), "left by a kill").expect("a file");
        let new = NewFile::create(&folder(&temp), "a.m4a").expect("a file");
        assert_eq!(new.place(Overwrite::Never).expect("placed").bytes, 0);
    }
}
