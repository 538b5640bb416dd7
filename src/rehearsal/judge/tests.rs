//! What the judge says of good and bad evidence.

use super::expected::{DELAY_MS, seconds_of};
use super::*;
use crate::rehearsal::diary::Deed;
use crate::rehearsal::ear::HeardSecond;
use crate::rehearsal::ingest::ConnectionReport;
use crate::rehearsal::ingest::track::TrackReport;
use crate::rehearsal::proxy::{Fault, Scope, Way};
use crate::rehearsal::space::Order;

/// Ruler sample at which the first chunk starts: 7 s and 9600 samples.
const START: u64 = 7 * SECOND + 9600;
const CHUNK: u64 = 141 * 1024;

fn chunk(n: u64) -> ChunkReport {
    let ruler_start = START + n * CHUNK;
    let (samples, listed_ms, announced, silent) = (CHUNK, 0, true, false);
    ChunkReport { sequence: n, ruler_start, samples, listed_ms, announced, served: 1, from_past: 0, spoiled: 0, silent }
}

fn heard(indices: std::ops::Range<u32>, first_at_ms: f64) -> Heard {
    let first = indices.start;
    let at = |index: u32| (first_at_ms + f64::from(index - first) * 1000.0) * MILLISECOND;
    let seconds = indices.map(|index| HeardSecond { index, at_samples: at(index) }).collect();
    Heard { seconds, samples: 1, decode_errors: 0 }
}

/// Ten chunks are 30.08 s: the ruler's seconds 8 to 36 lie whole in them.
fn good() -> Evidence {
    let audio = TrackReport {
        frames: 1400,
        first_ms: Some(0),
        last_ms: Some(31_000),
        longest_gap_ms: 22,
        ..TrackReport::default()
    };
    let connection = ConnectionReport {
        video: TrackReport { longest_gap_ms: 34, ..audio.clone() },
        audio,
        // Anchor 24 000: second 8 lies at 24 000 + 38 400 = 62 400 program samples, 1300 ms after program zero.
        heard: heard(8..37, 1300.0),
        flashes_ms: (0..16).map(|n| n * 2000).collect(),
        ..ConnectionReport::default()
    };
    let ingest = IngestReport { name: "youtube".into(), connections: vec![connection], refused: 0 };
    let recording = RecordingEvidence {
        path: Some("/r".into()),
        sessions: 1,
        seconds: 30.08,
        heard: Some(heard(8..37, 800.0)),
        ..RecordingEvidence::default()
    };
    Evidence {
        space: SpaceReport { chunks: (0..10).map(chunk).collect(), ..SpaceReport::default() },
        ingests: vec![ingest],
        anchor_samples: Some(24_000),
        recording,
        ..Evidence::default()
    }
}

fn delivered(chunks: &[ChunkReport]) -> Vec<u32> {
    let got = chunks.iter().filter(|chunk| chunk.announced && chunk.served > 0);
    seconds_of(got).iter().map(|second| second.index).collect()
}

fn heard_at(evidence: &mut Evidence) -> &mut Vec<HeardSecond> {
    &mut evidence.ingests[0].connections[0].heard.seconds
}

fn reasons(change: impl FnOnce(&mut Evidence)) -> Vec<String> {
    let mut evidence = good();
    change(&mut evidence);
    judge(&evidence).reasons
}

#[test]
fn a_good_rehearsal_passes() {
    let judgement = judge(&good());
    assert_eq!(judgement.reasons, Vec::<String>::new());
    assert!(judgement.passed());
    assert_eq!(judgement.verdict.outputs[0].av_offset_ms, Some(0.0));
    assert_eq!(delivered(&good().space.chunks), (8..37).collect::<Vec<_>>());
}

