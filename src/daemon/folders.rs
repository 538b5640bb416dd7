//! The daemon's own state: plain files in `<root>/serve`, for its owner alone. Deleting it loses what shows the API made
//! and the tokens; no recording and no show that is on the air.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Cue, DaemonError};
use crate::config::key_store::KeyStore;

/// Largest file of ours that is read.
const SIZE_MAX: u64 = 4 << 20;

/// Holds the right to be the daemon of a state folder; the kernel gives it back however the process ends.
#[derive(Debug)]
pub struct DaemonLock {
    _file: File,
}

/// Whether a show shall be on the air; kept over restarts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wish {
    /// It shall.
    On,
    /// It ended, or was ended.
    Off,
}

/// A wish and when it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct WishMade {
    /// The wish.
    pub wish: Wish,
    /// When; a show that ended later is over, whoever was there to see it.
    pub at: Timestamp,
}

/// The folder `<root>/serve`.
#[derive(Debug, Clone)]
pub struct Folders {
    root: PathBuf,
}

impl Folders {
    /// Opens it, and makes it where there is none.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn open(state: &Path) -> Result<Self, DaemonError> {
        let root = state.join("serve");
        let own = ["shows", "keys", "live-keys", "wishes", "cues"].map(|name| root.join(name));
        for folder in std::iter::once(root.clone()).chain(own) {
            DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(DaemonError::at(&folder))?;
            fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).map_err(DaemonError::at(&folder))?;
        }
        Ok(Self { root })
    }

    /// Takes the right to be its daemon.
    ///
    /// # Errors
    /// When another one has it.
    pub fn lock(&self) -> Result<DaemonLock, DaemonError> {
        let path = self.root.join("lock");
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
        let mut file = file.map_err(DaemonError::at(&path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut pid = String::new();
                (&mut file).take(16).read_to_string(&mut pid).map_err(DaemonError::at(&path))?;
                let pid = if pid.trim().is_empty() { "?".to_owned() } else { pid.trim().to_owned() };
                let state = self.root.parent().unwrap_or(&self.root).to_owned();
                return Err(DaemonError::Locked { state, pid });
            }
            Err(TryLockError::Error(error)) => return Err(DaemonError::at(&path)(error)),
        }
        file.set_len(0).and_then(|()| file.rewind()).map_err(DaemonError::at(&path))?;
        writeln!(file, "{}", std::process::id()).map_err(DaemonError::at(&path))?;
        Ok(DaemonLock { _file: file })
    }

    /// Folder of the shows that the API made.
    pub fn shows(&self) -> PathBuf {
        self.root.join("shows")
    }

    /// The file of a show that the API made. `show` is a checked name.
    pub fn show_file(&self, show: &str) -> PathBuf {
        self.shows().join(format!("{show}.toml"))
    }

    /// A file in the folder itself.
    pub fn file(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Folder of the secrets of a show that the API made.
    pub fn keys_folder(&self, show: &str) -> PathBuf {
        self.root.join("keys").join(show)
    }

    /// The stream keys of a show, each bound to the server it is for.
    pub fn keys(&self, show: &str) -> KeyStore {
        KeyStore::at(self.keys_folder(show))
    }

    /// Stream keys of outputs that were added while the show is on the air.
    pub fn live_keys(&self, show: &str) -> KeyStore {
        KeyStore::at(self.live_keys_folder(show))
    }

    fn live_keys_folder(&self, show: &str) -> PathBuf {
        self.root.join("live-keys").join(show)
    }

    /// The show is over: nothing of it comes back.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn forget_live_keys(&self, show: &str) -> io::Result<()> {
        gone(fs::remove_dir_all(self.live_keys_folder(show)))
    }

    /// Whether the show shall be on the air; none if nobody has said so yet.
    pub fn wish(&self, show: &str) -> Option<WishMade> {
        let bytes = read(&self.root.join("wishes").join(show)).ok()??;
        serde_json::from_slice(&bytes).ok()
    }

    /// Keeps the wish.
    pub fn save_wish(&self, show: &str, wish: Wish, at: Timestamp) {
        let path = self.root.join("wishes").join(show);
        let saved = serde_json::to_vec(&WishMade { wish, at })
            .map_err(io::Error::from)
            .and_then(|bytes| replace(&path, &bytes));
        if let Err(error) = saved {
            tracing::warn!(show, %error, "Whether the show shall be on the air could not be kept.");
        }
    }

    /// What the last start of the show brought along.
    pub fn cue(&self, show: &str) -> Cue {
        let bytes = read(&self.root.join("cues").join(show)).ok().flatten();
        bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
    }

    /// Keeps what a start brings along.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn save_cue(&self, show: &str, cue: &Cue) -> io::Result<()> {
        let path = self.root.join("cues").join(show);
        if *cue == Cue::default() {
            return gone(fs::remove_file(path));
        }
        replace(&path, &serde_json::to_vec(cue)?)
    }

    /// Forgets a show that the API made, its secrets with it.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn forget(&self, show: &str) -> io::Result<()> {
        self.forget_live_keys(show)?;
        self.save_cue(show, &Cue::default())?;
        gone(fs::remove_dir_all(self.keys_folder(show)))?;
        gone(fs::remove_file(self.show_file(show)))?;
        gone(fs::remove_file(self.root.join("wishes").join(show)))
    }
}

/// What is not there any more is no fault.
fn gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// The bytes of a file of ours; none where there is no such file.
pub(super) fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    file.take(SIZE_MAX).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

/// Replaces a file so that a crash leaves the old one or the new one whole. Only its owner can read it.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let folder = path.parent().unwrap_or(Path::new("/"));
    let part = folder.join(format!(".{name}.part"));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&part)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&part, path)?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_daemon_is_refused_and_told_which_process_is_there() {
        let root = tempfile::tempdir().unwrap();
        let folders = Folders::open(root.path()).unwrap();
        let lock = folders.lock().unwrap();
        let error = folders.lock().expect_err("held").to_string();
        assert!(error.contains(&std::process::id().to_string()) && error.contains("SPACEBRIDGE_STATE"), "{error}");
        drop(lock);
        folders.lock().unwrap();
    }

    #[test]
    fn a_wish_is_kept_and_a_forgotten_show_leaves_no_secret_behind() {
        let root = tempfile::tempdir().unwrap();
        let folders = Folders::open(root.path()).unwrap();
        assert_eq!(folders.wish("night"), None);
        folders.save_wish("night", Wish::Off, Timestamp::UNIX_EPOCH);
        assert_eq!(folders.wish("night").map(|made| made.wish), Some(Wish::Off));
        let url = url::Url::parse("rtmp://a.example/live").unwrap();
        let key = folders.keys("night").save_key("a", &url, &crate::secret::Secret::new("k")).unwrap();
        let live = folders.live_keys("night").save_key("b", &url, &crate::secret::Secret::new("k")).unwrap();
        replace(&folders.show_file("night"), b"x").unwrap();
        folders.forget("night").unwrap();
        folders.forget("night").unwrap();
        assert!(
            !key.exists() && !live.exists() && !folders.show_file("night").exists() && folders.wish("night").is_none()
        );
    }
}
