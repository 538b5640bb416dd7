//! The state folder of a show: its socket, its lock, and what is needed to resume it.
//!
//! `<root>/shows/<name>/{socket, lock, show.json, bridge.log}`, all of it for its owner alone. The archive lies
//! elsewhere: nothing in here is worth a backup.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

mod live;
mod roots;

pub use live::{AddedOutput, LiveRecord};
pub use roots::{root, shows_on_the_air};

use crate::clock::BootMark;

/// How long a suspended or crashed show can be resumed. Later the audience is gone, and it is a new show.
pub const RESUMABLE: Duration = Duration::from_secs(30 * 60);

/// Length of a Unix socket's path that every kernel takes (`sun_path` is 108 bytes with its final zero).
const SOCKET_PATH_MAX: usize = 107;

/// Largest `show.json` that is read.
const RECORD_MAX: u64 = 1 << 20;

/// Why the state folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// There is no place for state.
    #[error("there is no folder for state: set SPACEBRIDGE_STATE or HOME to an absolute path")]
    NoRoot,
    /// The name could leave the folder or break a path.
    #[error("{0:?} cannot be a show's name: use 1 to 64 of the characters 0-9 A-Z a-z _ -")]
    Name(String),
    /// The folder is somebody else's.
    #[error("{path} belongs to user {owner}: it must belong to the user who runs spacebridge")]
    Owner {
        /// The folder.
        path: PathBuf,
        /// Its owner's uid.
        owner: u32,
    },
    /// Another bridge carries the show.
    #[error("the show {show} is on the air already, carried by process {pid}: see `spacebridge status {show}`")]
    Locked {
        /// The show.
        show: String,
        /// The process that holds the lock, or `?`.
        pid: String,
    },
    /// The file system refused.
    #[error("cannot use {path}: {error}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
}

impl StateError {
    /// Whether trying again changes nothing.
    pub fn is_permanent(&self) -> bool {
        !matches!(self, Self::Locked { .. })
    }
}

fn io_at(path: &Path) -> impl FnOnce(io::Error) -> StateError {
    let path = path.to_owned();
    move |error| StateError::Io { path, error }
}

/// What is needed to resume a show after a crash or a suspension.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShowRecord {
    /// The show's name.
    pub show: String,
    /// The archive's folder; none before the first one is made, or without a recording.
    #[serde(default)]
    pub archive: Option<PathBuf>,
    /// How often the show was resumed.
    #[serde(default)]
    pub resumes: u32,
    /// When a bridge last said that it carries the show; saved every few seconds while on the air.
    pub alive_at: Timestamp,
    /// When that was as the machine counts it, so that a step of the wall clock makes no show older or younger.
    #[serde(default)]
    pub alive_mark: Option<BootMark>,
    /// When it was suspended; none while on the air or after a crash.
    #[serde(default)]
    pub suspended_at: Option<Timestamp>,
    /// When it ended; an ended show is not resumed.
    #[serde(default)]
    pub ended_at: Option<Timestamp>,
    /// The last known playlist of the session, so that a resumed show hears before it looks anything up.
    #[serde(default)]
    pub playlist_url: Option<String>,
    /// The link of the source, where it is another than those of the configuration: the operator's word, or the host's
    /// next space.
    #[serde(default)]
    pub source: Option<String>,
    /// Whether the outputs were opened: they are again, before anything is asked.
    #[serde(default)]
    pub on_air: bool,
    /// Whether the show is over but for the repair of its recording: a restart opens no output.
    #[serde(default)]
    pub repairing: bool,
    /// When the publishing sessions of each output's last hour began: a crash gives no new budget.
    #[serde(default)]
    pub publishes: BTreeMap<String, Vec<Timestamp>>,
    /// What an operator changed while the show is on the air.
    #[serde(default)]
    pub live: LiveRecord,
    /// [`fingerprint`] of what makes it this show and no other.
    #[serde(default)]
    pub fingerprint: String,
}

impl ShowRecord {
    /// A show that starts now.
    pub fn new(show: &str, fingerprint: String, now: Timestamp) -> Self {
        Self {
            show: show.to_owned(),
            archive: None,
            resumes: 0,
            alive_at: now,
            alive_mark: None,
            suspended_at: None,
            ended_at: None,
            playlist_url: None,
            source: None,
            on_air: false,
            repairing: false,
            publishes: BTreeMap::new(),
            live: LiveRecord::default(),
            fingerprint,
        }
    }

