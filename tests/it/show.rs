//! Whole shows: the simulated space, the real program, real nginx ingests; and what came out, second by second.
//!
//! Zeros: second k of the ruler starts at ruler sample k * 48 000; the first chunk that was kept is media time zero; the
//! status tells the program sample of media time zero; flashes lie on multiples of 2 s of program time.

use rustix::process::Signal;
use spacebridge::rehearsal::space::control::ChunkReport;
use spacebridge::rehearsal::space::{Order, SpaceArgs, SpaceReport};
use spacebridge::status::{OutputState, ShowState, ShowStatus};
use tokio::sync::OnceCell;

use crate::support::measure::{assert_every_second, flashes_of, ruler_of};
use crate::support::media::{Tracks, assert_decodes};
use crate::support::nginx::Nginx;
use crate::support::show::{Said, Space, Stage, output, send, sequences};
use crate::support::{turn, turn_alone};

/// Delay of a Space between "could be fetched" and "on the air", as documented.
const DELAY_MS: f64 = 6000.0;

/// Length of the closing slate: time for one encode and the next picture of the grid, and 2 s to be seen.
const CLOSING: &str = "5s";

/// Samples of a second.
const SECOND: u64 = 48_000;

/// What is measured of a night on which nothing happens.
struct Night {
    ingests: Vec<Ingest>,
    recording: Vec<(u32, f64)>,
    space: SpaceReport,
    /// The last status before the end was asked for, and after.
    live: ShowStatus,
    closing: ShowStatus,
    /// Wall time of program time zero, in Unix ms.
    program_zero_ms: f64,
    said: Said,
}

/// What one ingest recorded.
struct Ingest {
    tracks: Tracks,
    ruler: Vec<(u32, f64)>,
    flashes: Vec<f64>,
}

/// The plain night, carried once for all tests that look at it.
async fn night() -> &'static Night {
    static NIGHT: OnceCell<Night> = OnceCell::const_new();
    NIGHT.get_or_init(carry_a_night).await
}

async fn carry_a_night() -> Night {
    // For the show alone: what it left is looked at beside others.
    let _turn = turn_alone().await;
    let (a, b) = (Nginx::start("live").await, Nginx::start("live").await);
    let space = Space::start(&SpaceArgs { running_for_seconds: 30, jitter_ms: 200, ..SpaceArgs::default() }).await;
    let stage = Stage::with_closing(&format!("{}{}{}", space.config(), output("a", &a), output("b", &b)), CLOSING);
    let mut run = stage.run(&["--json"]);
    let joined = stage.until_live().await;
    let mut program_zero_ms = f64::MAX;
    let until = joined.program.seconds + 11.0;
    let live = stage.until("the show goes on", 40, |status| status.program.seconds >= until).await;
    for _ in 0..30 {
        // A status is up to 100 ms old: the freshest of many tells the zero.
        let status = stage.status().await.expect("a status");
        let now = jiff::Timestamp::now().as_millisecond() as f64;
        program_zero_ms = program_zero_ms.min(now - status.program.seconds * 1000.0);
    }
    run.signal(Signal::INT);
    let closing = stage.until("the closing slate", 10, |status| status.state == ShowState::Ending).await;
    let said = run.ended(40).await;
    let ingest = |nginx: &Nginx| {
        let [file] = &nginx.recordings()[..] else { panic!("not one connection: {:?}", nginx.recordings()) };
        assert_decodes(file);
        Ingest { tracks: Tracks::of(file), ruler: ruler_of(file), flashes: flashes_of(file) }
    };
    let (ingests, recording) = (vec![ingest(&a), ingest(&b)], ruler_of(&stage.finished()));
    Night { ingests, recording, space: space.report().await, live, closing, program_zero_ms, said }
}

