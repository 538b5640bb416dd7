//! Tools as child processes that end with their owner, by their own process ids.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};

/// The variable that names GStreamer's list of its plugins, and the one list of all processes that have a home of their
/// own here: whoever begins in an empty home looks through every plugin for a second first.
pub(crate) const PLUGINS: (&str, &str) = ("GST_REGISTRY", concat!(env!("CARGO_TARGET_TMPDIR"), "/gst-registry.bin"));

/// Tools that tests use, with their Debian packages.
const PACKAGES: &[(&str, &str)] = &[
    ("nginx", "nginx"),
    ("ffmpeg", "ffmpeg"),
    ("ffprobe", "ffmpeg"),
    ("stunnel4", "stunnel4"),
    ("openssl", "openssl"),
    ("unshare", "util-linux"),
    ("ip", "iproute2"),
    ("chromedriver", "chromium-driver"),
    ("janus", "janus"),
];

/// Where the tool is; fails with the package that has it.
pub(crate) fn find(tool: &str) -> PathBuf {
    find_in(&std::env::var_os("PATH").unwrap_or_default(), tool).unwrap_or_else(|lack| panic!("{lack}"))
}

fn find_in(path: &OsStr, tool: &str) -> Result<PathBuf, String> {
    let folders = std::env::split_paths(path).chain(["/usr/sbin".into(), "/sbin".into()]);
    let found = folders.map(|folder: PathBuf| folder.join(tool)).find(|path| path.is_file());
    let package = PACKAGES.iter().find(|(name, _)| *name == tool).map_or("?", |(_, package)| package);
    found.ok_or_else(|| format!("this test needs {tool}: install the Debian package {package}"))
}

#[test]
fn a_missing_tool_fails_the_test_and_names_its_package() {
    let lack = find_in(OsStr::new("/nonexistent"), "ffprobe").expect_err("not there");
    assert!(lack.contains("install the Debian package ffmpeg"), "{lack}");
}

/// Runs a tool to its end.
pub(crate) fn run(tool: &str, arguments: &[&str]) -> Output {
    let output = Command::new(find(tool)).args(arguments).stdin(Stdio::null()).output().expect("a process");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{tool} {arguments:?} failed: {error}");
    output
}

/// A running tool. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
}

impl Process {
    /// Starts a tool in `folder`; what it says goes to `NAME.log` there.
    pub(crate) fn start(tool: &str, arguments: &[&str], folder: &Path) -> Self {
        let log = std::fs::File::create(folder.join(format!("{tool}.log"))).expect("a log file");
        let child = Command::new(find(tool))
            .args(arguments)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log file"))
            .stderr(log)
            .spawn()
            .expect("a process");
        Self { child }
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).expect("a pid")).expect("a pid");
        kill_process(pid, signal).expect("a signal");
    }

    /// Whether it still runs.
    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("a state").is_none()
    }

    /// Ends it without mercy.
    pub(crate) fn kill(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// What a process holds of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Vitals {
    /// Threads.
    pub(crate) threads: usize,
    /// Open descriptors.
    pub(crate) descriptors: usize,
    /// Its share of memory (`Pss`), in kB.
    pub(crate) memory_kb: u64,
}

impl Vitals {
    /// Of a running process of this user.
    pub(crate) fn of(pid: u32) -> Self {
        let count = |what: &str| std::fs::read_dir(format!("/proc/{pid}/{what}")).expect("a running process").count();
        let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).expect("a running process");
        let pss = rollup.lines().find_map(|line| line.strip_prefix("Pss:")).expect("a line");
        let memory_kb = pss.trim().trim_end_matches("kB").trim().parse().expect("kB");
        Self { threads: count("task"), descriptors: count("fd"), memory_kb }
    }
}
