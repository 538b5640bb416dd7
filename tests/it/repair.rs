//! A night with losses, a late start and an outage, made whole from what the platform still holds; or, where it holds
//! nothing, listed to the sample. Judged frame by frame against the simulated space's own sound, and by ear (ruler).

use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;
use spacebridge::rehearsal::space::control::{ChunkFault, ChunkRule, PastRule, PlaylistFault};
use spacebridge::rehearsal::space::{Order, SpaceArgs, SpaceReport};
use spacebridge::status::ShowState;

use crate::support::measure::{assert_every_second, ruler_of};
use crate::support::media::assert_decodes;
use crate::support::show::{Run, SHOW, Said, Space, Stage, send};
use crate::support::tape::{Tape, assert_kept_as_on, frames_of_file, in_order, session_of};
use crate::support::{eventually, turn};

/// Samples of a second.
const SECOND: f64 = 48_000.0;

/// A recorded show without outputs; its repair at the end goes on for `repair_for`.
fn stage(space: &Space, repair_for: &str) -> Stage {
    let stage = Stage::new(&space.config());
    let file = stage.path("show.toml");
    let text = std::fs::read_to_string(&file).expect("a configuration");
    let text = text.replace("repair_for = \"off\"", &format!("repair_for = \"{repair_for}\""));
    std::fs::write(&file, text).expect("a file");
    stage
}

/// A share of all chunks, or all, in their first fetches, or always.
fn rule(fault: ChunkFault, share: Option<f64>, times: Option<u32>) -> ChunkRule {
    ChunkRule { fault, sequences: Vec::new(), share, seed: 0, times, edge: None }
}

/// A share of all chunks fails at its first fetch.
fn losses(share: f64) -> Order {
    Order::FailChunks { rule: rule(ChunkFault::Status { status: 503 }, Some(share), Some(1)) }
}

fn past(rule: PastRule) -> Order {
    Order::Past(rule)
}

/// What was said is to be had from the replay alone.
async fn without_snapshots(space: &Space) {
    space.order(past(PastRule { while_live: Some(false), ..PastRule::default() })).await;
}

async fn until_heard(stage: &Stage) {
    stage.until("the space is live", 30, |status| status.state == ShowState::Live).await;
}

/// Repairs the only recording by hand, in a process of its own.
fn repair(stage: &Stage, patience: &str) -> Run {
    stage.run_verb(&["recordings", "repair", SHOW, "--config", "show.toml", "--for", patience, "--json"])
}

async fn repaired(stage: &Stage, patience: &str) {
    let said = repair(stage, patience).ended(120).await;
    assert_eq!(said.code, Some(0), "{}", said.all());
}

/// Fails unless the archive holds all of `tape` up to its last chunk, and the finished file is nothing but its frames.
fn assert_whole(stage: &Stage, tape: &Tape) {
    let folder = stage.archive();
    let zero = assert_kept_as_on(tape, &folder);
    let session = session_of(&folder);
    assert_eq!(session.gap_list(), []);
    let segments = in_order(&session);
    assert_eq!((segments[0].sequence, segments[0].media_time), (0, zero));
    let last = *tape.chunks.keys().last().expect("chunks");
    assert_eq!(segments.last().expect("segments").sequence, last, "the end is kept too");
    let finished = stage.finished();
    let (wanted, found) = (tape.frames_until(last), frames_of_file(&finished));
    let differs = wanted.iter().zip(&found).position(|(wanted, found)| wanted != found);
    assert_eq!((differs, found.len()), (None, wanted.len()), "the finished file has the tape's frames and no other");
    assert_decodes(&finished);
    let marks = ruler_of(&finished);
    assert_every_second(&marks, (wanted.len() * 1024 / 48_000).saturating_sub(2));
    for (index, at) in marks {
        let off = at - f64::from(index) * 1000.0;
        assert!(off.abs() < 45.0, "second {index} lies {off:+.1} ms from its place");
    }
}

/// Fails unless just the chunks of `numbers` are listed as missing, to the sample.
fn assert_missing(stage: &Stage, tape: &Tape, numbers: &[u64]) {
    let folder = stage.archive();
    let zero = assert_kept_as_on(tape, &folder);
    let mut wanted: Vec<(f64, f64)> = Vec::new();
    for &number in numbers {
        let place = |number: u64| (zero + tape.samples(0..number)) as f64 / SECOND;
        match wanted.last_mut() {
            Some(last) if last.1 == place(number) => last.1 = place(number + 1),
            _ => wanted.push((place(number), place(number + 1))),
        }
    }
    let gaps = session_of(&folder).gap_list();
    let found: Vec<(f64, f64)> = gaps.iter().map(|gap| (gap.start_seconds, gap.end_seconds)).collect();
    assert_eq!(found.len(), wanted.len(), "{gaps:?}");
    for ((found, wanted), number) in found.iter().zip(&wanted).zip(0..) {
        // When the space began is told in milliseconds; everything else is counted.
        let slack = if number == 0 { 0.002 } else { 1e-6 };
        assert!((found.0 - wanted.0).abs() < slack && (found.1 - wanted.1).abs() < 1e-6, "{found:?} for {wanted:?}");
    }
    assert!(gaps.iter().all(|gap| !gap.cause.is_empty()), "{gaps:?}");
}

/// Numbers of chunks of the tape that the archive does not keep.
fn not_kept(folder: &Path, tape: &Tape) -> Vec<u64> {
    let kept: Vec<u64> = session_of(folder).segments.iter().map(|segment| segment.sequence).collect();
    tape.chunks.keys().copied().filter(|number| !kept.contains(number)).collect()
}