#[test]
fn each_fault_is_told_in_words() {
    type Change = fn(&mut Evidence);
    let table: &[(Change, &str)] = &[
        (|e| e.ingests[0].connections.clear(), "youtube: nobody published"),
        (|e| e.ingests[0].connections[0].video.longest_gap_ms = 101, "youtube: 101 ms without video"),
        (|e| e.ingests[0].connections[0].skew_ms = 60.0, "youtube: the tracks came 60 ms apart"),
        (|e| e.ingests[0].connections[0].faults.push("no audio came".into()), "youtube: no audio came"),
        (|e| heard_at(e).retain(|second| second.index != 13), "youtube: seconds 13 of the ruler are missing"),
        (|e| heard_at(e)[5].index = 12, "youtube: second 12 comes after second 12"),
        (|e| heard_at(e).truncate(27), "youtube: seconds 35, 36 of the ruler are missing"),
        (|e| drop(heard_at(e).drain(..17)), "youtube: the first 17 seconds of the space were not on the air"),
        (|e| e.anchor_samples = Some(24_000 + 2400), "youtube: the sound is -50 ms from the picture"),
        (|e| e.anchor_samples = None, "youtube: sound and picture cannot be compared: no flash or no ruler was seen"),
        (|e| e.recording.heard = None, "recording: there is no finished file to listen to"),
        (|e| e.recording.heard = Some(heard(8..36, 0.0)), "recording: seconds 36 of the ruler are missing"),
        (|e| e.accidents.push("the bridge ended with code 1".into()), "the bridge ended with code 1"),
    ];
    for (change, expected) in table {
        let reasons = reasons(change);
        assert!(reasons.iter().any(|reason| reason == expected), "wanted {expected:?}, got {reasons:?}");
    }
}

#[test]
fn a_bridge_that_does_not_look_is_told_unless_the_space_was_in_trouble() {
    let stop_looking = |e: &mut Evidence| {
        for (n, chunk) in e.space.chunks.iter_mut().enumerate() {
            chunk.listed_ms = n as i64 * 3000;
            (chunk.announced, chunk.served) = (n < 4, u32::from(n < 4));
        }
    };
    let told = reasons(stop_looking);
    let wanted = "3 segments were listed and the bridge never looked, the first is 4";
    assert!(told.iter().any(|reason| reason == wanted), "{told:?}");
    let told = reasons(|e| {
        stop_looking(e);
        e.diary.done.push(Deed { at_ms: 0, what: What::Space(Order::Freeze) });
        e.diary.done.push(Deed { at_ms: 13_000, what: What::Space(Order::Thaw) });
    });
    assert!(!told.iter().any(|reason| reason.contains("never looked")), "{told:?}");
}

#[test]
fn seconds_of_the_ruler_that_are_out_of_place_fail() {
    let reasons = reasons(|e| {
        for second in heard_at(e).iter_mut().skip(10) {
            second.at_samples += 60.0 * MILLISECOND;
        }
    });
    assert!(reasons.contains(&"youtube: second 18 comes +60 ms from its place".to_owned()), "{reasons:?}");
}

#[test]
fn what_the_space_never_delivered_is_not_expected() {
    let mut chunks = good().space.chunks;
    chunks[3].served = 0;
    chunks[9].announced = false;
    let seconds = delivered(&chunks);
    // Chunk 3 lies at 16.2 to 19.2 s; the seconds that touch it cannot be whole.
    assert_eq!(seconds, (8..16).chain(20..34).collect::<Vec<_>>());
}

#[test]
fn gaps_are_right_only_when_the_plan_makes_them() {
    let gap = Gap { session: "1".into(), start_seconds: 1.0, end_seconds: 2.0, cause: "test".into() };
    assert_eq!(reasons(|e| e.recording.gaps.push(gap.clone())), ["recording: it has 1 gaps"]);
    let planned = reasons(|e| {
        e.recording.gaps.push(gap);
        e.gaps_planned = true;
    });
    assert!(planned.is_empty(), "{planned:?}");
}

