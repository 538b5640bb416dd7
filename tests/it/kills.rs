//! kill -9 at every moment of a show: each output is back within ten seconds, and the archive is whole.
//!
//! One moment of the ordinary kind is in `show.rs`; these are the others, for `make drill`.

#![allow(clippy::print_stdout, reason = "what was measured goes into the documents")]

use std::fs;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use spacebridge::rehearsal::space::control::ApiFault;
use spacebridge::rehearsal::space::{Order, SpaceArgs};
use spacebridge::status::{OutputState, ShowState, ShowStatus};

use crate::support::measure::{assert_every_second, ruler_of};
use crate::support::nginx::Nginx;
use crate::support::show::{Run, Space, Stage, output, send};
use crate::support::{eventually_async, turn_alone};

/// What the issue promises.
const BACK_WITHIN: Duration = Duration::from_secs(10);

/// A show with one output on the air.
struct Night {
    stage: Stage,
    space: Space,
    nginx: Nginx,
    run: Run,
}

fn on_the_air(status: &ShowStatus) -> bool {
    status.outputs.iter().all(|one| one.state == OutputState::Live)
}

impl Night {
    async fn begin(space: Space, closing: &str) -> Self {
        let nginx = Nginx::start("live").await;
        let stage = Stage::with_closing(&format!("{}{}", space.config(), output("a", &nginx)), closing);
        let run = stage.run(&["--json"]);
        Self { stage, space, nginx, run }
    }

    async fn until(&self, state: ShowState) -> u32 {
        let wanted = |status: &ShowStatus| status.state == state && on_the_air(status);
        self.stage.until(&format!("{state:?} on the air"), 30, wanted).await.bridge.pid
    }

    /// Kills the bridge, and waits until its successor is on the air.
    async fn kill(&self, moment: &str, pid: u32) {
        send(pid, Signal::KILL);
        let killed = Instant::now();
        let back = |status: &ShowStatus| status.bridge.pid != pid && on_the_air(status);
        self.stage.until("the outputs are back", 30, back).await;
        let took = killed.elapsed();
        println!("killed while {moment}: on the air again after {:.1} s", took.as_secs_f64());
        assert!(took < BACK_WITHIN, "{moment}: {took:?}");
    }

    /// Ends the show; one archive with one whole episode, and nothing half-made.
    async fn end(mut self, seconds: usize) {
        self.run.signal(Signal::INT);
        let said = self.run.ended(60).await;
        assert_eq!(said.code, Some(0), "{}", said.all());
        self.assert_files(seconds);
        assert!(self.nginx.recordings().len() >= 2);
    }

    fn assert_files(&self, seconds: usize) {
        let names = fs::read_dir(self.stage.archive()).expect("an archive").map(|entry| entry.expect("an entry"));
        let half: Vec<_> = names.filter(|entry| entry.file_name().to_string_lossy().ends_with(".part")).collect();
        assert!(half.is_empty(), "{half:?}");
        if seconds > 0 {
            assert!(ruler_of(&self.stage.finished()).len() >= seconds);
        }
    }
}

#[ignore = "make drill"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_while_connecting_waiting_and_live() {
    let _turn = turn_alone().await;
    let space = Space::start(&SpaceArgs { not_started: true, ..SpaceArgs::default() }).await;
    let outage = Order::FailApi { fault: ApiFault::Status { status: 503 }, times: None };
    space.order(outage).await;
    let night = Night::begin(space, "1s").await;
    let connecting = night.stage.until("the slate is on the air", 30, on_the_air).await;
    night.kill("connecting", connecting.bridge.pid).await;
    night.space.order(Order::Heal).await;
    let pid = night.until(ShowState::Waiting).await;
    night.kill("waiting", pid).await;
    night.space.order(Order::Start).await;
    let pid = night.until(ShowState::Live).await;
    night.kill("live", pid).await;
    night.until(ShowState::Live).await;
    night.stage.until_kept(3.0).await;
    night.end(6).await;
}