fn fetched_from_past(report: &SpaceReport) -> u32 {
    report.chunks.iter().map(|chunk| chunk.from_past).sum()
}

/// Joins late, hears a little with losses, and leaves. What was said before is missing.
async fn late_listener(space: &Space) -> Stage {
    without_snapshots(space).await;
    space.order(losses(0.2)).await;
    let stage = stage(space, "off");
    let mut run = stage.run(&["--json"]);
    until_heard(&stage).await;
    stage.until_kept(3.0).await;
    run.signal(Signal::INT);
    let said = run.ended(40).await;
    assert_eq!(said.code, Some(0), "{}", said.all());
    stage
}

/// Begins to repair while the server is slow, and is killed in the middle. Gives the numbers that were kept by then.
async fn killed_repair(stage: &Stage, space: &Space) -> Vec<u64> {
    let fault = ChunkFault::Slow { millis: 500 };
    space.order(Order::FailChunks { rule: rule(fault, None, None) }).await;
    let repair = repair(stage, "1m");
    let had = || session_of(&stage.archive()).segments.iter().filter(|one| !one.origin.is_live()).count();
    eventually("some of it is had", Duration::from_secs(30), || (had() >= 2).then_some(())).await;
    send(repair.pid(), Signal::KILL);
    drop(repair);
    space.order(Order::Heal).await;
    session_of(&stage.archive()).segments.iter().map(|segment| segment.sequence).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn late_start_is_repaired_to_the_frame_through_kill_9_and_an_incomplete_replay() {
    let _turn = turn().await;
    let space = Space::running_for(40).await;
    let stage = late_listener(&space).await;
    space.order(past(PastRule { lacks: Some(vec![2, 3, 6]), ..PastRule::default() })).await;
    space.order(Order::End { replay: true }).await;
    let kept = killed_repair(&stage, &space).await;
    repaired(&stage, "1s").await;
    let report = space.report().await;
    for chunk in report.chunks.iter().filter(|chunk| kept.contains(&chunk.sequence)) {
        assert_eq!(chunk.served, 1, "segment {} was kept and fetched again", chunk.sequence);
    }
    space.order(past(PastRule { lacks: Some(vec![]), ..PastRule::default() })).await;
    let tape = Tape::of(&space).await;
    assert_missing(&stage, &tape, &[2, 3, 6]);
    let fetched = fetched_from_past(&space.report().await);
    repaired(&stage, "1s").await;
    assert_eq!(fetched_from_past(&space.report().await), fetched + 3, "only what is missing is fetched");
    assert_whole(&stage, &tape);
}

/// The night: ten minutes late, 5 % of the segments fail at first, and the playlist is out for a minute.
async fn rough_night(space: &Space, stage: &Stage, replay: bool) -> Said {
    space.order(losses(0.05)).await;
    let mut run = stage.run(&["--json"]);
    until_heard(stage).await;
    stage.until_kept(20.0).await;
    let absent = PlaylistFault::Status { status: 404, retry_after_seconds: None };
    space.order(Order::FailPlaylist { fault: absent, times: None, edge: None }).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    space.order(Order::Heal).await;
    space.order(losses(0.05)).await;
    stage.until_kept(30.0).await;
    space.order(Order::End { replay }).await;
    run.ended(240).await
}

#[ignore = "make drill"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[allow(clippy::print_stdout, reason = "what was measured goes into the documents")]
async fn late_start_losses_and_an_outage_leave_no_second_missing_where_there_is_a_replay() {
    let _turn = turn().await;
    let space =
        Space::start(&SpaceArgs { running_for_seconds: 600, snapshot_lag_seconds: 40, ..SpaceArgs::default() }).await;
    space.order(past(PastRule { made_after_seconds: Some(20), ..PastRule::default() })).await;
    let stage = stage(&space, "3m");
    let said = rough_night(&space, &stage, true).await;
    assert_eq!(said.code, Some(0), "{}", said.all());
    // What the show's own end left is gone on with by hand.
    repaired(&stage, "1m").await;
    let report = space.report().await;
    let tape = Tape::of(&space).await;
    assert_whole(&stage, &tape);
    let spoiled: u32 = report.chunks.iter().map(|chunk| chunk.spoiled).sum();
    let (chunks, past) = (report.chunks.len(), fetched_from_past(&report));
    println!("{chunks} segments, {spoiled} fetches spoiled, {past} had from the past: 0 s missing");
    assert!(past >= 200, "ten minutes are 200 segments");
}

#[ignore = "make drill"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[allow(clippy::print_stdout, reason = "what was measured goes into the documents")]
async fn where_there_is_no_replay_just_the_seconds_that_nobody_has_are_listed() {
    let _turn = turn().await;
    let space = Space::start(&SpaceArgs { running_for_seconds: 600, ..SpaceArgs::default() }).await;
    without_snapshots(&space).await;
    space.order(past(PastRule { after_end: Some(false), ..PastRule::default() })).await;
    let stage = stage(&space, "1s");
    let said = rough_night(&space, &stage, false).await;
    assert_eq!(said.code, Some(0), "{}", said.all());
    repaired(&stage, "1s").await;
    space.order(Order::Heal).await;
    let all = PastRule { after_end: Some(true), ..PastRule::default() };
    space.order(past(all)).await;
    let tape = Tape::of(&space).await;
    let missing = not_kept(&stage.archive(), &tape);
    let seconds: f64 = missing.iter().map(|&number| tape.samples(number..number + 1) as f64 / SECOND).sum();
    println!("{} segments are missing, {seconds:.3} s, each listed", missing.len());
    assert_missing(&stage, &tape, &missing);
}
