//! Where this user's state lies, and which shows of it are on the air.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use super::{StateError, StateFolder};

/// This user's root of state.
pub fn root() -> Result<PathBuf, StateError> {
    root_from(&|name| std::env::var_os(name))
}

/// `SPACEBRIDGE_STATE`, what systemd gives by `StateDirectory=`, `$XDG_STATE_HOME/spacebridge`, or
/// `~/.local/state/spacebridge`: the first that is an absolute path.
fn root_from(variable: &dyn Fn(&str) -> Option<OsString>) -> Result<PathBuf, StateError> {
    let absolute = |name: &str| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    // systemd joins several state directories by colons; the first is ours.
    let systemd = || {
        let list = variable("STATE_DIRECTORY")?.into_string().ok()?;
        list.split(':').next().map(PathBuf::from).filter(|path| path.is_absolute())
    };
    absolute("SPACEBRIDGE_STATE")
        .or_else(systemd)
        .or_else(|| absolute("XDG_STATE_HOME").map(|home| home.join("spacebridge")))
        .or_else(|| absolute("HOME").map(|home| home.join(".local/state/spacebridge")))
        .ok_or(StateError::NoRoot)
}

/// Names of the shows under `root` whose bridge answers, in order.
pub fn shows_on_the_air(root: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(root.join("shows")) else { return Vec::new() };
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| StateFolder::at(root, name).is_ok_and(|folder| folder.is_on_the_air()))
        .collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_is_the_first_absolute_path_of_the_known_places() {
        type Variables = &'static [(&'static str, &'static str)];
        let table: [(Variables, Option<&str>); 5] = [
            (&[("SPACEBRIDGE_STATE", "/s"), ("HOME", "/h")], Some("/s")),
            (&[("SPACEBRIDGE_STATE", "relative"), ("HOME", "/h")], Some("/h/.local/state/spacebridge")),
            (&[("STATE_DIRECTORY", "/var/lib/spacebridge:/b"), ("HOME", "/h")], Some("/var/lib/spacebridge")),
            (&[("XDG_STATE_HOME", "/x"), ("HOME", "/h")], Some("/x/spacebridge")),
            (&[], None),
        ];
        for (variables, expected) in table {
            let lookup = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into());
            assert_eq!(root_from(&lookup).ok(), expected.map(PathBuf::from), "{variables:?}");
        }
    }
}
