//! `spacebridge serve` as a process of the real binary, with folders of its own, ended by its own process id.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use reqwest::{Method, RequestBuilder, StatusCode};
use rustix::process::Signal;
use serde_json::{Value, json};

use super::process::PLUGINS;
use super::show::{PROGRAM, send, write_secret};
use super::{eventually, eventually_async};

/// Folders of daemons that come one after the other.
#[derive(Debug)]
pub(crate) struct House {
    folder: tempfile::TempDir,
}

impl House {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir(folder.path().join("shows")).expect("a folder");
        Self { folder }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Root of the state.
    pub(crate) fn state(&self) -> PathBuf {
        self.path("state")
    }

    /// Writes a show file, and `key` as its `NAME.key`.
    pub(crate) fn show(&self, name: &str, sections: &str) {
        let text = format!(
            "[show]\nname = \"{name}\"\ntimezone = \"UTC\"\nclosing = \"1s\"\n\n{sections}\n[recording]\nfolder = \
             \"../recordings\"\nmin_free = \"0 MB\"\n"
        );
        fs::write(self.path("shows").join(format!("{name}.toml")), text).expect("a file");
        write_secret(&self.path("shows").join(format!("{name}.key")), &format!("{name}-key"));
    }

    /// Starts a daemon and waits until it answers.
    pub(crate) async fn serve(&self, options: &[&str]) -> Daemon {
        self.serve_in(options, &[]).await
    }

    /// The same, with more variables in its environment.
    pub(crate) async fn serve_in(&self, options: &[&str], variables: &[(&str, &OsStr)]) -> Daemon {
        let mut command = Command::new(PROGRAM);
        command.envs(variables.iter().copied());
        let daemon = self.start(command, options);
        self.heard(daemon, Path::new("")).await
    }

    /// The same with the state on a disk of its own of so many megabytes.
    pub(crate) async fn serve_on_small_disk(&self, options: &[&str], megabytes: u32) -> Daemon {
        fs::create_dir_all(self.state()).expect("a folder");
        let mut command = Command::new(super::process::find("unshare"));
        command.arg("--mount");
        if !rustix::process::geteuid().is_root() {
            command.arg("--map-root-user");
        }
        let mount =
            format!("set -e\nmount -t tmpfs -o size={megabytes}m none \"$SPACEBRIDGE_STATE\"\nexec \"$0\" \"$@\"");
        command.args(["sh", "-c", &mount, PROGRAM]);
        let daemon = self.start(command, options);
        let behind = PathBuf::from(format!("/proc/{}/root", daemon.pid()));
        self.heard(daemon, &behind).await
    }

    /// Fills the disk that is under the state of `daemon`.
    pub(crate) fn fill(&self, daemon: &Daemon) {
        let mut filler = File::create(self.filler(daemon)).expect("a file");
        // Pages, then bytes, until nothing goes in any more.
        while std::io::Write::write_all(&mut filler, &[0; 4096]).is_ok() {}
        while std::io::Write::write_all(&mut filler, &[0]).is_ok() {}
    }

    /// Makes room again.
    pub(crate) fn empty(&self, daemon: &Daemon) {
        fs::remove_file(self.filler(daemon)).expect("a file");
    }

