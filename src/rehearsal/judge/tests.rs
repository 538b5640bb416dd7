//! What the judge says of good and bad evidence.

use super::*;
use crate::rehearsal::ingest::track::TrackReport;

/// Ruler sample at which the first chunk starts: 7 s and 9600 samples.
const START: u64 = 7 * SECOND + 9600;
const CHUNK: u64 = 141 * 1024;

fn chunk(n: u64) -> ChunkReport {
    let ruler_start = START + n * CHUNK;
    let (samples, listed_ms, announced, silent) = (CHUNK, 0, true, false);
    ChunkReport { sequence: n, ruler_start, samples, listed_ms, announced, served: 1, spoiled: 0, silent }
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
    assert_eq!(delivered_seconds(&good().space.chunks), (8..37).collect::<Vec<_>>());
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
    let seconds = delivered_seconds(&chunks);
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
            "verdict": "pass",
        }],
        "recording": {"path": "/r", "seconds": 30.1, "gaps": [], "missing_ruler_seconds": []},
        "verdict": "pass",
    });
    assert_eq!(value, expected);
}
