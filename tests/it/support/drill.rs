//! A rehearsal by the real program with real nginx ingests behind its fault proxies, judged by what nginx recorded.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::Signal;
use spacebridge::clock::Clock;
use spacebridge::rehearsal::ingest::follow::Follower;
use spacebridge::rehearsal::ingest::{ConnectionReport, IngestReport};
use spacebridge::rehearsal::judge::{Evidence, judge};
use spacebridge::rehearsal::run::EVIDENCE_FILE;
use spacebridge::rehearsal::verdict::Judgement;

use super::nginx::Nginx;
use super::process::PLUGINS;
use super::show::{PROGRAM, send};

/// Names of the outputs, as scenarios name them.
const NAMES: [&str; 2] = ["youtube", "rumble"];
/// Pause between two looks at the recordings.
const LOOK: Duration = Duration::from_millis(40);
/// Looks between two times at which the disk gets back what was judged.
const FORGET: u32 = 500;

/// What a drill is to be.
#[derive(Debug)]
pub(crate) struct Drill<'a> {
    /// A scenario's name or file.
    pub(crate) scenario: &'a str,
    /// How fast its schedule goes.
    pub(crate) speed: u32,
    /// Further keys of each output.
    pub(crate) output_keys: &'a str,
    /// How long it may take in all.
    pub(crate) patience: Duration,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// Judged by nginx's recordings.
    pub(crate) judgement: Judgement,
    /// What the rehearsal left.
    pub(crate) evidence: Evidence,
}

impl Drill<'_> {
    /// Holds it. `look` is called a few times a second with the folder of the bridge's state.
    pub(crate) async fn hold(&self, mut look: impl FnMut(&Path)) -> Outcome {
        let folder = tempfile::tempdir().expect("a folder");
        let ingests = [Nginx::start("live").await, Nginx::start("live").await];
        let mut text =
            "[show]\nname = \"drill\"\n\n[[source]]\nkind = \"tone\"\n\n[slate]\nflash = true\n\n".to_owned();
        for (name, nginx) in NAMES.iter().zip(&ingests) {
            let port = nginx.port;
            let keys = self.output_keys;
            text.push_str(&format!(
                "[[output]]\nname = \"{name}\"\nurl = \"rtmp://127.0.0.1:{port}/live\"\nkey_file = \"key\"\n{keys}\n\n"
            ));
        }
        fs::write(folder.path().join("drill.toml"), text).expect("a configuration");
        super::show::write_secret(&folder.path().join("key"), "drill-key-0123456789");
        let mut rehearsal = Rehearsal::start(self, folder.path());
        let watches: Vec<Watch> = NAMES.iter().zip(&ingests).map(|(name, nginx)| Watch::start(name, nginx)).collect();
        let deadline = std::time::Instant::now() + self.patience;
        while rehearsal.child.try_wait().expect("a state").is_none() {
            let late = std::time::Instant::now() > deadline;
            assert!(!late, "the rehearsal does not end: {}", rehearsal.said());
            if let Some(state) = rehearsal.state() {
                look(&state);
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
        let evidence = rehearsal.evidence();
        let mut at_nginx = evidence.clone();
        at_nginx.ingests = watches.into_iter().map(Watch::finish).collect();
        Outcome { judgement: judge(&at_nginx), evidence: at_nginx }
    }
}

/// A running rehearsal. Dropping it ends it and what it leaves.
struct Rehearsal {
    child: Child,
    folder: PathBuf,
}

impl Rehearsal {
    fn start(drill: &Drill<'_>, folder: &Path) -> Self {
        let file = |name: &str| fs::File::create(folder.join(name)).expect("a file");
        let mut command = Command::new(PROGRAM);
        command.args(["rehearse", "--json", "--publish-for-real", "--config", "drill.toml", "--folder", "out"]);
        command.args(["--scenario", drill.scenario, "--speed", &drill.speed.to_string()]);
        command.env("HOME", folder).env(PLUGINS.0, PLUGINS.1).current_dir(folder).process_group(0);
        command.stdin(Stdio::null()).stdout(file("out.json")).stderr(file("out.err"));
        Self { child: command.spawn().expect("the program starts"), folder: folder.to_owned() }
    }

    /// The folder that the rehearsal made for itself.
    fn own(&self) -> Option<PathBuf> {
        fs::read_dir(self.folder.join("out")).ok()?.next()?.ok().map(|entry| entry.path())
    }

    /// The state folder of its bridge.
    fn state(&self) -> Option<PathBuf> {
        let shows = self.own()?.join("state/shows");
        fs::read_dir(shows).ok()?.next()?.ok().map(|entry| entry.path())
    }

    fn said(&self) -> String {
        fs::read_to_string(self.folder.join("out.err")).unwrap_or_default()
    }

    fn evidence(&self) -> Evidence {
        let file = self.own().map(|own| own.join(EVIDENCE_FILE));
        let bytes = file.and_then(|file| fs::read(file).ok());
        let bytes = bytes.unwrap_or_else(|| panic!("the rehearsal left no evidence: {}", self.said()));
        serde_json::from_slice(&bytes).expect("evidence")
    }
}

impl Drop for Rehearsal {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
        // The bridge outlives its parent on purpose, and here only if a test failed.
        let Some(state) = self.state() else { return };
        let lock = fs::read_to_string(state.join("lock")).unwrap_or_default();
        let Ok(pid) = lock.trim().parse::<u32>() else { return };
        let ours = state.ancestors().nth(2).map(|root| format!("SPACEBRIDGE_STATE={}", root.display()));
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        let is_ours = |variable: &[u8]| ours.as_ref().is_some_and(|ours| variable == ours.as_bytes());
        if environment.split(|byte| *byte == 0).any(is_ours) {
            send(pid, Signal::KILL);
        }
    }
}

