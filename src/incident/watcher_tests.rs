//! The watcher by statuses in a row.

use super::*;
use crate::status::{Gap, PROTOCOL_VERSION, ProgramStatus, RecordingStatus, ShowState};

fn output(name: &str, state: OutputState) -> OutputStatus {
    OutputStatus {
        name: name.into(),
        state,
        ..serde_json::from_value(serde_json::json!({
            "name": "", "server": "rtmp://a/b", "state": "stopped", "state_seconds": 0, "connections": 1, "failures": 2,
            "bytes_out": 3, "kbps": 0, "dropped_frames": 4, "last_error": null, "retry_in_seconds": null,
        }))
        .expect("an output")
    }
}

fn status(state: ShowState, outputs: Vec<OutputStatus>) -> ShowStatus {
    let bare = serde_json::json!({
        "protocol": PROTOCOL_VERSION, "show": "night", "state": "starting", "words": "On the air.", "session": null,
        "bridge": {"pid": 1, "version": "0", "started_at": "2026-08-12T20:00:00Z", "resumes": 0},
        "program": ProgramStatus::default(), "slate": "Starts in 9 min", "outputs": [], "events": [],
        "recording": RecordingStatus::default(),
    });
    ShowStatus { state, outputs, ..serde_json::from_value(bare).expect("a status") }
}

/// A watcher that has seen the first status, and its facts from then on without the figures.
struct Desk {
    watcher: Watcher,
    now: Instant,
}

impl Desk {
    fn new(first: &ShowStatus) -> Self {
        let mut desk = Self { watcher: Watcher::default(), now: Instant::now() };
        desk.see(first, 0.0);
        desk
    }

    fn see(&mut self, status: &ShowStatus, later: f64) -> Vec<Fact> {
        self.now += Duration::from_secs_f64(later);
        let mut facts = self.watcher.on_status(status, self.now);
        facts.retain(|fact| !matches!(fact, Fact::Figures(_)));
        facts
    }
}

#[test]
fn every_change_of_state_is_a_fact_with_its_reason_and_nothing_else_is() {
    let mut now = status(ShowState::Waiting, vec![output("a", OutputState::Live), output("b", OutputState::Live)]);
    let mut desk = Desk::new(&now);
    assert_eq!(desk.see(&now, 1.0), []);
    now.state = ShowState::Live;
    now.outputs[1] =
        OutputStatus { last_error: Some("It hung up.\u{1b}[2J".into()), ..output("b", OutputState::Backoff) };
    let facts = desk.see(&now, 1.0);
    assert_eq!(
        facts,
        [
            Fact::State { state: "live".into(), from: Some("waiting".into()), words: "On the air.".into() },
            Fact::Output {
                output: "b".into(),
                state: "backoff".into(),
                from: Some("live".into()),
                reason: Some("It hung up. [2J".into()),
            },
        ]
    );
    // An old error is no reason for being well.
    now.outputs[1].state = OutputState::Live;
    assert!(matches!(&desk.see(&now, 1.0)[..], [Fact::Output { reason: None, .. }]));
    let figures = desk.watcher.figures(&now);
    let live: Vec<f64> = figures.outputs.iter().map(|output| output.live_seconds).collect();
    assert_eq!(live, [3.0, 2.0], "live at the end of each stretch");
}

#[test]
fn a_countdown_is_one_line_of_the_slate() {
    let mut now = status(ShowState::Waiting, Vec::new());
    let mut desk = Desk::new(&now);
    for minute in (0..9).rev() {
        now.slate = format!("Starts in {minute} min");
        assert_eq!(desk.see(&now, 60.0), []);
    }
    now.slate = "Live".into();
    assert_eq!(desk.see(&now, 1.0), [Fact::Slate { text: "Live".into() }]);
}

#[test]
fn gaps_and_the_recordings_trouble_are_told_once() {
    let gap = |start| Gap { session: "s".into(), start_seconds: start, end_seconds: start + 3.0, cause: "404".into() };
    let mut now = status(ShowState::Live, Vec::new());
    let mut desk = Desk::new(&now);
    now.recording.gaps = vec![gap(1.0), gap(9.0)];
    now.recording.error = Some("The disk is full.".into());
    let facts = desk.see(&now, 1.0);
    assert!(matches!(&facts[..], [Fact::Recording { error: Some(_) }, Fact::Gap(_), Fact::Gap(_)]), "{facts:?}");
    assert_eq!(desk.see(&now, 1.0), []);
    now.recording.gaps.push(gap(20.0));
    now.recording.error = None;
    let facts = desk.see(&now, 1.0);
    assert!(matches!(&facts[..], [Fact::Recording { error: None }, Fact::Gap(gap)] if gap.start_seconds == 20.0));
}

#[test]
fn a_resumed_show_does_not_tell_the_gaps_of_the_process_before_again() {
    let mut now = status(ShowState::Waiting, Vec::new());
    now.bridge.resumes = 1;
    now.recording.gaps = vec![Gap { session: "s".into(), start_seconds: 1.0, end_seconds: 2.0, cause: "404".into() }];
    let facts = Watcher::default().on_status(&now, Instant::now());
    assert!(!facts.iter().any(|fact| matches!(fact, Fact::Gap(_))), "{facts:?}");
}

#[test]
fn figures_are_written_every_half_minute() {
    let now = status(ShowState::Live, Vec::new());
    let (mut watcher, start) = (Watcher::default(), Instant::now());
    let figures = |facts: &[Fact]| facts.iter().filter(|fact| matches!(fact, Fact::Figures(_))).count();
    let count: usize =
        (0..=480).map(|quarter| figures(&watcher.on_status(&now, start + Duration::from_millis(250) * quarter))).sum();
    assert_eq!(count, 5);
}