    /// Whether a run at `now` with this `fingerprint` goes on with the show. Within one start of the machine (`mark` is
    /// of the same as the record's) its own count of seconds decides; otherwise the wall clock, and one that stepped
    /// back counts like one that stepped forward.
    pub fn is_resumable(&self, now: Timestamp, mark: Option<&BootMark>, fingerprint: &str) -> bool {
        let last = self.suspended_at.unwrap_or(self.alive_at);
        let true_time = self.alive_mark.as_ref().zip(mark).and_then(|(then, now)| then.until(now));
        let away = true_time.unwrap_or_else(|| last.duration_until(now).unsigned_abs());
        self.ended_at.is_none() && self.fingerprint == fingerprint && away <= RESUMABLE
    }
}

/// A short word for a configuration's bytes, to be compared and nothing else.
pub fn fingerprint(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// Holds the right to carry the show; the kernel gives it back however the process ends.
#[derive(Debug)]
pub struct ShowLock {
    _file: File,
}

/// The state folder of one show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateFolder {
    show: String,
    path: PathBuf,
}

impl StateFolder {
    /// Opens the folder of show `name` under this user's root, and makes it where there is none.
    pub fn open(name: &str) -> Result<Self, StateError> {
        Self::open_in(&root()?, name)
    }

    /// Opens the folder of show `name` under `root`, and makes it where there is none.
    pub fn open_in(root: &Path, name: &str) -> Result<Self, StateError> {
        let folder = Self::at(root, name)?;
        DirBuilder::new().recursive(true).mode(0o700).create(&folder.path).map_err(io_at(&folder.path))?;
        let found = fs::metadata(&folder.path).map_err(io_at(&folder.path))?;
        let own = rustix::process::geteuid().as_raw();
        if found.uid() != own {
            return Err(StateError::Owner { path: folder.path, owner: found.uid() });
        }
        if found.mode() & 0o777 != 0o700 {
            fs::set_permissions(&folder.path, fs::Permissions::from_mode(0o700)).map_err(io_at(&folder.path))?;
        }
        Ok(folder)
    }

    /// Names the folder of show `name` under `root` without touching the disk.
    pub fn at(root: &Path, name: &str) -> Result<Self, StateError> {
        let fits = (1..=64).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
        if !fits {
            return Err(StateError::Name(name.to_owned()));
        }
        Ok(Self { show: name.to_owned(), path: root.join("shows").join(name) })
    }

    /// The show's name.
    pub fn show(&self) -> &str {
        &self.show
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The bridge's socket.
    pub fn socket(&self) -> SocketPath {
        SocketPath { folder: self.path.clone() }
    }

    /// What the bridge process writes to its standard output and error.
    pub fn log(&self) -> PathBuf {
        self.path.join("bridge.log")
    }

    /// Takes the right to carry the show.
    pub fn lock(&self) -> Result<ShowLock, StateError> {
        let path = self.path.join("lock");
        let mut options = OpenOptions::new();
        let mut file = options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(io_at(&path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => {
                let mut pid = String::new();
                (&mut file).take(16).read_to_string(&mut pid).map_err(io_at(&path))?;
                let pid = if pid.trim().is_empty() { "?".to_owned() } else { pid.trim().to_owned() };
                return Err(StateError::Locked { show: self.show.clone(), pid });
            }
            Err(fs::TryLockError::Error(error)) => return Err(io_at(&path)(error)),
        }
        file.set_len(0).and_then(|()| file.rewind()).map_err(io_at(&path))?;
        writeln!(file, "{}", std::process::id()).map_err(io_at(&path))?;
        Ok(ShowLock { _file: file })
    }

    /// The show's record; none where there is none or it cannot be understood, for then the show starts anew.
    pub fn load(&self) -> Result<Option<ShowRecord>, StateError> {
        let path = self.path.join("show.json");
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io_at(&path)(error)),
        };
        let mut bytes = Vec::new();
        file.take(RECORD_MAX).read_to_end(&mut bytes).map_err(io_at(&path))?;
        match serde_json::from_slice(&bytes) {
            Ok(record) => Ok(Some(record)),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "The show's record is unreadable; the show starts anew.");
                Ok(None)
            }
        }
    }

    /// Replaces the show's record, so that a crash leaves the old one or the new one whole.
    pub fn save(&self, record: &ShowRecord) -> Result<(), StateError> {
        let (path, part) = (self.path.join("show.json"), self.path.join("show.json.part"));
        let bytes = serde_json::to_vec_pretty(record).map_err(|error| io_at(&path)(error.into()))?;
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&part).map_err(io_at(&part))?;
        file.write_all(&bytes).and_then(|()| file.sync_all()).map_err(io_at(&part))?;
        fs::rename(&part, &path).map_err(io_at(&path))?;
        File::open(&self.path).and_then(|folder| folder.sync_all()).map_err(io_at(&self.path))
    }

    /// Whether a bridge answers on the show's socket.
    pub fn is_on_the_air(&self) -> bool {
        self.socket().with(|path| std::os::unix::net::UnixStream::connect(path)).is_ok()
    }
}