#[test]
fn the_json_is_the_contract() {
    let value = serde_json::to_value(judge(&good()).verdict).expect("json");
    let expected = serde_json::json!({
        "outputs": [{
            "name": "youtube", "connections": 1, "seconds": 31.0, "longest_gap_ms": 34, "av_offset_ms": 0.0,
            "missing_ruler_seconds": [], "verdict": "pass",
        }],
        "recording": {"path": "/r", "sessions": 1, "seconds": 30.1, "gaps": [], "missing_ruler_seconds": []},
        "checks": [],
        "timeline": [],
        "verdict": "pass",
    });
    assert_eq!(value, expected);
}

/// Wall time of the night's first chunk, in Unix ms.
const NIGHT: i64 = 1_000_000;

/// A night in real time: the chunks are listed as they are spoken, and aired 6 s later over one connection.
fn night(chunks: u64) -> Evidence {
    let mut evidence = good();
    let listed = |n: u64| NIGHT + (n * CHUNK / 48) as i64;
    evidence.space.chunks = (0..chunks).map(|n| ChunkReport { listed_ms: listed(n), ..chunk(n) }).collect();
    let last = ((START + chunks * CHUNK) / SECOND) as u32;
    let connection = &mut evidence.ingests[0].connections[0];
    // Second 8 begins 800 ms into the first chunk.
    connection.heard = heard(8..last, (DELAY_MS + 800) as f64);
    (connection.started_ms, connection.first_media_ms) = (NIGHT, Some(NIGHT));
    evidence.anchor_samples = Some(DELAY_MS * 48);
    evidence.recording.heard = Some(heard(8..last, 800.0));
    evidence
}

fn did(evidence: &mut Evidence, seconds: f64, what: What) {
    evidence.diary.done.push(Deed { at_ms: NIGHT + (seconds * 1000.0) as i64, what });
}

fn at_youtube(fault: Fault, scope: Scope) -> What {
    What::Ingest { name: "youtube".into(), fault, scope, retry_in_seconds: (fault == Fault::Pass).then_some(2) }
}

/// Breaks the connection of a night at one time and lets another one begin, in seconds of the night.
fn reconnect(evidence: &mut Evidence, broken: f64, back: f64) {
    let connections = &mut evidence.ingests[0].connections;
    let first = connections.last_mut().expect("a connection");
    let mut second = first.clone();
    let (cut, joined) = (broken * 48_000.0, back * 48_000.0);
    first.ended_ms = Some(NIGHT + (broken * 1000.0) as i64);
    first.heard.seconds.retain(|second| second.at_samples < cut - 48_000.0);
    second.heard.seconds.retain(|second| second.at_samples > joined);
    second.heard.seconds.iter_mut().for_each(|second| second.at_samples -= joined);
    (second.started_ms, second.first_media_ms) = (NIGHT + (back * 1000.0) as i64, Some(NIGHT + (back * 1000.0) as i64));
    connections.push(second);
}

#[test]
fn killed_ingest_may_cost_one_connection_and_its_return_is_timed() {
    for (back, expected) in [(33.0, "pass"), (39.0, "fail")] {
        let mut evidence = night(30);
        did(&mut evidence, 20.0, at_youtube(Fault::Refuse, Scope::All));
        did(&mut evidence, 30.0, at_youtube(Fault::Pass, Scope::All));
        reconnect(&mut evidence, 20.0, back);
        let judgement = judge(&evidence);
        let [check] = &judgement.verdict.checks[..] else { panic!("{:?}", judgement.verdict.checks) };
        assert_eq!((check.measured_seconds, check.bound_seconds), (back - 30.0, 6.0));
        assert_eq!(serde_json::to_value(check.verdict).expect("json"), expected);
        assert_eq!(judgement.reasons.len(), usize::from(expected == "fail"), "{:?}", judgement.reasons);
    }
}

#[test]
fn connection_that_nobody_broke_fails_the_night() {
    let mut evidence = night(30);
    reconnect(&mut evidence, 20.0, 22.0);
    assert!(judge(&evidence).reasons.contains(&"youtube: connected 2 times instead of once".to_owned()));
    let mut evidence = night(30);
    did(&mut evidence, 20.0, at_youtube(Fault::Reset, Scope::Living));
    let reasons = judge(&evidence).reasons;
    assert!(reasons.contains(&"youtube: connected 1 times instead of 2 times".to_owned()), "{reasons:?}");
}