    fn filler(&self, daemon: &Daemon) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{}", daemon.pid(), self.path("state/filler").display()))
    }

    /// Waits until it answers; its state is found below `root`.
    async fn heard(&self, mut daemon: Daemon, root: &Path) -> Daemon {
        let said = eventually("the daemon listens", Duration::from_secs(20), || {
            assert!(daemon.child.try_wait().expect("a state").is_none(), "it ended: {}", daemon.said());
            daemon.said().lines().find_map(|line| Some(line.split_once("Listening at ")?.1.to_owned()))
        })
        .await;
        daemon.url = said.split(';').next().expect("an address").to_owned();
        let state = PathBuf::from(format!("{}{}", root.display(), self.state().display()));
        let token = |role: &str| fs::read_to_string(state.join(format!("serve/{role}.token"))).expect("a token");
        (daemon.operate, daemon.view) = (token("operate"), token("view"));
        daemon
    }

    /// Starts a daemon at a free port.
    pub(crate) fn spawn(&self, options: &[&str]) -> Daemon {
        self.start(Command::new(PROGRAM), options)
    }

    fn start(&self, mut command: Command, options: &[&str]) -> Daemon {
        let number = (1..).find(|number| !self.path(&format!("serve-{number}.log")).exists()).expect("a number");
        let log = self.path(&format!("serve-{number}.log"));
        let file = File::create(&log).expect("a file");
        command.arg("serve").arg("--shows").arg(self.path("shows")).arg("--data").arg(self.path("data"));
        if !options.contains(&"--listen") {
            command.args(["--listen", "127.0.0.1:0"]);
        }
        command.args(options).env("SPACEBRIDGE_STATE", self.state()).env("HOME", self.folder.path());
        command.env(PLUGINS.0, PLUGINS.1);
        command.stdin(Stdio::null()).stdout(file.try_clone().expect("a file")).stderr(file);
        let child = command.spawn().expect("the program starts");
        let (url, operate, view) = Default::default();
        let client = reqwest::Client::builder().no_proxy().danger_accept_invalid_certs(true).build().expect("a client");
        Daemon { child, log, url, operate, view, client }
    }
}

impl Drop for House {
    fn drop(&mut self) {
        // Bridges outlive their daemon on purpose, and here only if a test failed.
        let Ok(shows) = fs::read_dir(self.state().join("shows")) else { return };
        for folder in shows.filter_map(Result::ok) {
            let lock = fs::read_to_string(folder.path().join("lock")).unwrap_or_default();
            let Ok(pid) = lock.trim().parse::<u32>() else { continue };
            if is_ours(pid, &self.state()) {
                send(pid, Signal::KILL);
            }
        }
    }
}

fn is_ours(pid: u32, state: &Path) -> bool {
    let ours = format!("SPACEBRIDGE_STATE={}", state.display());
    let bridge = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    bridge.split(|byte| *byte == 0).any(|word| word == b"bridge")
        && environment.split(|byte| *byte == 0).any(|variable| variable == ours.as_bytes())
}

/// A running daemon. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Daemon {
    child: Child,
    log: PathBuf,
    pub(crate) url: String,
    pub(crate) operate: String,
    pub(crate) view: String,
    client: reqwest::Client,
}

impl Daemon {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has said so far.
    pub(crate) fn said(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).expect("a log")).into_owned()
    }

    /// Waits for its end; its exit code, none after a signal.
    pub(crate) async fn ended(&mut self, seconds: u64) -> Option<i32> {
        let child = &mut self.child;
        let patience = Duration::from_secs(seconds);
        eventually("the daemon ends", patience, || child.try_wait().expect("a state")).await.code()
    }

    /// Ends it by a signal.
    pub(crate) async fn stop(&mut self, signal: Signal) -> Option<i32> {
        send(self.pid(), signal);
        self.ended(20).await
    }

    /// A request without a token.
    pub(crate) fn bare(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url)).timeout(Duration::from_secs(20))
    }

    /// A request of an operator.
    pub(crate) fn ask(&self, method: Method, path: &str) -> RequestBuilder {
        self.bare(method, path).bearer_auth(&self.operate)
    }

    /// What a path answers.
    pub(crate) async fn get(&self, path: &str) -> Value {
        let answer = self.ask(Method::GET, path).send().await.expect("an answer");
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        answer.json().await.expect("JSON")
    }

    /// Sends an order; its status and what it says.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> (StatusCode, Value) {
        let answer = self.ask(Method::POST, path).json(body).send().await.expect("an answer");
        (answer.status(), answer.json().await.unwrap_or_default())
    }

    /// Gives an order that has to be taken.
    pub(crate) async fn order(&self, path: &str) {
        let (status, said) = self.post(path, &json!({})).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{path}: {said}");
    }

    /// Waits until a show is as `wanted`.
    pub(crate) async fn until(&self, show: &str, what: &str, seconds: u64, wanted: impl Fn(&Value) -> bool) -> Value {
        let path = format!("/api/v1/shows/{show}");
        let look = || async { Some(self.get(&path).await).filter(&wanted) };
        eventually_async(&format!("{show}: {what}"), Duration::from_secs(seconds), look).await
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