#[ignore = "make drill"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_at_a_change_of_the_slate_and_in_a_gap() {
    let _turn = turn_alone().await;
    let night = Night::begin(Space::running_for(20).await, "1s").await;
    let pid = night.until(ShowState::Live).await;
    night
        .space
        .order(Order::Metadata {
            title: Some("Another title".into()),
            host: None,
            legacy_names: None,
            scheduled_start: None,
        })
        .await;
    night.kill("the slate changes", pid).await;
    night.until(ShowState::Live).await;
    night.stage.until_kept(6.0).await;
    night.space.order(Order::HostDrop).await;
    let pid = night.until(ShowState::Gap).await;
    night.kill("in a gap", pid).await;
    night.space.order(Order::HostReturn).await;
    night.until(ShowState::Live).await;
    night.stage.until_kept(6.0).await;
    night.end(10).await;
}

#[ignore = "make drill"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_under_the_closing_slate_still_makes_the_episode() {
    let _turn = turn_alone().await;
    let mut night = Night::begin(Space::running_for(20).await, "5s").await;
    night.until(ShowState::Live).await;
    night.stage.until_kept(6.0).await;
    night.run.signal(Signal::INT);
    let pid = night.stage.until("the closing slate", 20, |status| status.state == ShowState::Ending).await.bridge.pid;
    send(pid, Signal::KILL);
    let said = night.run.ended(60).await;
    assert_eq!(said.code, Some(0), "{}", said.all());
    night.assert_files(6);
}

/// Kills the bridge in the midst of making the episode, at the first sight of a file that is not whole yet.
async fn killed_while_finishing(by_itself: bool) {
    let mut night = Night::begin(Space::running_for(20).await, "1s").await;
    let pid = night.until(ShowState::Live).await;
    night.stage.until_kept(12.0).await;
    let archive = night.stage.archive();
    let watcher = std::thread::spawn(move || {
        let until = Instant::now() + Duration::from_secs(60);
        while Instant::now() < until {
            let names = fs::read_dir(&archive).expect("an archive").filter_map(Result::ok);
            let half = names.map(|entry| entry.file_name()).find(|name| name.to_string_lossy().contains(".m4a"));
            if let Some(half) = half {
                send(pid, Signal::KILL);
                return half.to_string_lossy().into_owned();
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        panic!("no final file was begun");
    });
    if by_itself {
        night.space.order(Order::End { replay: false }).await;
    } else {
        night.run.signal(Signal::INT);
    }
    let said = night.run.ended(90).await;
    let half = watcher.join().expect("a kill");
    println!("killed at the sight of {half}; by itself: {by_itself}");
    assert_eq!(said.code, Some(0), "{}", said.all());
    night.assert_files(12);
    assert_every_second(&ruler_of(&night.stage.finished()), 12);
}

#[ignore = "make drill"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_while_the_files_of_an_ended_show_are_made_still_makes_them() {
    let _turn = turn_alone().await;
    killed_while_finishing(false).await;
}

#[ignore = "make drill"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_while_the_files_of_a_space_that_is_over_are_made_still_makes_them() {
    let _turn = turn_alone().await;
    killed_while_finishing(true).await;
}

#[ignore = "make drill"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_while_suspending_leaves_a_show_that_can_be_resumed() {
    let _turn = turn_alone().await;
    let mut night = Night::begin(Space::running_for(20).await, "1s").await;
    let pid = night.until(ShowState::Live).await;
    night.stage.until_kept(3.0).await;
    night.run.signal(Signal::TERM);
    let look = || async { night.stage.status().await.is_none_or(|status| !on_the_air(&status)).then_some(()) };
    eventually_async("the outputs close", Duration::from_secs(10), look).await;
    // It may be gone by now, which is as good.
    let bridge = rustix::process::Pid::from_raw(pid.cast_signed()).expect("a pid");
    rustix::process::kill_process(bridge, Signal::KILL).ok();
    night.run.ended(30).await;
    night.run = night.stage.run(&["--json"]);
    let status = night.stage.until("it is resumed", 30, |status| status.bridge.pid != pid && on_the_air(status)).await;
    assert_eq!(status.bridge.resumes, 1);
    night.until(ShowState::Live).await;
    night.stage.until_kept(3.0).await;
    night.end(6).await;
}
