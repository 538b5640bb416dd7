//! Stream keys that the operator typed once and saved: one file of mode 0600 each, bound to the server it is for.

use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use url::Url;

use super::secrets::check_mode;
use crate::secret::Secret;

/// The folder of saved keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyStore {
    folder: PathBuf,
}

/// What is saved for an output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SavedKey {
    /// Nothing.
    None,
    /// The key for this very server.
    Found(Secret),
    /// A key for another server. It is not given out: whoever can change an address must not get a key by it.
    Elsewhere {
        /// The server it belongs to.
        server: String,
    },
}

/// Why a key could not be saved or read. Never holds the key.
#[derive(Debug, thiserror::Error)]
pub enum KeyStoreError {
    /// The file system refused.
    #[error("{path}: {error}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// Others could read it, or it is not as we wrote it.
    #[error("{0}")]
    Unusable(String),
}

#[derive(Serialize, Deserialize)]
struct Entry {
    server: String,
    key: String,
}

impl KeyStore {
    /// The store in `folder`.
    pub fn at(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// The operator's own store: `$XDG_CONFIG_HOME/spacebridge/keys`, or under `~/.config`. None without a home.
    pub fn of_user(env: &dyn Fn(&str) -> Option<String>) -> Option<Self> {
        let absolute = |name: &str| env(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let config = absolute("XDG_CONFIG_HOME").or_else(|| absolute("HOME").map(|home| home.join(".config")))?;
        Some(Self::at(config.join("spacebridge").join("keys")))
    }

    /// Saves the key of `output` for the server `url`; replaces an older one in one step.
    ///
    /// # Errors
    /// When the folder or the file cannot be written.
    pub fn save_key(&self, output: &str, url: &Url, key: &Secret) -> Result<PathBuf, KeyStoreError> {
        let path = self.path(output)?;
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |error| KeyStoreError::Io { path, error }
        };
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.folder).map_err(failed(&self.folder))?;
        let entry = Entry { server: server_of(url), key: key.expose().to_owned() };
        let text = serde_json::to_vec(&entry).expect("plain data");
        let new = self.folder.join(format!(".{output}.{}", std::process::id()));
        let write = || -> std::io::Result<()> {
            let mut file =
                std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
            file.write_all(&text)?;
            file.sync_all()?;
            std::fs::rename(&new, &path)
        };
        write().map_err(failed(&path))?;
        Ok(path)
    }

    /// The saved key of `output`, if it belongs to the server `url`.
    ///
    /// # Errors
    /// When the file is there and cannot be used.
    pub fn load(&self, output: &str, url: &Url) -> Result<SavedKey, KeyStoreError> {
        let path = self.path(output)?;
        if !path.exists() {
            return Ok(SavedKey::None);
        }
        check_mode(&path).map_err(|(message, remedy)| KeyStoreError::Unusable(format!("{message}. {remedy}")))?;
        let mut text = String::new();
        std::fs::File::open(&path)
            .and_then(|file| file.take(1 << 16).read_to_string(&mut text))
            .map_err(|error| KeyStoreError::Io { path: path.clone(), error })?;
        let unusable = |_| KeyStoreError::Unusable(format!("{} is not as it was written; delete it", path.display()));
        let entry: Entry = serde_json::from_str(&text).map_err(unusable)?;
        Ok(if entry.server == server_of(url) {
            SavedKey::Found(Secret::new(entry.key))
        } else {
            SavedKey::Elsewhere { server: entry.server }
        })
    }

    /// Forgets the key of `output`, if there is one.
    ///
    /// # Errors
    /// When the file cannot be removed.
    pub fn forget_key(&self, output: &str) -> Result<(), KeyStoreError> {
        let path = self.path(output)?;
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(KeyStoreError::Io { path, error }),
            _ => Ok(()),
        }
    }

    fn path(&self, output: &str) -> Result<PathBuf, KeyStoreError> {
        super::address::plain_name(output)
            .map_err(|(message, _)| KeyStoreError::Unusable(format!("the output's name {message}")))?;
        Ok(self.folder.join(output))
    }
}

/// Scheme, host, port and path: a key goes to no other place.
fn server_of(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{}{port}{}", url.scheme(), url.host_str().unwrap_or_default(), url.path())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn url(text: &str) -> Url {
        Url::parse(text).expect("a test address")
    }

    #[test]
    fn a_saved_key_is_readable_only_by_its_owner_and_given_back() {
        let folder = tempfile::tempdir().unwrap();
        let store = KeyStore::at(folder.path().join("a/keys"));
        let youtube = url("rtmps://a.rtmps.youtube.com:443/live2");
        assert_eq!(store.load("youtube", &youtube).unwrap(), SavedKey::None);
        let path = store.save_key("youtube", &youtube, &Secret::new("first")).unwrap();
        store.save_key("youtube", &youtube, &Secret::new("second")).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::metadata(folder.path().join("a/keys")).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(store.load("youtube", &youtube).unwrap(), SavedKey::Found(Secret::new("second")));
        assert_eq!(std::fs::read_dir(folder.path().join("a/keys")).unwrap().count(), 1);
        store.forget_key("youtube").unwrap();
        store.forget_key("youtube").unwrap();
        assert_eq!(store.load("youtube", &youtube).unwrap(), SavedKey::None);
    }

    #[test]
    fn a_saved_key_is_not_sent_to_another_server() {
        let folder = tempfile::tempdir().unwrap();
        let store = KeyStore::at(folder.path());
        store.save_key("main", &url("rtmps://live.example:443/app"), &Secret::new("key")).unwrap();
        for other in [
            "rtmps://evil.example:443/app",
            "rtmp://live.example:443/app",
            "rtmps://live.example:444/app",
            "rtmps://live.example:443/x",
        ] {
            let saved = store.load("main", &url(other)).unwrap();
            assert_eq!(saved, SavedKey::Elsewhere { server: "rtmps://live.example:443/app".into() }, "{other}");
        }
    }

    #[test]
    fn a_saved_key_that_others_can_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let store = KeyStore::at(folder.path());
        let server = url("rtmp://live.example/app");
        let path = store.save_key("main", &server, &Secret::new("key")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(store.load("main", &server).unwrap_err().to_string().contains("chmod 600"));
    }

    #[test]
    fn a_broken_saved_key_is_told_without_its_text() {
        let folder = tempfile::tempdir().unwrap();
        let store = KeyStore::at(folder.path());
        let server = url("rtmp://live.example/app");
        let path = store.save_key("main", &server, &Secret::new("key")).unwrap();
        std::fs::write(&path, "topsecret").unwrap();
        let error = store.load("main", &server).unwrap_err().to_string();
        assert!(error.contains("delete it") && !error.contains("topsecret"), "{error}");
        assert!(store.load("../main", &server).is_err());
    }
}
