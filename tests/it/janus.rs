//! The source `janus` against a real gateway: who comes is heard, who leaves is not, and nobody hears a click.

#![allow(clippy::print_stdout, reason = "what was measured goes into the documents")]

use std::time::{Duration, Instant};

use spacebridge::media::StereoSample;
use spacebridge::net::{HttpClient, HttpSettings};
use spacebridge::source::janus::client::{JanusError, Login, Session};
use spacebridge::status::ShowStatus;

use crate::support::janus::{Janus, Manner, Publisher, ROOM, ruler};
use crate::support::lossy::{Badness, Lossy};
use crate::support::nginx::Nginx;
use crate::support::show::{Stage, output};
use crate::support::visit::{Heard, Visit};
use crate::support::{turn, turn_to_hear};

/// Fails unless `side` says at least so many seconds of the ruler, each once and as long as it is.
fn assert_whole(heard: &[StereoSample], side: usize, at_least: usize) {
    let mono: Vec<f32> = heard.iter().map(|sample| sample[side]).collect();
    let marks = spacebridge::ruler::decode(&mono);
    println!("side {side}: {marks:?}");
    let even = |pair: &[spacebridge::ruler::RulerMark]| (pair[1].at_samples - pair[0].at_samples - 48_000.0).abs();
    assert!(marks.windows(2).all(|pair| even(pair) < 15.0), "{marks:?}");
    assert!(marks.len() >= at_least && marks.windows(2).all(|pair| pair[1].index == pair[0].index + 1), "{marks:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn speakers_come_and_go_and_each_is_heard_whole() {
    let _turn = turn().await;
    spacebridge::gst::init().expect("GStreamer");
    let janus = Janus::start().await;
    a_wrong_pin_is_told(&janus).await;
    let left = Publisher::join(&janus, "left", ruler(0)).await;
    let mut visit = Visit::start(Janus::source(janus.url(), "secret"));
    visit.until("the first is heard", 15, |heard| heard.names() == ["left"] && heard.level(0, 0.5) > -30.0).await;
    let right = Publisher::join(&janus, "right", ruler(1)).await;
    visit
        .until("the second is heard", 15, |heard| heard.names() == ["left", "right"] && heard.level(1, 0.5) > -30.0)
        .await;
    // A track's place is set right once, after its first second.
    visit.listen(6.0).await;
    let both = visit.heard.samples.len();
    left.leave().await;
    visit.until("the first has left", 15, |heard| heard.names() == ["right"] && heard.level(0, 0.3) < -60.0).await;
    let third = Publisher::join(&janus, "third", ruler(0)).await;
    visit
        .until("the third is heard", 15, |heard| heard.names().contains(&"third") && heard.level(0, 0.5) > -30.0)
        .await;
    visit.listen(2.5).await;
    let heard = visit.leave().await;
    drop((right, third));
    assert_eq!(heard.holes, 0);
    assert!(heard.stems > 400, "{}", heard.stems);
    let window = both - 4 * 48_000..both;
    for side in 0..2 {
        assert_whole(&heard.samples[window.clone()], side, 3);
    }
    let after: Vec<f32> = heard.samples[both + 48_000..].iter().map(|sample| sample[1]).collect();
    let marks = spacebridge::ruler::decode(&after);
    println!("right all the while: {marks:?}");
    assert!(marks.windows(2).all(|pair| pair[1].index == pair[0].index + 1), "{marks:?}");
    let step = heard.samples.windows(2).map(|pair| (pair[1][0] - pair[0][0]).abs()).fold(0.0, f32::max);
    println!("largest step {step}");
    assert!(step < 0.25, "{step}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_gives_a_handle_one_speaker_only_is_heard_by_a_connection_for_each() {
    let _turn = turn().await;
    spacebridge::gst::init().expect("GStreamer");
    let janus = Janus::start().await;
    let good = Badness { loss: 0.0, jitter: Duration::ZERO, seed: 0 };
    let picky = Lossy::before(janus.url(), janus.here(), good).await;
    picky.one_each();
    let left = Publisher::join(&janus, "left", ruler(0)).await;
    let mut visit = Visit::start(Janus::source(picky.url(), "secret"));
    visit.until("the first is heard", 15, |heard| heard.level(0, 0.5) > -30.0).await;
    let right = Publisher::join(&janus, "right", ruler(1)).await;
    let both = |heard: &Heard| heard.names().len() == 2 && heard.level(0, 0.5) > -30.0 && heard.level(1, 0.5) > -30.0;
    visit.until("both are heard", 15, both).await;
    assert_eq!(visit.heard.codes(), ["source.apart"]);
    // A track's place is set right once, after its first second.
    visit.listen(1.5).await;
    let from = visit.heard.samples.len();
    // Whoever comes now asks for two at once.
    let mut second = Visit::start(Janus::source(picky.url(), "secret"));
    tokio::join!(visit.listen(6.0), second.until("both are heard by another one", 15, both));
    assert_eq!(second.leave().await.codes(), ["source.apart"]);
    left.leave().await;
    visit.until("the first has left", 15, |heard| heard.names() == ["right"] && heard.level(0, 0.3) < -60.0).await;
    // Its connection comes to nothing, is given up after 10 s, and made anew; the other speaker is heard all the while.
    picky.dead_end();
    let third = Publisher::join(&janus, "third", ruler(0)).await;
    visit.until("the third is heard", 30, |heard| both(heard) && heard.names().contains(&"third")).await;
    assert_eq!(picky.dead_ends(), 1);
    visit.listen(1.0).await;
    let heard = visit.leave().await;
    drop((right, third));
    assert_eq!(heard.holes, 0);
    assert_whole(&heard.samples[from..], 1, 12);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_into_a_room_that_was_left_by_all_is_heard() {
    let _turn = turn().await;
    spacebridge::gst::init().expect("GStreamer");
    let janus = Janus::start().await;
    let host = Publisher::join(&janus, "host", ruler(0)).await;
    let mut visit = Visit::start(Janus::source(janus.url(), "secret"));
    visit.until("the host is heard", 15, |heard| heard.level(0, 0.5) > -30.0).await;
    host.leave().await;
    visit.until("the room is empty", 15, |heard| heard.names().is_empty() && heard.level(0, 0.3) < -60.0).await;
    visit.listen(3.0).await;
    let host = Publisher::join(&janus, "host", ruler(0)).await;
    visit.until("the host is heard again", 15, |heard| heard.level(0, 0.5) > -30.0).await;
    let heard = visit.leave().await;
    drop(host);
    assert_eq!(heard.holes, 0);
}

/// Loses, holds up and overtakes for `seconds`; every second of the ruler is to come through on both sides.
async fn hears_through_a_bad_network(seconds: u32, loss: f64, seed: u64) {
    spacebridge::gst::init().expect("GStreamer");
    let janus = Janus::start().await;
    let badness = Badness { loss, jitter: Duration::from_millis(30), seed };
    let lossy = Lossy::before(janus.url(), janus.here(), badness).await;
    let speakers = [Publisher::join(&janus, "left", ruler(0)).await, Publisher::join(&janus, "right", ruler(1)).await];
    let mut visit = Visit::start(Janus::source(lossy.url(), "secret"));
    let both = |heard: &Heard| heard.level(0, 0.5) > -30.0 && heard.level(1, 0.5) > -30.0;
    visit.until("both are heard", 15, both).await;
    // A track's place is set right once, after its first second.
    visit.listen(2.0).await;
    lossy.bad(true);
    let from = visit.heard.samples.len();
    for _ in 0..seconds {
        visit.listen(1.0).await;
    }
    let heard = visit.leave().await;
    let (passed, lost) = lossy.counts();
    println!("{passed} datagrams passed, {lost} lost");
    assert!(passed > 0, "another way was found: {:?} {}", lossy.ports(), heard.level(0, 0.5));
    assert!(lost as f64 >= 0.6 * loss * passed as f64, "nothing was lost");
    assert_eq!(heard.holes, 0);
    let mut whole = 0;
    for side in 0..2 {
        let mono: Vec<f32> = heard.samples[from..].iter().map(|sample| sample[side]).collect();
        let marks = spacebridge::ruler::decode(&mono);
        let steps: Vec<i64> = marks.windows(2).map(|m| (m[1].at_samples - m[0].at_samples) as i64 - 48_000).collect();
        println!("side {side}: {} seconds, {steps:?}", marks.len());
        assert!(marks.windows(2).all(|pair| pair[0].index < pair[1].index), "{marks:?}");
        whole += marks.len();
        let delays = delays(&heard, from, &marks, speakers[side].start());
        let (median, most) = (delays[delays.len() / 2], delays[delays.len() * 95 / 100]);
        println!("from the packet to the mix: median {median} ms, p95 {most} ms");
        assert!(median <= 170 || seconds < 20, "{median} ms");
    }
    // What is lost is sent again, or is in the packet that follows.
    let twice = lossy.twice();
    println!(
        "{whole} seconds are whole of {}; two packets in succession were gone for good {twice} times",
        2 * seconds - 2
    );
    assert!(whole + 2 >= 2 * seconds as usize, "{whole} {twice}");
}

/// From the moment that a second was sent to the moment that its first sample was given out, in ms, sorted.
fn delays(heard: &Heard, from: usize, marks: &[spacebridge::ruler::RulerMark], start: Instant) -> Vec<u128> {
    let delay = |mark: &spacebridge::ruler::RulerMark| {
        let place = from + mark.at_samples as usize;
        let block = heard.came.partition_point(|(before, _)| *before <= place);
        let sent = start + Duration::from_secs(u64::from(mark.index % 100));
        heard.came[block - 1].1.saturating_duration_since(sent).as_millis()
    };
    let mut delays: Vec<u128> = marks.iter().map(delay).collect();
    delays.sort_unstable();
    delays
}

/// Seconds of processor time that a process has used.
fn used(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("a process");
    let after = stat.rsplit(')').next().expect("a name").split_whitespace().collect::<Vec<_>>();
    // Fields 14 and 15 of proc_pid_stat(5), in hundredths.
    (after[11].parse::<f64>().expect("a number") + after[12].parse::<f64>().expect("a number")) / 100.0
}

/// Seconds of processor time that a show of the room with two outputs takes for ten seconds.
async fn cost(janus: &Janus, speakers: usize) -> f64 {
    let mirrors = [Nginx::start("live").await, Nginx::start("live").await];
    let source = format!("[[source]]\nkind = \"janus\"\nurl = \"{}\"\nroom = \"{ROOM}\"\n", janus.url());
    let stage = Stage::new(&format!(
        "{source}pin_file = \"pin\"\n\n{}{}",
        output("one", &mirrors[0]),
        output("two", &mirrors[1])
    ));
    stage.secret("pin", "secret");
    let run = stage.run(&[]);
    stage.until_live().await;
    let there = |status: &ShowStatus| status.session.as_ref().is_some_and(|session| session.speakers.len() == speakers);
    stage.until("all are there", 30, there).await;
    let pid = stage.until_kept(3.0).await.bridge.pid;
    let before = used(pid);
    // Not for anything to happen: this is what is measured.
    tokio::time::sleep(Duration::from_secs(10)).await;
    let used = used(pid) - before;
    run.interrupt().await;
    used
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "make drill"]
async fn the_processor_time_of_thirteen_speakers_is_told_beside_that_of_one() {
    let _turn = crate::support::turn_alone().await;
    spacebridge::gst::init().expect("GStreamer");
    let janus = Janus::start().await;
    let mut table = [Vec::new(), Vec::new()];
    for _ in 0..3 {
        let mut room = vec![Publisher::join_in_mono(&janus, "one", ruler(0)).await];
        table[0].push(cost(&janus, 1).await);
        for index in 1..13 {
            room.push(Publisher::join_in_mono(&janus, &format!("speaker {index}"), ruler(index % 2)).await);
        }
        table[1].push(cost(&janus, 13).await);
        for publisher in room {
            publisher.leave().await;
        }
    }
    let median = table.each_mut().map(|row| {
        row.sort_by(f64::total_cmp);
        row[1]
    });
    println!("CPU seconds of 10 s of a show: {table:?}, {:.2} times", median[1] / median[0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "make drill"]
async fn thirty_milliseconds_of_jitter_cost_no_second() {
    let _turn = turn().await;
    hears_through_a_bad_network(6, 0.0, 812).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "make drill"]
async fn five_percent_of_loss_and_thirty_milliseconds_of_jitter_cost_no_second() {
    let _turn = turn().await;
    for seed in [812, 1, 2] {
        hears_through_a_bad_network(25, 0.05, seed).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_freezes_floods_or_lies_spoils_nobody_elses_second() {
    let _turn = turn().await;
    spacebridge::gst::init().expect("GStreamer");
    let janus = Janus::start().await;
    let good = Publisher::join(&janus, "good", ruler(0)).await;
    let bad = Publisher::join(&janus, "bad", ruler(1)).await;
    let mut visit = Visit::start(Janus::source(janus.url(), "secret"));
    let both = |heard: &Heard| heard.level(0, 0.5) > -30.0 && heard.level(1, 0.5) > -30.0;
    visit.until("both are heard", 15, both).await;
    // A track's place is set right once, after its first second.
    visit.listen(2.0).await;
    let from = visit.heard.samples.len();
    for manner in [Manner::Freezes, Manner::Floods, Manner::Lies] {
        bad.does(manner);
        visit.listen(2.0).await;
        bad.does(Manner::Speaks);
        visit.listen(1.0).await;
        println!("{manner:?}: {} samples, {:.0} dB", visit.heard.samples.len(), visit.heard.level(1, 0.5));
    }
    visit.until("who did all that is heard again", 10, |heard| heard.level(1, 0.5) > -30.0).await;
    let heard = visit.leave().await;
    drop((good, bad));
    assert_eq!(heard.holes, 0);
    assert_whole(&heard.samples[from..], 0, 8);
    let loudest = heard.samples[from..].iter().flatten().fold(0.0_f32, |most, value| most.max(value.abs()));
    assert!(loudest <= 1.0, "{loudest}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_the_gateway_gives_up_is_told_and_the_next_one_hears() {
    let _turn = turn().await;
    spacebridge::gst::init().expect("GStreamer");
    // A look for news that lasts half a minute is the only sign of life, and too rare for this gateway.
    let janus = Janus::start_with(4).await;
    let _speaker = Publisher::join(&janus, "speaker", ruler(0)).await;
    for visits in 1..=2 {
        let mut visit = Visit::start(Janus::source(janus.url(), "secret"));
        visit.until("the speaker is heard", 15, |heard| heard.level(0, 0.5) > -30.0).await;
        let (end, _) = visit.end(20).await;
        let error = end.expect_err("given up");
        println!("visit {visits}: {error}");
        assert!(!error.is_permanent(), "{error:?}");
        assert!(error.message.contains("gave the session up"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_the_gateway_does_not_know_any_more_is_no_wrong_address() {
    let _turn = turn_to_hear().await;
    let janus = Janus::start().await;
    let client =
        || HttpClient::new(HttpSettings { operator_urls: vec![janus.url().clone()], ..HttpSettings::default() });
    let session = Session::open(client().expect("a client"), janus.url(), Login::default()).await.expect("a session");
    session.close().await;
    let said = [session.poll().await.map(drop), session.attach().await.map(drop)];
    assert!(said.iter().all(|said| matches!(said, Err(JanusError::Gone))), "{said:?}");
    let elsewhere = janus.url().join("/elsewhere").expect("an address");
    let refused =
        Session::open(client().expect("a client"), &elsewhere, Login::default()).await.expect_err("no gateway");
    assert_eq!(refused, JanusError::Status(404));
}

async fn a_wrong_pin_is_told(janus: &Janus) {
    let (end, _) = Visit::start(Janus::source(janus.url(), "canary")).end(15).await;
    let error = end.expect_err("refused");
    assert!(error.is_permanent() && error.message.contains("pin") && !error.message.contains("canary"), "{error}");
}
