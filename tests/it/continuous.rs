//! Continuous sources through the real program: recorded whole, heard whole, and kept through a crash.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use spacebridge::bridge::client::BridgeClient;
use spacebridge::bridge::state_folder::StateFolder;
use spacebridge::recording::Archive;

use super::support::measure::{assert_every_second, ruler_of};
use super::support::nginx::Nginx;
use super::support::{eventually, eventually_async, turn};
use super::uri::{radio, ruler_file, serve};

const PATIENCE: Duration = Duration::from_secs(40);

/// A show that a real `spacebridge run` carries. Dropping it ends its processes.
struct Carried {
    folder: tempfile::TempDir,
    child: std::process::Child,
    client: BridgeClient,
    /// The bridge that was seen last; 0 before any was.
    bridge: AtomicU32,
}

impl Carried {
    async fn start(link: &str, more: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        let log = std::fs::File::create(path("log")).expect("a log");
        let child = std::process::Command::new(env!("CARGO_BIN_EXE_spacebridge"))
            .args(["run", link, "--plain", "--name", "night", "--recordings"])
            .arg(path("recordings"))
            .args(more)
            .env("SPACEBRIDGE_STATE", path("state"))
            .env("NO_KEY", "anything")
            .stdin(std::process::Stdio::null())
            .stdout(log.try_clone().expect("a log"))
            .stderr(log)
            .spawn()
            .expect("a process");
        let state = StateFolder::open_in(&path("state"), "night").expect("a state folder");
        Self { folder, child, client: BridgeClient::new(state), bridge: AtomicU32::new(0) }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Waits until a bridge with another id than `before` has recorded `seconds`; its id.
    async fn recorded(&self, seconds: f64, before: u32) -> u32 {
        eventually_async(&format!("a recording of {seconds} s"), PATIENCE, || async {
            let status = self.client.status().await.ok()?;
            self.bridge.store(status.bridge.pid, Ordering::Relaxed);
            (status.bridge.pid != before && status.recording.seconds > seconds).then_some(status.bridge.pid)
        })
        .await
    }

    /// Ends the show; its archive.
    async fn end(&mut self) -> Archive {
        self.client.end().await.expect("an order");
        let log = self.folder.path().join("log");
        let code = eventually("the show ends", PATIENCE, || self.child.try_wait().expect("a state")).await;
        assert!(code.success(), "{}", std::fs::read_to_string(log).unwrap_or_default());
        let mut archives = std::fs::read_dir(self.folder.path().join("recordings")).expect("a folder");
        Archive::read(&archives.next().expect("an archive").expect("an entry").path()).expect("a journal")
    }
}

impl Drop for Carried {
    fn drop(&mut self) {
        let running = matches!(self.child.try_wait(), Ok(None));
        drop(self.child.kill());
        drop(self.child.wait());
        // A bridge outlives its parent; one whose parent ended by itself is gone.
        let bridge = Pid::from_raw(self.bridge.load(Ordering::Relaxed).cast_signed());
        if let Some(bridge) = bridge.filter(|_| running) {
            kill_process(bridge, Signal::KILL).ok();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tone_show_without_outputs_records_every_second() {
    let _turn = turn().await;
    let mut show = Carried::start("tone", &[]).await;
    show.recorded(5.0, 0).await;
    let archive = show.end().await;
    let [capture] = &archive.sessions[0].captures[..] else { panic!("{:?}", archive.sessions) };
    assert_every_second(&ruler_of(&archive.folder.join(&capture.file)), 5);
    let [file] = &archive.episodes.keys().collect::<Vec<_>>()[..] else {
        panic!("{:?}\n{}", archive.episodes, show.log())
    };
    let marks = ruler_of(&archive.folder.join(file));
    assert_eq!(marks[0].0, 0);
    assert_every_second(&marks, 5);
}

/// Kills the bridge without mercy, and the seconds that it and its successor recorded.
async fn kill_9(link: &str) -> (Vec<u32>, Vec<u32>) {
    let mut show = Carried::start(link, &[]).await;
    let pid = show.recorded(4.3, 0).await;
    kill_process(Pid::from_raw(pid.cast_signed()).expect("a pid"), Signal::KILL).expect("a signal");
    let killed = jiff::Timestamp::now();
    show.recorded(8.0, pid).await;
    let archive = show.end().await;
    let [first, second] = &archive.sessions[0].captures[..] else { panic!("{:?}", archive.sessions) };
    let marks = |file: &str| ruler_of(&archive.folder.join(file));
    let (before, after) = (marks(&first.file), marks(&second.file));
    let live = killed.duration_since(first.started_at.expect("a start")).as_secs_f64();
    assert_every_second(&before, (live - 1.0) as usize);
    assert_every_second(&after, 2);
    let index = |marks: Vec<(u32, f64)>| marks.into_iter().map(|(index, _)| index).collect();
    (index(before), index(after))
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_9_of_a_continuous_source_loses_at_most_a_second() {
    let _turn = turn().await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = ruler_file(folder.path(), "live.mp3", 60, &["-c:a", "libmp3lame", "-b:a", "128k"]);
    let base = serve(radio(&file, "audio/mpeg", 32_000, 16_000)).await;
    let radio = format!("{base}/live");
    let ((before, after), _) = tokio::join!(kill_9("tone"), kill_9(&radio));
    // The tone goes on while the bridge is away, as any live source.
    assert!(after[0] > before[before.len() - 1] && after[0] < before[before.len() - 1] + 10, "{before:?} {after:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_radio_on_the_air_gives_every_second_to_an_ingest() {
    let _turn = turn().await;
    let nginx = Nginx::start("live").await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = ruler_file(folder.path(), "live.mp3", 60, &["-c:a", "libmp3lame", "-b:a", "128k"]);
    let base = serve(radio(&file, "audio/mpeg", 48_000, 16_000)).await;
    let output = format!("nginx=rtmp://127.0.0.1:{}/live", nginx.port);
    let mut show = Carried::start(&format!("{base}/live"), &["--output", &output, "--key-env", "nginx=NO_KEY"]).await;
    show.recorded(12.0, 0).await;
    show.client.end().await.expect("an order");
    // The closing slate need not be seen to its end.
    eventually_async("the show ends", PATIENCE, || async { show.client.end().await.is_err().then_some(()) }).await;
    eventually("the process ends", PATIENCE, || show.child.try_wait().expect("a state")).await;
    let marks = ruler_of(nginx.recordings().last().expect("a recording"));
    assert_every_second(&marks, 8);
}