impl Night {
    /// Program time at which ruler sample `sample` was on the air, in ms.
    fn program_ms(&self, sample: u64) -> f64 {
        let anchor = self.live.session.as_ref().and_then(|session| session.anchor_samples).expect("an anchor");
        let zero = first_kept(&self.space).ruler_start;
        (anchor as f64 + sample as f64 - zero as f64) / 48.0
    }
}

/// The chunk that is media time zero.
fn first_kept(space: &SpaceReport) -> &ChunkReport {
    space.chunks.iter().find(|chunk| chunk.served > 0).expect("a chunk that was fetched")
}

/// The middle one.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ruler_through_space_program_and_ingest_has_every_second() {
    let night = night().await;
    for ingest in &night.ingests {
        ingest.tracks.assert_continuous_from(0);
        assert_every_second(&ingest.ruler, 11);
    }
    assert_every_second(&night.recording, 20);
    let summary = night.said.summary();
    assert_eq!(summary["recording"]["gaps"], serde_json::json!([]));
    // Everything that was heard is in the recording too.
    let kept: Vec<u32> = night.recording.iter().map(|(index, _)| *index).collect();
    for (index, _) in night.ingests.iter().flat_map(|ingest| &ingest.ruler) {
        assert!(kept.contains(index), "second {index} was heard and is not in the recording: {kept:?}");
    }
    // The recording's own timeline begins with the first chunk.
    let start = first_kept(&night.space).ruler_start as f64 / 48.0;
    for (index, at) in &night.recording {
        let off = at + start - f64::from(*index) * 1000.0;
        assert!(off.abs() < 40.0, "second {index} lies {off:+.1} ms from its place in the recording");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sound_and_picture_that_run_apart_would_be_seen_at_the_ingest() {
    let night = night().await;
    for ingest in &night.ingests {
        assert!(ingest.flashes.len() >= 6, "flashes at {:?}", ingest.flashes);
        let offset = |(index, at): &(u32, f64)| {
            let flash = ingest.flashes.iter().min_by(|a, b| (*a - at).abs().total_cmp(&(*b - at).abs()));
            let behind_flash = at - flash.expect("a flash");
            let expected = night.program_ms(u64::from(*index) * SECOND);
            // Flashes come every 2 s.
            (behind_flash - expected + 1000.0).rem_euclid(2000.0) - 1000.0
        };
        let offset = median(ingest.ruler.iter().map(offset).collect());
        assert!(offset.abs() < 40.0, "sound lies {offset:+.1} ms behind the picture");
        assert!(skew(&ingest.tracks).abs() < 40.0, "the tracks run {:+.1} ms apart", skew(&ingest.tracks));
    }
}

/// How far the ends of the two tracks are apart, in ms.
fn skew(tracks: &Tracks) -> f64 {
    let end = |track: &[crate::support::media::Packet]| track.last().map_or(0, |packet| packet.at_ms) as f64;
    end(&tracks.audio) + 1024.0 / 48.0 - (end(&tracks.video) + 1000.0 / 30.0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn late_join_is_heard_at_once_and_keeps_the_promised_delay() {
    let night = night().await;
    let events = night.said.lines("event");
    let found = events.iter().find(|event| event["code"] == "session.found").expect("the space was found");
    let found: jiff::Timestamp = found["at"].as_str().expect("a time").parse().expect("a time");
    let found_ms = found.as_millisecond() as f64;
    for ingest in &night.ingests {
        let (first, _) = ingest.ruler[0];
        let aired = night.program_zero_ms + night.program_ms(u64::from(first) * SECOND);
        let waited = aired - found_ms;
        assert!(waited <= DELAY_MS + 2000.0, "the first sound comes {waited:.0} ms after the space was found");
    }
    let (first, last) = (night.ingests[0].ruler[0].0, night.ingests[0].ruler.last().expect("seconds").0);
    let heard = |chunk: &&ChunkReport| {
        chunk.ruler_start >= u64::from(first) * SECOND && chunk.ruler_start < u64::from(last) * SECOND
    };
    let mut delays = Vec::new();
    for chunk in night.space.chunks.iter().filter(heard) {
        let aired = night.program_zero_ms + night.program_ms(chunk.ruler_start);
        delays.push(aired - chunk.listed_ms as f64);
    }
    // The first ones were listed before anybody listened.
    assert!(delays.len() >= 3, "{delays:?}");
    assert!(delays.iter().all(|delay| (0.0..DELAY_MS + 500.0).contains(delay)), "delays in ms: {delays:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigint_once_ends_with_closing_slate_and_files() {
    let night = night().await;
    assert_eq!(night.said.code, Some(0), "{}", night.said.all());
    assert_eq!(night.closing.slate, "Ended, thank you");
    for ingest in &night.ingests {
        let (index, at) = ingest.ruler[0];
        let last = ingest.tracks.video.last().expect("pictures").at_ms as f64;
        let end = night.program_ms(u64::from(index) * SECOND) + last - at;
        let after = end - night.live.program.seconds * 1000.0;
        assert!(after >= 4900.0, "the stream ends {after:.0} ms after the end was asked for");
        // The picture of the end is another one than that before, and was begun on the grid.
        // Frame 0 of each loop is the flash, which says nothing.
        let loops: Vec<&str> = ingest.tracks.video.chunks_exact(60).map(|frames| frames[30].hash.as_str()).collect();
        let (closing, live) = (loops[loops.len() - 1], loops[loops.len() - 4]);
        assert_ne!(closing, live, "the closing slate was not seen: {loops:?}");
    }
    let files = night.said.summary()["recording"]["files"].clone();
    assert!(files.as_array().is_some_and(|files| files.len() == 1), "{files}");
    assert_eq!(night.said.summary()["exit_code"], 0);
}

/// Fails unless `marks` are at their places, and what is missing between the first and the last is what lies in `hole`,
/// given as its first ruler sample and the first one behind it.
fn assert_only_hole(what: &str, marks: &[(u32, f64)], hole: (u64, u64)) {
    let (first, at) = marks[0];
    let last = marks.last().expect("seconds").0;
    assert!(u64::from(first) * SECOND + SECOND < hole.0, "{what}: nothing was heard before the hole: {marks:?}");
    assert!(u64::from(last) * SECOND > hole.1, "{what}: nothing was heard behind the hole: {marks:?}");
    for (index, place) in marks {
        let off = place - at - f64::from(index - first) * 1000.0;
        assert!(off.abs() < 5.0, "{what}: second {index} lies {off:+.1} ms from its place");
    }
    for index in first..=last {
        let start = u64::from(index) * SECOND;
        let end = start + SECOND;
        let is_heard = marks.iter().any(|(mark, _)| *mark == index);
        let touches = start < hole.1 && end > hole.0;
        // What is left of a second whose edge is cut may still be understood: its last 45 ms are silent.
        let is_inside = start >= hole.0 && end <= hole.1;
        assert!(!(is_inside && is_heard), "{what}: second {index} is heard though it is missing");
        // The decoder needs a frame to find into the sound again.
        let touches = touches || (start < hole.1 + 2048 && end > hole.1);
        assert!(touches || is_heard, "{what}: second {index} is not heard: {marks:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn missing_segment_shifts_nothing_after_it() {
    let _turn = turn().await;
    let nginx = Nginx::start("live").await;
    let space = Space::running_for(30).await;
    let stage = Stage::new(&format!("{}{}", space.config(), output("a", &nginx)));
    let run = stage.run(&["--json"]);
    stage.until_live().await;
    let lost = space.report().await.chunks.last().expect("chunks").sequence + 2;
    space.order(Order::DeleteChunks { sequences: vec![lost] }).await;
    stage.until("the gap is listed", 30, |status| !status.recording.gaps.is_empty()).await;
    let report = space.report().await;
    let chunk = report.chunks.iter().find(|chunk| chunk.sequence == lost).expect("it was listed");
    let start = (chunk.ruler_start - first_kept(&report).ruler_start) as f64 / SECOND as f64;
    let end = start + chunk.samples as f64 / SECOND as f64;
    stage
        .until("two seconds behind the gap are heard", 40, |status| {
            let anchor = status.session.as_ref().and_then(|session| session.anchor_samples);
            anchor.is_some_and(|anchor| status.program.seconds > anchor as f64 / SECOND as f64 + end + 3.5)
        })
        .await;
    let said = run.interrupt().await;
    let summary = said.summary();
    let gaps = summary["recording"]["gaps"].as_array().expect("gaps");
    let [gap] = &gaps[..] else { panic!("not one gap: {gaps:?}") };
    let off = |name: &str, expected: f64| (gap[name].as_f64().expect("a number") - expected).abs();
    assert!(off("start_seconds", start) < 0.03 && off("end_seconds", end) < 0.03, "{gap} is not {start} to {end}");
    assert!(gap["cause"].as_str().is_some_and(|cause| cause.contains("404")), "{gap}");
    let hole = (chunk.ruler_start, chunk.ruler_start + chunk.samples);
    let [file] = &nginx.recordings()[..] else { panic!("{:?}", nginx.recordings()) };
    Tracks::of(file).assert_continuous_from(0);
    assert_only_hole("ingest", &ruler_of(file), hole);
    assert_only_hole("recording", &ruler_of(&stage.finished()), hole);
}

/// Fails unless the archive lists every sequence once, and everything that the space listed in between.
pub(crate) fn assert_nothing_lost(stage: &Stage, space: &SpaceReport) {
    let mut kept = sequences(&stage.journal());
    kept.sort_unstable();
    let (first, last) = (kept[0], kept[kept.len() - 1]);
    let listed: Vec<u64> =
        space.chunks.iter().map(|chunk| chunk.sequence).filter(|one| (first..=last).contains(one)).collect();
    assert_eq!(kept, listed, "not every segment once");
    let missing = stage.journal().iter().filter(|line| line["type"] == "missing").count();
    assert_eq!(missing, 0, "something is listed as missing");
    assert_every_second(&ruler_of(&stage.finished()), kept.len() * 3 - 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_of_the_bridge_resumes_the_show_and_loses_nothing_fetchable() {
    let _turn = turn().await;
    let nginx = Nginx::start("live").await;
    let space = Space::running_for(30).await;
    let stage = Stage::new(&format!("{}{}", space.config(), output("a", &nginx)));
    let run = stage.run(&["--json"]);
    stage.until_live().await;
    let judged = |status: &ShowStatus| status.outputs[0].bytes_out > 1_000_000;
    let mut status = stage.until("the first connection has something to be judged", 20, judged).await;
    for kill in 1..=2_u32 {
        // Anywhere between two segments.
        stage.until_kept(f64::from(fastrand::u32(5..40)) / 10.0).await;
        let (pid, killed_at) = (status.bridge.pid, jiff::Timestamp::now());
        send(pid, Signal::KILL);
        status = stage
            .until("another process carries the show", 20, |status| {
                status.bridge.pid != pid
                    && status.state == ShowState::Live
                    && status.outputs.iter().all(|one| one.state == OutputState::Live)
            })
            .await;
        assert_eq!(status.bridge.resumes, kill);
        assert_eq!(status.outputs[0].budget.used, kill + 1, "a crash gives no new budget");
        let live_again = run.said();
        let live_again = live_again.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        let outputs_back = live_again
            .filter(|line| line["code"] == "output.live")
            .filter_map(|line| line["at"].as_str()?.parse::<jiff::Timestamp>().ok())
            .find(|at| *at > killed_at);
        let took = outputs_back.expect("the output is told to be live") - killed_at;
        let took = took.total(jiff::Unit::Second).expect("seconds");
        assert!(took < 10.0, "the output was back after {took:.1} s");
    }
    stage.until_kept(6.0).await;
    let said = run.interrupt().await;
    assert_eq!(said.code, Some(0), "{}", said.all());
    assert_nothing_lost(&stage, &space.report().await);
    assert_eq!(nginx.recordings().len(), 3, "one connection of each process");
    // The second may be over before it has enough to be judged.
    for file in [&nginx.recordings()[0], &nginx.recordings()[2]] {
        Tracks::of(file).assert_continuous_from(0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn suspend_and_run_again_goes_on_in_the_same_archive() {
    let _turn = turn().await;
    let nginx = Nginx::start("live").await;
    let space = Space::running_for(30).await;
    let stage = Stage::new(&format!("{}{}", space.config(), output("a", &nginx)));
    let mut run = stage.run(&[]);
    stage.until_live().await;
    run.signal(Signal::TERM);
    let said = run.ended(20).await;
    assert_eq!(said.code, Some(0), "{}", said.all());
    assert!(said.out.contains("run the same command within 30 minutes"), "{}", said.out);
    assert_eq!(stage.journal().last().expect("lines")["type"], "suspended");
    let run = stage.run(&["--json"]);
    let status = stage.until_live().await;
    assert_eq!(status.bridge.resumes, 1);
    stage.until_kept(6.0).await;
    let said = run.interrupt().await;
    assert_eq!(said.code, Some(0), "{}", said.all());
    assert_nothing_lost(&stage, &space.report().await);
    assert_eq!(stage.journal().last().expect("lines")["type"], "ended");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ingest_killed_under_a_show_leaves_the_other_whole_and_is_joined_again_on_the_grid() {
    let _turn = turn().await;
    let (mut victim, healthy) = (Nginx::start("live").await, Nginx::start("live").await);
    let space = Space::running_for(30).await;
    let stage = Stage::new(&format!("{}{}{}", space.config(), output("a", &victim), output("b", &healthy)));
    let run = stage.run(&["--json"]);
    stage.until_live().await;
    victim.grows(800_000).await;
    victim.kill();
    stage.until("the death is told", 10, |status| status.outputs[0].failures > 0).await;
    victim.up(None).await;
    let back = |status: &ShowStatus| status.outputs[0].connections == 2 && status.outputs[0].state == OutputState::Live;
    stage.until("the output is back", 20, back).await;
    victim.grows(1_200_000).await;
    let said = run.interrupt().await;
    assert_eq!(said.code, Some(0), "{}", said.all());
    let [whole] = &healthy.recordings()[..] else { panic!("{:?}", healthy.recordings()) };
    let tracks = Tracks::of(whole);
    tracks.assert_continuous_from(0);
    assert_every_second(&ruler_of(whole), 5);
    let [_, again] = &victim.recordings()[..] else { panic!("{:?}", victim.recordings()) };
    let second = Tracks::of(again);
    // A new connection starts at zero with a key frame, and its sound is cut there.
    second.assert_continuous_from(0);
    assert_every_second(&ruler_of(again), 3);
    assert_same_pictures_on_the_grid(&tracks, &second, whole, again);
}

/// Fails unless the later stream's flashes and seconds are as far apart as in the whole one: it was cut on the grid.
fn assert_same_pictures_on_the_grid(
    whole: &Tracks,
    later: &Tracks,
    whole_file: &std::path::Path,
    later_file: &std::path::Path,
) {
    assert!(later.video.len() < whole.video.len());
    let (reference, cut) = (ruler_of(whole_file), ruler_of(later_file));
    let (index, at) = cut[0];
    let (_, there) = *reference.iter().find(|(one, _)| *one == index).expect("both heard the second");
    let shift = there - at;
    let off = shift.rem_euclid(2000.0);
    assert!(off.min(2000.0 - off) < 40.0, "the second connection begins {shift:.0} ms into the first output's stream");
}
