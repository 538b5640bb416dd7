//! The bridge's process: frozen, killed, orphaned, on a full disk, with a clock that steps; and what it leaks.

#![allow(clippy::print_stdout, reason = "what was measured goes into the documents")]

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::http::header;
use axum::routing::get;
use rustix::process::Signal;
use spacebridge::bridge::client::BridgeClient;
use spacebridge::bridge::state_folder::StateFolder;
use spacebridge::bridge::{self, ShowEnd};
use spacebridge::clock::Clock;
use spacebridge::config::{self, Known, Secrets};
use spacebridge::secret::Secret;
use spacebridge::status::{OutputState, ShowState, ShowStatus};
use tokio_util::sync::CancellationToken;

use crate::support::measure::{assert_every_second, ruler_of};
use crate::support::media::Tracks;
use crate::support::nginx::Nginx;
use crate::support::process::Vitals;
use crate::support::show::{SHOW, Space, Stage, output, send};
use crate::support::{eventually, eventually_async, turn};
use crate::uri::{ruler_file, serve};

fn is_live(status: &ShowStatus) -> bool {
    status.state == ShowState::Live && all_outputs_live(status)
}

fn all_outputs_live(status: &ShowStatus) -> bool {
    status.outputs.iter().all(|one| one.state == OutputState::Live)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bridge_that_stands_still_is_killed_and_its_show_goes_on() {
    let _turn = turn().await;
    let nginx = Nginx::start("live").await;
    let space = Space::running_for(20).await;
    let stage = Stage::new(&format!("{}{}", space.config(), output("a", &nginx)));
    let run = stage.run(&["--json"]);
    let pid = stage.until_live().await.bridge.pid;
    let frozen = Instant::now();
    send(pid, Signal::STOP);
    let status = stage.until("another carries it", 30, |status| status.bridge.pid != pid && is_live(status)).await;
    assert_eq!(status.bridge.resumes, 1);
    println!("frozen to live on its output again: {:.1} s", frozen.elapsed().as_secs_f64());
    stage.until_kept(3.0).await;
    let said = run.interrupt().await;
    assert_eq!(said.code, Some(0), "{}", said.all());
    let told = said.lines("event").iter().filter(|event| event["code"] == "bridge.frozen").count();
    assert_eq!(told, 1, "{}", said.all());
    assert!(said.all().contains("it did not answer for 10 s"), "{}", said.all());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_show_whose_supervisor_is_killed_stays_on_the_air_until_the_next_run_takes_it_over() {
    let _turn = turn().await;
    let nginx = Nginx::start("live").await;
    let space = Space::running_for(20).await;
    let stage = Stage::new(&format!("{}{}", space.config(), output("a", &nginx)));
    let first = stage.run(&["--json"]);
    let pid = stage.until_live().await.bridge.pid;
    first.signal(Signal::KILL);
    stage.until("the loss is seen", 2, |status| status.bridge.orphaned).await;
    let told = |status: &ShowStatus| status.events.iter().any(|event| event.code == "bridge.orphaned");
    let status = stage.until("the loss is told", 8, told).await;
    assert!(status.bridge.pid == pid && is_live(&status), "{status:?}");
    nginx.grows(800_000).await;
    let second = stage.run(&["--json"]);
    let status = stage.until("it is taken over", 30, |status| status.bridge.pid != pid && is_live(status)).await;
    assert!(!status.bridge.orphaned && status.bridge.resumes == 1, "{status:?}");
    stage.until_kept(3.0).await;
    // Nobody else may have it now.
    let config = stage.path("show.toml");
    let refused = stage.verb(&["run", "--config", config.to_str().expect("a path")]).await;
    let why = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(refused.status.code() == Some(1) && why.contains("on the air already"), "{why}");
    let said = second.interrupt().await;
    assert_eq!(said.code, Some(0), "{}", said.all());
    assert_eq!(nginx.recordings().len(), 2, "one connection of each process: {}", said.all());
    // One archive, one episode.
    stage.finished();
    drop(first);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_show_is_suspended_in_time_though_an_ingest_and_the_space_hang() {
    let _turn = turn().await;
    let (hung, well) = (Nginx::start("live").await, Nginx::start("live").await);
    let space = Space::running_for(20).await;
    let stage = Stage::new(&format!("{}{}{}", space.config(), output("a", &hung), output("b", &well)));
    let mut run = stage.run(&["--json"]);
    stage.until_live().await;
    hung.freeze();
    space.freeze();
    // Until the kernel's buffers are full too, a frozen ingest looks well.
    tokio::time::timeout(Duration::from_secs(20), well.grows(3_000_000)).await.expect("the other one is well");
    let asked = Instant::now();
    run.signal(Signal::TERM);
    let said = run.ended(20).await;
    println!("suspended after {:.1} s beside a hung ingest and a hung space", asked.elapsed().as_secs_f64());
    hung.thaw();
    assert_eq!(said.code, Some(0), "{}", said.all());
    assert!(asked.elapsed() < Duration::from_secs(15), "{:?}", asked.elapsed());
    assert_eq!(stage.journal().last().expect("lines")["type"], "suspended");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wall_clock_that_steps_by_hours_changes_nothing() {
    let _turn = turn().await;
    let nginx = Nginx::start("live").await;
    let space = Space::running_for(20).await;
    let stage = Stage::new(&format!("{}{}", space.config(), output("a", &nginx)));
    let text = fs::read_to_string(stage.path("show.toml")).expect("a configuration");
    let known = Known { presets: &[], space_link: &|_| Ok("1SimulatedSpc".into()) };
    let config = config::read(&text, &stage.path(""), known).expect("a configuration");
    let mut secrets = Secrets::default();
    for (purpose, file) in [("output.a.key", "a.key"), ("source.0.auth_token", "auth_token"), ("source.0.ct0", "ct0")] {
        secrets.insert(purpose, Secret::new(fs::read_to_string(stage.path(file)).expect("a secret")));
    }
    let folder = StateFolder::open_in(&stage.path("state"), SHOW).expect("a folder");
    let (clock, client) = (Clock::system(), BridgeClient::new(folder.clone()));
    let show = std::thread::spawn({
        let (clock, runtime) = (clock.clone(), tokio::runtime::Runtime::new().expect("a runtime"));
        move || runtime.block_on(bridge::carry(config, secrets, folder, clock, CancellationToken::new()))
    });
    stage.until_live().await;
    let (start, before) = (Instant::now(), stage.status().await.expect("a status").program);
    for step_ms in [3_600_000, -7_200_000, 3_600_000] {
        clock.step_wall(step_ms);
        stage.until_kept(3.0).await;
    }
    let status = stage.status().await.expect("a status");
    let (program, real) = (status.program.seconds - before.seconds, start.elapsed().as_secs_f64());
    assert!((program - real).abs() < 0.7, "the program went on by {program:.2} s in {real:.2} s");
    assert!(is_live(&status) && status.outputs[0].connections == 1, "{status:?}");
    assert_eq!((status.program.skipped_ms, status.program.late_ms), (before.skipped_ms, before.late_ms));
    assert!(status.recording.gaps.is_empty() && status.recording.error.is_none(), "{:?}", status.recording);
    assert!(status.program.rms_dbfs > -60.0, "the level meter goes on: {:?}", status.program);
    client.end().await.expect("an order");
    eventually("it ends", Duration::from_secs(30), || show.is_finished().then_some(())).await;
    assert_eq!(show.join().expect("no panic").expect("a show"), ShowEnd::Ended);
    let [file] = &nginx.recordings()[..] else { panic!("{:?}", nginx.recordings()) };
    Tracks::of(file).assert_continuous_from(0);
    assert_every_second(&ruler_of(file), 6);
    assert_every_second(&ruler_of(&stage.finished()), 12);
    let numbers: Vec<u64> = stage.journal().iter().filter_map(|line| line["seq"].as_u64()).collect();
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1) && numbers.len() > 8, "{numbers:?}");
}

/// A show whose source breaks every few seconds and whose output is restarted again and again: what it holds of the
/// machine after `breaks` and `restarts` of them is what it held when it was warm.
async fn assert_no_leak(restarts: u32, breaks: u32) {
    let nginx = Nginx::start("live").await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = ruler_file(folder.path(), "live.mp3", 4, &["-c:a", "libmp3lame", "-b:a", "128k"]);
    let bytes = bytes::Bytes::from(fs::read(file).expect("a file"));
    let calls = Arc::new(AtomicU32::new(0));
    let counter = calls.clone();
    let radio = get(async move || {
        counter.fetch_add(1, Ordering::Relaxed);
        ([(header::CONTENT_TYPE, "audio/mpeg")], Body::from_stream(trickle(bytes.clone())))
    });
    let base = serve(Router::new().route("/live", radio)).await;
    let source = format!("[[source]]\nkind = \"uri\"\nuri = \"{base}/live\"\n\n");
    let stage = Stage::new(&format!("{source}{}", output("a", &nginx)));
    let run = stage.run(&["--json"]);
    let look = || async { stage.status().await.filter(all_outputs_live) };
    let pid = eventually_async("the output is live", Duration::from_secs(30), look).await.bridge.pid;
    let mut done = 0;
    let mut restart = async |count: u32| {
        for _ in 0..count {
            let verb = stage.verb(&["output", "restart", "a"]).await;
            assert!(verb.status.success(), "{verb:?}");
            done += 1;
            let wanted = done + 1;
            let back = |status: &ShowStatus| status.outputs[0].connections == wanted && all_outputs_live(status);
            stage.until("the output is back", 20, back).await;
        }
    };
    restart(2).await;
    eventually("the source broke", Duration::from_secs(40), || (calls.load(Ordering::Relaxed) >= 3).then_some(()))
        .await;
    let warm = Vitals::of(pid);
    let breaks = calls.load(Ordering::Relaxed) + breaks;
    restart(restarts).await;
    eventually("the source broke", Duration::from_secs(240), || {
        (calls.load(Ordering::Relaxed) >= breaks).then_some(())
    })
    .await;
    // Threads of the blocking pool live on for ten seconds after their last work.
    let settled =
        eventually(&format!("as few as {warm:?}, and not {:?}", Vitals::of(pid)), Duration::from_secs(40), || {
            let now = Vitals::of(pid);
            (now.threads <= warm.threads && now.descriptors <= warm.descriptors).then_some(now)
        })
        .await;
    println!("warm {warm:?}, after {restarts} restarts of an output and the breaks of the source {settled:?}");
    assert_eq!(run.interrupt().await.code, Some(0));
}

/// A radio's bytes in real time: 16 kB a second, until there are no more.
fn trickle(bytes: bytes::Bytes) -> impl futures_util::Stream<Item = Result<bytes::Bytes, std::io::Error>> {
    futures_util::stream::unfold(0_usize, move |at| {
        let bytes = bytes.clone();
        async move {
            if at >= bytes.len() {
                return None;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
            let end = (at + 1600).min(bytes.len());
            Some((Ok(bytes.slice(at..end)), end))
        }
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_few_restarts_leave_no_thread_or_descriptor_behind() {
    let _turn = turn().await;
    assert_no_leak(3, 1).await;
}

#[ignore = "make drill"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_restarts_of_an_output_and_ten_of_a_source_leave_no_thread_or_descriptor_behind() {
    let _turn = turn().await;
    assert_no_leak(20, 10).await;
}
