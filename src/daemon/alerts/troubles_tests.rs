use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use serde_json::json;

use super::*;
use crate::config::Problem;
use crate::daemon::Origin;
use crate::daemon::alerts::standing::Board;

fn status(state: ShowState, output: serde_json::Value) -> ShowStatus {
    let mut one = json!({
        "name": "a", "server": "rtmp://a.example/live", "state": "live", "state_seconds": 5, "connections": 1, "failures": 0,
        "bytes_out": 0, "kbps": 0, "dropped_frames": 0, "last_error": null, "retry_in_seconds": null
    });
    one.as_object_mut().unwrap().extend(output.as_object().unwrap().clone());
    serde_json::from_value(json!({
        "protocol": 1, "show": "night",
        "bridge": {"pid": 1, "version": "", "started_at": "2026-08-12T20:00:00Z", "resumes": 0},
        "state": state, "words": "", "session": null,
        "program": {"seconds": 0.0, "buffered_ms": 0, "holding": false, "peak_dbfs": 0.0, "rms_dbfs": 0.0,
            "short_term_lufs": 0.0, "late_ms": 0, "skipped_ms": 0},
        "slate": "", "outputs": [one],
        "recording": {"folder": null, "seconds": 0.0, "bytes": 0, "segments": 0, "gaps": [], "error": null, "files": []},
        "events": []
    }))
    .unwrap()
}

fn view(standing: Standing, status: Option<ShowStatus>) -> WardView {
    WardView {
        name: "night".into(),
        origin: Origin::Api,
        standing,
        why: Some("the bridge died".into()),
        faults: Vec::new(),
        config: None,
        on_the_air: status.is_some(),
        status: status.map(Arc::new),
    }
}

fn codes(view: &WardView) -> Vec<(String, u64)> {
    of_show(view).into_iter().map(|one| (one.code, one.patience.as_secs())).collect()
}

#[test]
fn whatever_needs_somebody_is_found_and_nothing_else() {
    let live = |output| status(ShowState::Live, output);
    let supervised = |status| view(Standing::Supervised, Some(status));
    let well = live(json!({}));
    let mut recording = well.clone();
    recording.recording.error = Some("The disk is full.".into());
    let mut orphan = well.clone();
    orphan.bridge.orphaned = true;
    let fault = Problem { key: "show".into(), line: None, message: "is odd".into(), remedy: String::new() };
    let faulty = WardView { faults: vec![fault], ..view(Standing::Off, None) };
    let spent =
        json!({"state": "backoff", "fault": "output.refused", "budget": {"limit": 1, "used": 1, "next_in_seconds": 9}});
    for (view, expected) in [
        (view(Standing::Off, None), vec![]),
        (supervised(well.clone()), vec![]),
        (view(Standing::Held, None), vec![("daemon.show_held", 0)]),
        (view(Standing::Supervised, None), vec![("daemon.show_silent", 15)]),
        (faulty, vec![("daemon.show_faulty", 0)]),
        (view(Standing::Elsewhere, Some(well)), vec![]),
        (view(Standing::Elsewhere, Some(orphan)), vec![("daemon.show_unsupervised", 0)]),
        (supervised(recording), vec![("recording.stopped", 0)]),
        (supervised(status(ShowState::Gap, json!({}))), vec![("session.gap", 60)]),
        (supervised(live(json!({"state": "stopped"}))), vec![]),
        (supervised(live(json!({"state": "backoff"}))), vec![("output.failed", 30)]),
        (supervised(live(json!({"state": "backoff", "fault": "output.key_lost"}))), vec![("output.key_lost", 30)]),
        (supervised(live(spent)), vec![("output.budget", 30)]),
        (supervised(status(ShowState::Starting, json!({"state": "connecting"}))), vec![]),
    ] {
        let expected: Vec<(String, u64)> =
            expected.into_iter().map(|(code, s): (&str, u64)| (code.into(), s)).collect();
        assert_eq!(codes(&view), expected, "{:?}", view.standing);
    }
}

#[test]
fn a_trouble_is_listed_once_it_lasts_keeps_its_beginning_and_leaves_when_it_is_over() {
    let board = Board::default();
    let (now, wall) = (Instant::now(), Timestamp::from_second(1_780_000_000).unwrap());
    let down = |fault: &str| {
        let output = json!({"state": "backoff", "fault": fault, "state_seconds": 0});
        of_show(&view(Standing::Supervised, Some(status(ShowState::Live, output))))
    };
    let second = Duration::from_secs(1);
    board.fold(down("output.refused"), now, wall);
    assert!(board.standing().is_empty());
    // The wall clock steps; the fault changes its name: it is the same trouble since the same moment.
    let later = wall.checked_sub(jiff::SignedDuration::from_hours(1)).unwrap();
    board.fold(down("output.rejected"), now + second * 31, later);
    let standing = board.standing();
    assert_eq!((standing.len(), standing[0].code.as_str(), standing[0].since), (1, "output.rejected", wall));
    let held = of_show(&view(Standing::Held, None));
    let disk = of_disk(&Disk { what: "state", free: 1_000_000 });
    board.fold([down("output.rejected"), held, vec![disk]].concat(), now + second * 32, later);
    let order: Vec<String> = board.standing().into_iter().map(|one| one.code).collect();
    assert_eq!(order.len(), 3);
    board.fold(Vec::new(), now + second * 33, later);
    assert!(board.standing().is_empty());
    board.fold(down("output.rejected"), now + second * 34, later);
    assert!(board.standing().is_empty(), "it begins anew");
}

#[test]
fn a_disk_with_room_is_no_trouble_wherever_its_folder_will_be() {
    assert!(full_disks(&[("state", "/tmp/not/there/yet".into())]).is_empty());
    assert_eq!(full_disks(&[("state", "/proc".into())]).len(), 1, "a disk without any room");
}