/// Judges the recordings of one nginx while they are written.
struct Watch {
    name: String,
    stop: Arc<AtomicBool>,
    followers: Arc<Mutex<Vec<Follower>>>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    fn start(name: &str, nginx: &Nginx) -> Self {
        let (stop, followers) = (Arc::new(AtomicBool::new(false)), Arc::<Mutex<Vec<Follower>>>::default());
        let (stopped, theirs, folder) = (stop.clone(), followers.clone(), nginx.recordings_folder());
        let thread = std::thread::spawn(move || {
            let mut known: Vec<PathBuf> = Vec::new();
            let mut looks = 0;
            loop {
                let is_last = stopped.load(Ordering::Relaxed);
                let mut followers = theirs.lock().expect("a follower");
                let mut files = files_of(&folder);
                files.retain(|file| !known.contains(file));
                for file in files {
                    followers.push(Follower::live(&file, Clock::system()).expect("a recording"));
                    known.push(file);
                }
                for follower in followers.iter_mut() {
                    while follower.poll().expect("a recording") > 0 {}
                }
                looks += 1;
                if looks % FORGET == 0 {
                    // A file system without holes only costs more.
                    followers.iter().for_each(|follower| drop(follower.forget()));
                }
                drop(followers);
                if is_last {
                    return;
                }
                std::thread::sleep(LOOK);
            }
        });
        Self { name: name.to_owned(), stop, followers, thread: Some(thread) }
    }

    fn finish(mut self) -> IngestReport {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().map(JoinHandle::join).expect("a thread").expect("the watching thread");
        let followers = std::mem::take(&mut *self.followers.lock().expect("followers"));
        let mut connections: Vec<ConnectionReport> =
            followers.into_iter().map(|follower| follower.finish().expect("a recording")).collect();
        // nginx makes a file for a stream that it then refuses, too: nothing ever came over that.
        let tries = connections.len();
        connections.retain(|connection| connection.audio.frames + connection.video.frames > 0);
        IngestReport { name: self.name.clone(), refused: (tries - connections.len()) as u32, connections }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

fn files_of(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> =
        fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    files.sort_by_key(|path| fs::metadata(path).and_then(|data| data.created()).expect("a creation time"));
    files
}

impl Outcome {
    /// Prints everything, then fails unless it passed.
    #[expect(clippy::print_stdout, reason = "the figures of a drill are its result")]
    pub(crate) fn assert_passed(&self) {
        self.judgement.report().iter().chain(&self.judgement.lines()).for_each(|line| println!("{line}"));
        println!("{}", self.table());
        assert!(self.judgement.passed(), "{}: {:#?}", self.evidence.scenario, self.judgement.reasons);
    }

    /// The figures as rows for docs/reliability.md.
    fn table(&self) -> String {
        let mut rows = vec![format!("| {} | measured | bound |\n| --- | --- | --- |", self.evidence.scenario)];
        for check in &self.judgement.verdict.checks {
            rows.push(format!("| {} | {:.1} s | {:.1} s |", check.what, check.measured_seconds, check.bound_seconds));
        }
        for output in &self.judgement.verdict.outputs {
            let missing = output.missing_ruler_seconds.len();
            rows.push(format!("| {}: connections | {} | |", output.name, output.connections));
            rows.push(format!(
                "| {}: longest gap in its timestamps | {} ms | 100 ms |",
                output.name, output.longest_gap_ms
            ));
            rows.push(format!("| {}: seconds of the ruler missing | {missing} | 0 |", output.name));
        }
        let recording = &self.judgement.verdict.recording;
        let missing = recording.missing_ruler_seconds.len();
        rows.push(format!("| recording: seconds missing of what could be fetched | {missing} | 0 |"));
        rows.push(format!("| recording: sessions | {} | |", recording.sessions));
        rows.join("\n")
    }
}