#[test]
fn trouble_at_one_ingest_is_no_excuse_for_another() {
    let mut evidence = night(30);
    let elsewhere = What::Ingest {
        name: "rumble".into(),
        fault: Fault::Stall { way: Way::Both },
        scope: Scope::All,
        retry_in_seconds: None,
    };
    did(&mut evidence, 20.0, elsewhere);
    heard_at(&mut evidence).retain(|second| second.index != 30);
    let reasons = judge(&evidence).reasons;
    assert_eq!(reasons, ["youtube: seconds 30 of the ruler are missing"]);
}

/// A night on which the host is away from second 30 to second 50.
fn host_away(aired_late_ms: f64) -> Evidence {
    let mut evidence = night(40);
    evidence.gaps_planned = true;
    did(&mut evidence, 30.0, What::Space(Order::HostDrop));
    did(&mut evidence, 50.0, What::Space(Order::HostReturn));
    let away = |chunk: &ChunkReport| (NIGHT + 30_000..NIGHT + 52_000).contains(&chunk.listed_ms);
    evidence.space.chunks.retain(|chunk| !away(chunk));
    let there = delivered(&evidence.space.chunks);
    let heard = heard_at(&mut evidence);
    heard.retain(|second| there.contains(&second.index));
    heard
        .iter_mut()
        .filter(|second| second.index > 50)
        .for_each(|second| second.at_samples += aired_late_ms * MILLISECOND);
    evidence.recording.heard.as_mut().expect("a file").seconds.retain(|second| there.contains(&second.index));
    evidence
}

#[test]
fn host_that_returns_is_heard_within_the_delay_and_two_seconds() {
    for (late_ms, passes) in [(0.0, true), (1500.0, true), (2500.0, false)] {
        let judgement = judge(&host_away(late_ms));
        let [check] = &judgement.verdict.checks[..] else { panic!("{:?}", judgement.verdict.checks) };
        assert_eq!(check.bound_seconds, 8.0);
        assert!((check.measured_seconds - 6.0 - late_ms / 1000.0).abs() < 0.1, "{check:?}");
        assert_eq!(judgement.passed(), passes, "{:?}", judgement.reasons);
    }
}

#[test]
fn recording_is_held_to_what_was_listed_even_while_the_air_is_excused() {
    let mut evidence = host_away(0.0);
    evidence.recording.heard.as_mut().expect("a file").seconds.retain(|second| second.index != 20);
    let judgement = judge(&evidence);
    assert_eq!(judgement.reasons, ["recording: seconds 20 of the ruler are missing"]);
    assert_eq!(judgement.verdict.recording.missing_ruler_seconds, [20]);
}

#[test]
fn segment_that_failed_counts_once_the_cdn_is_well_and_never_once_it_was_deleted() {
    let mut evidence = night(30);
    (evidence.space.chunks[10].served, evidence.space.chunks[10].spoiled) = (0, 3);
    let failed = evidence.space.chunks[10].clone();
    let kept = |evidence: &Evidence| super::expected::in_the_recording(&evidence.space.chunks, &evidence.diary);
    let second = (failed.ruler_start / SECOND + 1) as u32;
    assert!(!kept(&evidence).contains(&second));
    did(&mut evidence, 60.0, What::Space(Order::Heal));
    assert!(kept(&evidence).contains(&second));
    did(&mut evidence, 61.0, What::Space(Order::DeleteChunks { sequences: vec![failed.sequence] }));
    assert!(!kept(&evidence).contains(&second));
}

#[test]
fn freeze_that_nobody_notices_fails() {
    let mut evidence = night(40);
    did(&mut evidence, 20.0, at_youtube(Fault::Stall { way: Way::Both }, Scope::All));
    did(&mut evidence, 50.0, at_youtube(Fault::Pass, Scope::All));
    reconnect(&mut evidence, 20.0, 51.0);
    let judgement = judge(&evidence);
    assert_eq!(judgement.reasons, ["youtube: noticed that it froze took 999.0 s"]);
}