/// Path of a show's socket, usable however deep the state folder lies.
#[derive(Debug, Clone)]
pub struct SocketPath {
    folder: PathBuf,
}

impl SocketPath {
    /// The socket's real path.
    pub fn path(&self) -> PathBuf {
        self.folder.join("socket")
    }

    /// Calls `use_path` with a path that fits into a socket's address: the real one, or where that is too long one
    /// through a descriptor of its folder, which names the same file and is valid during the call.
    pub fn with<T>(&self, use_path: impl FnOnce(&Path) -> io::Result<T>) -> io::Result<T> {
        let path = self.path();
        if path.as_os_str().len() <= SOCKET_PATH_MAX {
            return use_path(&path);
        }
        let folder = File::open(&self.folder)?;
        use_path(&PathBuf::from(format!("/proc/self/fd/{}/socket", folder.as_raw_fd())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minutes(count: i64) -> jiff::SignedDuration {
        jiff::SignedDuration::from_mins(count)
    }

    #[test]
    fn only_a_fresh_unfinished_show_of_the_same_source_is_resumed() {
        let start = Timestamp::from_second(1_780_000_000).expect("valid");
        let crashed = ShowRecord::new("night", "f".into(), start);
        let suspended = ShowRecord { suspended_at: Some(start + minutes(60)), ..crashed.clone() };
        let ended = ShowRecord { ended_at: Some(start), ..crashed.clone() };
        for (record, after, print, expected) in [
            (&crashed, 1, "f", true),
            (&crashed, 30, "f", true),
            (&crashed, 31, "f", false),
            (&crashed, -5, "f", true),
            (&crashed, 1, "other", false),
            (&suspended, 89, "f", true),
            (&suspended, 91, "f", false),
            (&ended, 1, "f", false),
        ] {
            assert_eq!(record.is_resumable(start + minutes(after), None, print), expected, "{after} min, {record:?}");
        }
    }

    #[test]
    fn a_step_of_the_wall_clock_makes_no_show_older_or_younger() {
        let start = Timestamp::from_second(1_780_000_000).expect("valid");
        let mark = |boot: &str, seconds| BootMark { boot: boot.into(), seconds };
        let record = ShowRecord { alive_mark: Some(mark("one", 1000)), ..ShowRecord::new("night", "f".into(), start) };
        for (wall, now, expected) in [
            (60, mark("one", 1060), true),
            (-60, mark("one", 1060), true),
            (1, mark("one", 1000 + 31 * 60), false),
            (1, mark("two", 9), true),
            (60, mark("two", 9), false),
        ] {
            assert_eq!(record.is_resumable(start + minutes(wall), Some(&now), "f"), expected, "{wall} min, {now:?}");
        }
    }

    #[test]
    fn a_second_bridge_of_the_same_show_is_refused_and_told_who_carries_it() {
        let root = tempfile::tempdir().unwrap();
        let folder = StateFolder::open_in(root.path(), "night").unwrap();
        let lock = folder.lock().unwrap();
        let error = folder.lock().expect_err("held").to_string();
        assert!(error.contains(&std::process::id().to_string()), "{error}");
        drop(lock);
        folder.lock().unwrap();
    }

    #[test]
    fn the_folder_is_closed_to_others_even_if_it_was_open() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("shows/night");
        fs::create_dir_all(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        StateFolder::open_in(root.path(), "night").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o700);
    }

    #[test]
    fn a_name_cannot_leave_the_folder() {
        for name in ["", "..", "a/b", "a b", "é", &"x".repeat(65)] {
            assert!(StateFolder::at(Path::new("/x"), name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn a_record_survives_a_round_trip_and_a_torn_one_starts_anew() {
        let root = tempfile::tempdir().unwrap();
        let folder = StateFolder::open_in(root.path(), "night").unwrap();
        assert_eq!(folder.load().unwrap(), None);
        let record = ShowRecord::new("night", fingerprint(b"x"), Timestamp::from_second(1_780_000_000).unwrap());
        folder.save(&record).unwrap();
        assert_eq!(folder.load().unwrap(), Some(record));
        assert_eq!(fs::metadata(folder.path().join("show.json")).unwrap().mode() & 0o777, 0o600);
        fs::write(folder.path().join("show.json"), "{\"show\":\"ni").unwrap();
        assert_eq!(folder.load().unwrap(), None);
    }
}
