//! A whole show as an operator runs it: the simulated space and `spacebridge run` as processes of the real binary, with
//! a state folder of their own, each ended by its own process id.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use spacebridge::bridge::client::BridgeClient;
use spacebridge::bridge::state_folder::StateFolder;
use spacebridge::rehearsal::space::{Order, SpaceArgs, SpaceReport, SpaceStarted};
use spacebridge::status::{OutputState, ShowState, ShowStatus};

use super::nginx::Nginx;
use super::process::PLUGINS;

/// The real program.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_spacebridge");

/// Name of every show here: each has a state folder of its own.
pub(crate) const SHOW: &str = "night";

/// A simulated space. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Space {
    child: Child,
    // It ends when this is closed.
    _stdin: Option<ChildStdin>,
    client: reqwest::Client,
    /// Where it is.
    pub(crate) started: SpaceStarted,
}

impl Space {
    /// Starts it and waits until it serves.
    pub(crate) async fn start(args: &SpaceArgs) -> Self {
        let mut command = Command::new(PROGRAM);
        command.args(args.to_arguments()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("the space starts");
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take().expect("a pipe"));
        let reading = tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            BufReader::new(stdout).read_line(&mut line).expect("the space says where it is");
            line
        });
        let line = reading.await.expect("a line");
        let started = serde_json::from_str(&line).expect("where the space is");
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10)).build().expect("a client");
        Self { child, _stdin: stdin, client, started }
    }

    /// A space that has been running for `seconds`.
    pub(crate) async fn running_for(seconds: u32) -> Self {
        Self::start(&SpaceArgs { running_for_seconds: seconds, ..SpaceArgs::default() }).await
    }

    /// Gives an order.
    pub(crate) async fn order(&self, order: Order) -> SpaceReport {
        let url = format!("{}/control", self.started.guest_base);
        let answer = self.client.post(url).json(&order).send().await.expect("an answer");
        answer.error_for_status().expect("the order is understood").json().await.expect("a report")
    }

    /// Stops it in its tracks: its sockets stay open and nobody answers.
    pub(crate) fn freeze(&self) {
        send(self.child.id(), Signal::STOP);
    }

    /// What it saw so far.
    pub(crate) async fn report(&self) -> SpaceReport {
        let url = format!("{}/control/report", self.started.guest_base);
        self.client.get(url).send().await.expect("an answer").json().await.expect("a report")
    }

    /// The sections of a configuration that make it the source, with the cookies' files where `Stage` writes them.
    pub(crate) fn config(&self) -> String {
        self.source("") + &self.platform()
    }

    /// The same with two paths: a speaker's seat, and the listener's below it. Both have `keys`.
    pub(crate) fn config_of_both_seats(&self, keys: &str) -> String {
        self.source(&format!("seat = \"speaker\"\n{keys}\n")) + &self.source(&format!("{keys}\n")) + &self.platform()
    }

    fn source(&self, keys: &str) -> String {
        let space_url = &self.started.space_url;
        format!(
            "[[source]]\nkind = \"x-space\"\nurl = \"{space_url}\"\nauth_token_file = \"auth_token\"\n\
             ct0_file = \"ct0\"\n{keys}\n"
        )
    }

    fn platform(&self) -> String {
        let SpaceStarted { api_base, guest_base, .. } = &self.started;
        format!(
            "[x]\napi_base = \"{api_base}\"\nguest_base = \"{guest_base}\"\n\
             chat_base = \"{guest_base}\"\nlogin_base = \"{guest_base}\"\nstage_base = \"{guest_base}\"\n\
             cookie_hosts = [\"127.0.0.1\"]\nallow_private_addresses = true\nlookup_interval = \"2s\"\n\n"
        )
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Writes a secret as the program wants it: for its owner alone.
pub(crate) fn write_secret(path: &Path, secret: &str) {
    let mut options = fs::OpenOptions::new();
    let file = options.write(true).create(true).truncate(true).mode(0o600).open(path);
    std::io::Write::write_all(&mut file.expect("a file"), secret.as_bytes()).expect("a secret");
}

/// The section of an output that publishes to `nginx` with the key in the file `NAME.key`.
pub(crate) fn output(name: &str, nginx: &Nginx) -> String {
    let port = nginx.port;
    format!("[[output]]\nname = \"{name}\"\nurl = \"rtmp://127.0.0.1:{port}/live\"\nkey_file = \"{name}.key\"\n\n")
}

/// A folder with a configuration, its secrets, its state and its recordings.
#[derive(Debug)]
pub(crate) struct Stage {
    folder: tempfile::TempDir,
}

impl Stage {
    /// A show of `sections` beside `[show]`, `[slate]` and `[recording]`. Every `*.key` that they name gets a file.
    pub(crate) fn new(sections: &str) -> Self {
        Self::with_closing(sections, "1s")
    }

    /// [`Stage::new`] with further keys of `[show]`, each on its own line.
    pub(crate) fn with_show(sections: &str, keys: &str) -> Self {
        let stage = Self::new(sections);
        let text = fs::read_to_string(stage.path("show.toml")).expect("a configuration");
        fs::write(stage.path("show.toml"), text.replacen("[show]\n", &format!("[show]\n{keys}\n"), 1)).expect("a file");
        stage
    }

    /// [`Stage::new`] with a closing slate of some length.
    pub(crate) fn with_closing(sections: &str, closing: &str) -> Self {
        let stage = Self { folder: tempfile::tempdir().expect("a folder") };
        let show = format!("[show]\nname = \"{SHOW}\"\ntimezone = \"UTC\"\nclosing = \"{closing}\"\n\n");
        let rest = "[slate]\nflash = true\n\n[recording]\nfolder = \"recordings\"\nmin_free = \"0 MB\"\nrepair_for = \"off\"\n";
        fs::write(stage.path("show.toml"), format!("{show}{sections}{rest}")).expect("a configuration");
        let names = sections.split('"').filter(|word| word.ends_with(".key"));
        for name in names.chain(["auth_token", "ct0"]) {
            let secret: String = (0..40).map(|_| fastrand::alphanumeric()).collect();
            stage.secret(name, &secret);
        }
        stage
    }

    /// Writes a secret as the program wants it: for its owner alone.
    pub(crate) fn secret(&self, name: &str, secret: &str) {
        write_secret(&self.path(name), secret);
    }

    /// A path in the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs the show; what it says goes to `run-N.out` and `run-N.err`.
    pub(crate) fn run(&self, options: &[&str]) -> Run {
        self.run_with(options, |command| command)
    }

    /// [`Stage::run`] with a last word on the process.
    pub(crate) fn run_with(&self, options: &[&str], change: impl FnOnce(Command) -> Command) -> Run {
        let mut command = Command::new(PROGRAM);
        command.arg("run").arg("--config").arg(self.path("show.toml")).args(options);
        self.start(change(command))
    }

    /// Runs another verb on this stage's state, as [`Stage::run`] runs the show.
    pub(crate) fn run_verb(&self, arguments: &[&str]) -> Run {
        let mut command = Command::new(PROGRAM);
        command.args(arguments);
        self.start(command)
    }

    /// Runs the show in a mount namespace of its own, after the shell commands of `prepare`.
    pub(crate) fn run_behind_mounts(&self, prepare: &str) -> Run {
        let mut command = Command::new(super::process::find("unshare"));
        command.arg("--mount");
        if !rustix::process::geteuid().is_root() {
            command.arg("--map-root-user");
        }
        let script = format!("set -e\n{prepare}\nexec \"$0\" run --config \"$1\" --json");
        command.args(["sh", "-c", &script, PROGRAM]).arg(self.path("show.toml"));
        self.start(command)
    }

    fn start(&self, mut command: Command) -> Run {
        let number = (1..).find(|number| !self.path(&format!("run-{number}.out")).exists()).expect("a number");
        let (out, err) = (self.path(&format!("run-{number}.out")), self.path(&format!("run-{number}.err")));
        let file = |path: &Path| File::create(path).expect("a file");
        command
            .env("SPACEBRIDGE_STATE", self.path("state"))
            .env("HOME", self.folder.path())
            .env(PLUGINS.0, PLUGINS.1)
            .current_dir(self.folder.path());
        command.stdin(Stdio::null()).stdout(file(&out)).stderr(file(&err)).process_group(0);
        let child = command.spawn().expect("the program starts");
        Run { child, out, err, state: self.path("state") }
    }

    /// A verb of the command line on this stage's state; its output, whatever its exit code.
    pub(crate) async fn verb(&self, arguments: &[&str]) -> std::process::Output {
        let mut command = tokio::process::Command::new(PROGRAM);
        command.args(arguments).env("SPACEBRIDGE_STATE", self.path("state")).env("HOME", self.folder.path());
        command.env(PLUGINS.0, PLUGINS.1);
        command.current_dir(self.folder.path()).kill_on_drop(true).output().await.expect("the program starts")
    }

    /// The bridge's status over its socket; none while there is no bridge.
    pub(crate) async fn status(&self) -> Option<ShowStatus> {
        let folder = StateFolder::at(&self.path("state"), SHOW).expect("a name");
        BridgeClient::new(folder).status().await.ok()
    }

    /// Waits until the status is as `wanted`.
    pub(crate) async fn until(&self, what: &str, seconds: u64, wanted: impl Fn(&ShowStatus) -> bool) -> ShowStatus {
        let deadline = Instant::now() + Duration::from_secs(seconds);
        loop {
            let status = self.status().await;
            if let Some(status) = status.as_ref().filter(|status| wanted(status)) {
                return status.clone();
            }
            assert!(Instant::now() < deadline, "not within {seconds} s: {what}; it said last: {status:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until the space is on the air and every output is live.
    pub(crate) async fn until_live(&self) -> ShowStatus {
        self.until("the show is live with all its outputs", 30, |status| {
            status.state == ShowState::Live && status.outputs.iter().all(|one| one.state == OutputState::Live)
        })
        .await
    }

    /// Waits until `seconds` more of the space are kept than now.
    pub(crate) async fn until_kept(&self, seconds: f64) -> ShowStatus {
        let before = self.status().await.map_or(0.0, |status| status.recording.seconds);
        let wait = seconds as u64 + 20;
        self.until("more is kept", wait, |status| status.recording.seconds >= before + seconds).await
    }

    /// The lines of the only archive's journal, whole ones alone.
    pub(crate) fn journal(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.archive().join("journal.jsonl")).expect("a journal");
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// The only archive.
    pub(crate) fn archive(&self) -> PathBuf {
        let entries = fs::read_dir(self.path("recordings")).expect("recordings");
        let archives: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
        let [archive] = &archives[..] else { panic!("not one archive: {archives:?}") };
        archive.clone()
    }

    /// The only finished file.
    pub(crate) fn finished(&self) -> PathBuf {
        let entries = fs::read_dir(self.archive()).expect("an archive");
        let files: Vec<_> = entries
            .map(|entry| entry.expect("an entry").path())
            .filter(|path| path.extension().is_some_and(|kind| kind == "m4a"))
            .collect();
        let [file] = &files[..] else { panic!("not one finished file: {files:?}") };
        file.clone()
    }
}

/// Sequence numbers of the segments that a journal lists, in its order.
pub(crate) fn sequences(journal: &[Value]) -> Vec<u64> {
    let segments = journal.iter().filter(|line| line["type"] == "segment");
    segments.filter_map(|line| line["sequence"].as_u64()).collect()
}

/// A running `spacebridge run`. Dropping it kills it and its bridge.
#[derive(Debug)]
pub(crate) struct Run {
    child: Child,
    out: PathBuf,
    err: PathBuf,
    state: PathBuf,
}

impl Run {
    /// The parent's process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends the parent a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        send(self.pid(), signal);
    }

    /// Ends the show as Ctrl-C does, and waits for the last word.
    pub(crate) async fn interrupt(mut self) -> Said {
        self.signal(Signal::INT);
        self.ended(40).await
    }

    /// Waits for its end.
    pub(crate) async fn ended(&mut self, seconds: u64) -> Said {
        let patience = Duration::from_secs(seconds);
        let child = &mut self.child;
        let (out, err) = (self.out.clone(), self.err.clone());
        let status = super::eventually("the program ends", patience, || child.try_wait().expect("a state")).await;
        let read = |path: &Path| String::from_utf8_lossy(&fs::read(path).expect("what it said")).into_owned();
        Said { code: status.code(), out: read(&out), err: read(&err) }
    }

    /// What it has said so far on its standard output.
    pub(crate) fn said(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.out).expect("what it said")).into_owned()
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
        // The bridge outlives its parent on purpose, and here only if a test failed.
        let lock = fs::read_to_string(self.state.join("shows").join(SHOW).join("lock")).unwrap_or_default();
        let Ok(pid) = lock.trim().parse::<u32>() else { return };
        let ours = format!("SPACEBRIDGE_STATE={}", self.state.display());
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        if environment.split(|byte| *byte == 0).any(|variable| variable == ours.as_bytes()) {
            send(pid, Signal::KILL);
        }
    }
}

/// Sends a process a signal.
pub(crate) fn send(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(pid.cast_signed()).expect("a pid");
    kill_process(pid, signal).expect("a signal");
}

/// What a program said until its end.
#[derive(Debug)]
pub(crate) struct Said {
    /// Its exit code; none after a signal.
    pub(crate) code: Option<i32>,
    /// Its standard output.
    pub(crate) out: String,
    /// Its standard error.
    pub(crate) err: String,
}

impl Said {
    /// Both streams.
    pub(crate) fn all(&self) -> String {
        format!("{}{}", self.out, self.err)
    }

    /// The JSON lines of the given type, such as `event`, `status` and `summary`.
    pub(crate) fn lines(&self, kind: &str) -> Vec<Value> {
        let lines = self.out.lines().map(|line| serde_json::from_str::<Value>(line).expect("a JSON line"));
        lines.filter(|line| line["type"] == kind).collect()
    }

    /// The last word.
    pub(crate) fn summary(&self) -> Value {
        self.lines("summary").pop().unwrap_or_else(|| panic!("no summary: {}", self.all()))
    }
}
