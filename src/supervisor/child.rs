//! One bridge process: its arguments, its environment, its standard streams.
//!
//! Secrets go over standard input and nowhere else. The process is not tied to its parent's life
//! (`PR_SET_PDEATHSIG` is not used): a parent that is killed must not take a show off the air, and the signal would
//! follow the thread that started the process, which may end long before the parent does.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;

use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};

use super::log_file;
use super::policy::{EXIT_FAILED, Exit};

/// Variables that a bridge gets from its parent's environment.
const PASSED: [&str; 5] = ["PATH", "HOME", "LANG", "TZ", "RUST_LOG"];

/// Beginnings of further variables that a bridge gets.
const PASSED_PREFIXES: [&str; 7] = ["LC_", "XDG_", "GST_", "GIO_", "SSL_CERT_", "SPACEBRIDGE_", "RUST_BACKTRACE"];

/// Tells a bridge the process that starts it, which may be dead before the bridge can look.
pub const STARTED_BY: &str = "SPACEBRIDGE_STARTED_BY";

/// How a bridge process is started.
#[derive(Debug, Clone)]
pub struct Launch {
    /// The program.
    pub program: PathBuf,
    /// Its arguments; visible to every user of the machine.
    pub arguments: Vec<OsString>,
    /// Variables of this process that hold secrets, by whatever name: a bridge does not get them.
    pub secret_variables: Vec<String>,
    /// Root of the state folders, so that both processes mean the same one.
    pub state_root: PathBuf,
}

impl Launch {
    /// This program as the bridge of `show`: the file that runs now, even if an upgrade has replaced its name.
    pub fn this_program(show: &str, state_root: PathBuf) -> io::Result<Self> {
        let own = PathBuf::from("/proc/self/exe");
        let program = if own.exists() { own } else { std::env::current_exe()? };
        let arguments = ["bridge", "--show", show].map(OsString::from).to_vec();
        Ok(Self { program, arguments, secret_variables: Vec::new(), state_root })
    }

    /// Starts the process and hands it `handover` over its standard input. Gives the length of its log before its
    /// first word too.
    pub(super) fn start(&self, log: &Path, handover: Arc<[u8]>) -> io::Result<(Child, u64)> {
        let (file, log_start) = log_file::open(log)?;
        let mut child = Command::new(&self.program)
            .arg0("spacebridge")
            .args(&self.arguments)
            .env_clear()
            .envs(std::env::vars_os().filter(|(name, _)| self.passes(name)))
            .env("SPACEBRIDGE_STATE", &self.state_root)
            .env(STARTED_BY, std::process::id().to_string())
            // The allocator's default is eight arenas a core, and each keeps what a picture's encoding once took.
            .env("MALLOC_ARENA_MAX", "2")
            // Frames and pictures are given back to the system when they are done with, not kept for the next ones.
            .env("MALLOC_MMAP_THRESHOLD_", "262144")
            .env("MALLOC_TRIM_THRESHOLD_", "262144")
            .stdin(Stdio::piped())
            .stdout(file.try_clone()?)
            .stderr(file)
            // Ctrl-C on the terminal is for the parent, which asks the bridge to end in order.
            .process_group(0)
            .kill_on_drop(false)
            .spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            tokio::spawn(async move {
                if let Err(error) = stdin.write_all(&handover).await {
                    tracing::warn!(%error, "The bridge did not take its configuration.");
                }
            });
        }
        Ok((child, log_start))
    }

    /// Whether a child gets this variable of ours.
    pub(crate) fn passes(&self, name: &OsStr) -> bool {
        let Some(name) = name.to_str() else { return false };
        let listed = PASSED.contains(&name) || PASSED_PREFIXES.iter().any(|prefix| name.starts_with(prefix));
        listed && !self.secret_variables.iter().any(|secret| secret == name)
    }
}

/// What an exit status means.
pub(super) fn exit_of(status: ExitStatus) -> Exit {
    match (status.code(), status.signal()) {
        (Some(0), _) => Exit::Clean,
        (Some(64), _) => Exit::BadConfiguration,
        (Some(2), _) => Exit::GraceExceeded,
        (Some(code), _) if code == i32::from(EXIT_FAILED) => Exit::Failed,
        (Some(code), _) => Exit::Crashed(format!("exit code {code}")),
        (None, Some(signal)) => Exit::Crashed(format!("signal {signal}")),
        (None, None) => Exit::Crashed("no exit code".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_variable_is_not_passed_even_under_a_name_that_is() {
        let mut launch = Launch::this_program("night", "/state".into()).unwrap();
        launch.secret_variables = vec!["SPACEBRIDGE_YT_KEY".into()];
        for (name, expected) in [
            ("PATH", true),
            ("GST_PLUGIN_PATH", true),
            ("SPACEBRIDGE_STATE", true),
            ("SPACEBRIDGE_YT_KEY", false),
            ("YT_KEY", false),
            ("AWS_SECRET_ACCESS_KEY", false),
            ("CREDENTIALS_DIRECTORY", false),
        ] {
            assert_eq!(launch.passes(OsStr::new(name)), expected, "{name}");
        }
    }
}
