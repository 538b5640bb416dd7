//! Disks that are full, for a while: the mirrors go on, it is told, and everything is kept once there is room.

use std::fs::{self, File};
use std::io::Write;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;
use spacebridge::bridge::client::BridgeClient;
use spacebridge::bridge::state_folder::StateFolder;
use spacebridge::status::{OutputState, ShowState, ShowStatus};

use crate::support::measure::{assert_every_second, ruler_of};
use crate::support::media::Tracks;
use crate::support::nginx::Nginx;
use crate::support::show::{Run, SHOW, Space, Stage, output, sequences};
use crate::support::{eventually, eventually_async, turn};

fn is_live(status: &ShowStatus) -> bool {
    status.state == ShowState::Live && status.outputs.iter().all(|one| one.state == OutputState::Live)
}

/// A folder behind the mounts of a running show, also when the show is over.
struct Behind {
    folder: File,
}

impl Behind {
    async fn of(run: &Run, folder: &Path) -> Self {
        let path = format!("/proc/{}/root{}", run.pid(), folder.display());
        // The namespace of its own comes a moment after the process.
        let own = fs::read_link("/proc/self/ns/mnt").expect("a namespace");
        let folder = eventually("the show has mounts of its own", Duration::from_secs(10), || {
            let theirs = fs::read_link(format!("/proc/{}/ns/mnt", run.pid())).ok()?;
            let program = fs::read_link(format!("/proc/{}/exe", run.pid())).ok()?;
            // The shell before it mounts, then becomes the program.
            (theirs != own && program.ends_with("spacebridge")).then(|| File::open(&path).expect("a folder"))
        })
        .await;
        Self { folder }
    }

    /// A path that other programs understand too.
    fn path(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/fd/{}/{name}", std::process::id(), self.folder.as_raw_fd()))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_is_full_for_a_while_loses_nothing_of_the_recording_and_no_mirror() {
    let _turn = turn().await;
    let nginx = Nginx::start("live").await;
    let space = Space::running_for(20).await;
    let stage = Stage::new(&format!("{}{}", space.config(), output("a", &nginx)));
    let recordings = stage.path("recordings");
    fs::create_dir(&recordings).expect("a folder");
    // Room for three segments and a bit; without the filler also for the final file.
    let at = recordings.display();
    let mut run = stage.run_behind_mounts(&format!(
        "mount -t tmpfs -o size=24m none '{at}'; head -c $((24 * 1048576 - 160 * 1024)) /dev/zero > '{at}/filler'"
    ));
    let behind = Behind::of(&run, &recordings).await;
    let status = stage
        .until("the trouble is told while the output is live", 40, |status| {
            status.recording.error.is_some() && status.outputs[0].state == OutputState::Live
        })
        .await;
    let kept_in_time = status.recording.segments;
    assert!(status.recording.error.expect("an error").contains("free some space"));
    nginx.grows(2_000_000).await;
    fs::remove_file(behind.path("filler")).expect("room again");
    let status = stage
        .until("what was held is kept", 30, |status| {
            status.recording.error.is_none() && status.recording.segments > kept_in_time + 2
        })
        .await;
    assert!(is_live(&status) && status.recording.gaps.is_empty(), "{:?}", status.recording);
    assert_eq!((status.outputs[0].connections, status.outputs[0].failures), (1, 0));
    run.signal(Signal::INT);
    let said = run.ended(40).await;
    assert_eq!(said.code, Some(0), "{}", said.all());
    let told = |code: &str| said.lines("event").iter().filter(|event| event["code"] == code).count();
    assert_eq!((told("recording.stopped"), told("recording.back")), (1, 1), "{}", said.all());
    assert_eq!(said.summary()["recording"]["gaps"], serde_json::json!([]));
    let [file] = &nginx.recordings()[..] else { panic!("not one connection: {:?}", nginx.recordings()) };
    Tracks::of(file).assert_continuous_from(0);
    assert_every_second(&ruler_of(file), 5);
    assert_archive_is_whole(&behind);
}

/// Fails unless the only archive has every segment from the first to the last, and a final file with all of it.
fn assert_archive_is_whole(recordings: &Behind) {
    let archive = fs::read_dir(recordings.path("")).expect("a folder").next().expect("an archive").expect("an entry");
    let journal = fs::read_to_string(archive.path().join("journal.jsonl")).expect("a journal");
    let journal: Vec<_> = journal.lines().map(|line| serde_json::from_str(line).expect("a whole line")).collect();
    let kept = sequences(&journal);
    assert!(kept.windows(2).all(|pair| pair[1] == pair[0] + 1), "not every segment, in order: {kept:?}");
    let files = fs::read_dir(archive.path()).expect("an archive").map(|entry| entry.expect("an entry").path());
    let finished: Vec<_> = files.filter(|path| path.extension().is_some_and(|kind| kind == "m4a")).collect();
    let [finished] = &finished[..] else { panic!("{finished:?}") };
    assert_every_second(&ruler_of(finished), 12);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_under_state_and_log_is_told_once_and_the_show_goes_on() {
    let _turn = turn().await;
    let nginx = Nginx::start("live").await;
    let space = Space::running_for(20).await;
    let stage = Stage::new(&format!("{}{}", space.config(), output("a", &nginx)));
    let state = stage.path("state");
    fs::create_dir(&state).expect("a folder");
    let mut run = stage.run_behind_mounts(&format!("mount -t tmpfs -o size=1m none '{}'", state.display()));
    let behind = Behind::of(&run, &state).await;
    let client = BridgeClient::new(StateFolder::at(&behind.path(""), SHOW).expect("a name"));
    let until = async |what: &str, wanted: &dyn Fn(&ShowStatus) -> bool| {
        let look = || async { client.status().await.ok().filter(wanted) };
        eventually_async(what, Duration::from_secs(40), look).await
    };
    let pid = until("the show is live", &is_live).await.bridge.pid;
    let mut filler = File::create(behind.path("filler")).expect("a file");
    // Pages, then bytes, until nothing goes in any more.
    while filler.write_all(&[0; 4096]).is_ok() {}
    while filler.write_all(&[0]).is_ok() {}
    drop(filler);
    let told = |status: &ShowStatus, code: &str| status.events.iter().filter(|event| event.code == code).count();
    until("it is told", &|status| told(status, "show.unsaved") == 1).await;
    // Twice as long as the pause between two tries, with more for the log, which cannot take it.
    for connections in [2, 3] {
        client.output("a", spacebridge::bridge::protocol::OutputAction::Restart).await.expect("an order");
        until("the output is back", &|status| status.outputs[0].connections == connections && is_live(status)).await;
        nginx.grows(1_200_000).await;
    }
    let status = until("the show is live", &is_live).await;
    assert_eq!((status.bridge.pid, status.bridge.resumes), (pid, 0));
    assert_eq!(told(&status, "show.unsaved"), 1, "{:?}", status.events);
    fs::remove_file(behind.path("filler")).expect("room again");
    until("the end of it is told", &|status| told(status, "show.saved") == 1).await;
    run.signal(Signal::INT);
    let said = run.ended(40).await;
    assert_eq!(said.code, Some(0), "{}", said.all());
    assert_eq!(said.lines("notice").len(), 1, "the bridge lived through it: {}", said.all());
    assert_every_second(&ruler_of(&stage.finished()), 10);
}