#[test]
fn killed_bridge_must_be_back_everywhere_and_may_repeat_itself() {
    for (back, passes) in [(26.0, true), (31.0, false)] {
        let mut evidence = night(40);
        did(&mut evidence, 20.0, What::BridgeKilled);
        reconnect(&mut evidence, 20.0, back);
        let judgement = judge(&evidence);
        assert_eq!(judgement.verdict.checks[0].measured_seconds, back - 20.0);
        assert_eq!(judgement.passed(), passes, "{:?}", judgement.reasons);
    }
}

#[test]
fn each_space_must_have_a_file_of_its_own() {
    let mut evidence = night(10);
    evidence.recording.sessions = 2;
    assert_eq!(judge(&evidence).reasons, ["recording: it has files of 2 sessions for 1 spaces"]);
}

#[test]
fn expectation_that_was_not_met_is_a_reason_and_everything_is_in_the_timeline_in_order() {
    let mut evidence = night(10);
    evidence.diary.started_ms = NIGHT;
    did(&mut evidence, 12.0, What::Space(Order::Heal));
    let what = "the show live".to_owned();
    did(&mut evidence, 9.0, What::Expected { what, within_seconds: 5.0, took_seconds: None });
    let judgement = judge(&evidence);
    assert_eq!(judgement.reasons, ["NOT the show live within 5 s, at 9 s"]);
    let times: Vec<f64> = judgement.verdict.timeline.iter().map(|moment| moment.at_seconds).collect();
    assert_eq!(times, [9.0, 12.0]);
}

#[test]
fn second_that_ends_in_a_segment_of_the_trouble_is_excused_on_the_air_and_the_one_before_is_not() {
    let mut evidence = night(30);
    did(&mut evidence, 40.0, What::Space(Order::RefuseListeners { status: 403 }));
    did(&mut evidence, 50.0, What::Space(Order::Heal));
    let troubles = super::trouble::Troubles::read(&evidence.diary);
    let listed = Expected::on_the_air(&evidence.space.chunks, &troubles).seconds;
    let around: Vec<(i64, i64)> =
        listed.iter().map(|second| (second.listed_ms - NIGHT, second.whole_ms - NIGHT)).collect();
    assert!(around.iter().all(|(start, end)| *end < 37_000 || *start > 56_000), "{around:?}");
    assert!(around.iter().any(|(start, end)| start != end), "some seconds lie in two segments");
    assert!(around.iter().any(|(_, end)| (33_000..37_000).contains(end)), "{around:?}");
}

#[test]
fn next_space_is_timed_and_expected_on_the_air_only_once_it_was_found() {
    let mut evidence = host_away(0.0);
    evidence.diary.done.clear();
    did(&mut evidence, 30.0, What::Space(Order::Timeout { replay: false }));
    let order = Order::NewSpace { title: None, host: None, not_started: false, scheduled_in_seconds: None };
    did(&mut evidence, 50.0, What::Space(order));
    let judgement = judge(&evidence);
    let [check] = &judgement.verdict.checks[..] else { panic!("{:?}", judgement.verdict.checks) };
    assert_eq!((check.what.as_str(), check.bound_seconds), ("youtube: the host's next space is found and heard", 43.0));
    assert!(judgement.passed(), "{:?}", judgement.reasons);
}

#[test]
fn one_second_may_lie_across_the_files_of_a_change_of_form_and_no_second_one() {
    for (lost, passes) in [(vec![33], true), (vec![33, 34], false), (vec![20], false)] {
        let mut evidence = night(30);
        let order = Order::ChangeFormat { sample_rate: 44_100, channels: 1, unmarked: false };
        did(&mut evidence, 26.0, What::Space(order));
        evidence.recording.heard.as_mut().expect("a file").seconds.retain(|second| !lost.contains(&second.index));
        assert_eq!(judge(&evidence).passed(), passes, "{lost:?}: {:?}", judge(&evidence).reasons);
    }
}
