//! The view on test terminals.

use std::sync::Arc;

use jiff::tz::TimeZone;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::style::Color;

use super::draw::{Palette, draw};
use super::model::{Leaving, Model};
use crate::alert::{Event, Level};
use crate::status::*;

pub(in crate::cli) fn an_event() -> Event {
    Event {
        id: 7,
        at: "2026-08-01T20:01:02Z".parse().unwrap(),
        level: Level::Warning,
        code: "output.rejected".into(),
        subject: "output rumble".into(),
        message: "The server refused the stream.".into(),
        remedy: Some("Check the stream key.".into()),
        doing: None,
        since: None,
        count: 1,
    }
}

fn an_output(name: &str, state: OutputState) -> OutputStatus {
    OutputStatus {
        name: name.into(),
        server: "rtmps://a.example/live2".into(),
        state,
        state_seconds: 760,
        live_since: None,
        connections: 1,
        failures: 0,
        bytes_out: 1_000_000,
        kbps: 3128,
        dropped_frames: 0,
        last_error: None,
        retry_in_seconds: None,
        fault: None,
        budget: Default::default(),
        abandoned: 0,
    }
}

pub(in crate::cli) fn a_status() -> ShowStatus {
    let mut rumble = an_output("rumble", OutputState::Backoff);
    rumble.last_error = Some("Connection refused: is the server address right?".into());
    rumble.retry_in_seconds = Some(5);
    ShowStatus {
        protocol: PROTOCOL_VERSION,
        show: "night".into(),
        bridge: BridgeStatus {
            pid: 1,
            version: "0.1.0".into(),
            started_at: jiff::Timestamp::UNIX_EPOCH,
            resumes: 0,
            orphaned: false,
        },
        state: ShowState::Live,
        words: "The space is on the air".into(),
        sources: Vec::new(),
        session: Some(SessionStatus {
            id: "1".into(),
            title: Some("A long night".into()),
            host: Some("@host".into()),
            speakers: vec![
                SpeakerStatus { name: "@host".into(), level: 90, muted: None },
                SpeakerStatus { name: "@quiet".into(), level: 0, muted: None },
            ],
            ..SessionStatus::default()
        }),
        program: ProgramStatus {
            seconds: 764.2,
            peak_dbfs: -6.3,
            rms_dbfs: -20.0,
            short_term_lufs: -18.2,
            ..ProgramStatus::default()
        },
        slate: "Live".into(),
        slate_version: None,
        own_slate: None,
        outputs: vec![an_output("youtube", OutputState::Live), rumble],
        recording: RecordingStatus {
            folder: Some("/srv/recordings/1".into()),
            seconds: 758.0,
            bytes: 9_100_000,
            ..RecordingStatus::default()
        },
        events: Vec::new(),
    }
}

fn a_model(status: ShowStatus) -> Model {
    let mut model = Model::new("night", Leaving::No, TimeZone::UTC);
    model.set_status(Arc::new(status));
    model.add_event(an_event());
    model
}

fn rows(model: &Model, width: u16, height: u16, color: bool) -> (Vec<String>, bool) {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, model, &Palette::new(color))).unwrap();
    let buffer = terminal.backend().buffer();
    let rows = (0..height)
        .map(|y| (0..width).map(|x| buffer[(x, y)].symbol()).collect::<String>().trim_end().to_owned())
        .collect();
    (rows, buffer.content().iter().any(|cell| cell.fg != Color::Reset))
}

#[test]
fn a_live_show_fits_on_the_smallest_terminal() {
    let (rows, _) = rows(&a_model(a_status()), 60, 16, true);
    let screen = rows.join("\n");
    assert_eq!(rows[0], "● LIVE on the air 12:44 night");
    assert_eq!(rows[1], "A long night  by @host");
    assert!(rows[4].contains("peak  -6.3 dBFS  -18.2 LUFS"), "{screen}");
    assert_eq!(rows[5], "Talking: @host");
    assert_eq!(rows[7], "youtube    live            12:40  3128 kbit/s  no reconnects");
    assert_eq!(rows[8], "rumble     again in 5 s  Connection refused: is the server …");
    assert_eq!(rows[10], "12:38  9.1 MB  no gaps  /srv/recordings/1");
    assert!(rows[12].starts_with("20:01:02 output rumble: The server refused"), "{screen}");
    assert_eq!(rows[15], "q or Ctrl-C: end the show");
}

fn a_source(name: &str) -> SourceStatus {
    SourceStatus { name: name.into(), active: false, pinned: false, connected: true, healthy: true, aligned: false }
}

#[test]
fn where_the_sound_may_come_from_is_told_once_there_is_a_choice() {
    let mut status = a_status();
    status.sources = vec![SourceStatus { active: true, ..a_source("a speaker's seat in Space 1kDOproYGLeYV") }];
    assert!(!rows(&a_model(status.clone()), 80, 24, true).0.concat().contains("Sources"));
    let aligned = SourceStatus { aligned: true, ..a_source("Space 1kDOproYGLeYV") };
    status.sources.push(aligned);
    let (wide, _) = rows(&a_model(status.clone()), 80, 24, true);
    assert!(wide[6].starts_with("── Sources"), "{wide:#?}");
    assert_eq!(wide[7], "a speaker's seat in Space 1kDOproYGLeYV  on the air");
    assert_eq!(wide[8], "Space 1kDOproYGLeYV                      standing by, aligned");
    let (small, _) = rows(&a_model(status.clone()), 60, 16, true);
    assert_eq!(small[7], "a speaker's seat in Space 1kDOproYG…  on the air");
    assert!(small[13].starts_with("── Events") && small[14].contains("The server refused"), "{small:#?}");

    status.sources[0] = SourceStatus { connected: false, healthy: false, ..a_source("x") };
    status.sources[1] = SourceStatus { active: true, pinned: true, healthy: false, ..a_source("\x1b[2J\u{202e}y") };
    status.sources.extend((0..4).map(|_| SourceStatus { healthy: false, ..a_source("z") }));
    let (bad, _) = rows(&a_model(status), 80, 24, true);
    assert_eq!(bad[7..10], ["x      not connected", " [2Jy  no sound, pinned", "z      standing by, no sound"]);
    assert_eq!(bad[11], "and 2 more");
}

#[test]
fn nothing_is_cut_on_a_wide_terminal() {
    let (rows, _) = rows(&a_model(a_status()), 120, 30, true);
    assert!(rows[8].ends_with("Connection refused: is the server address right?"), "{}", rows[8]);
    assert!(rows[12].ends_with("-> Check the stream key."), "{}", rows[12]);
}

#[test]
fn no_color_means_none() {
    let model = a_model(a_status());
    assert!(rows(&model, 80, 24, true).1);
    assert!(!rows(&model, 80, 24, false).1);
}

#[test]
fn any_terminal_size_is_survived() {
    let mut status = a_status();
    status.outputs = (0..40).map(|index| an_output(&format!("output-{index}"), OutputState::Live)).collect();
    let model = a_model(status);
    for (width, height) in [(1, 1), (3, 2), (20, 5), (60, 16), (300, 100)] {
        rows(&model, width, height, true);
    }
    let screen = rows(&model, 60, 16, true).0.join("\n");
    assert!(screen.contains("more, ") && screen.contains("Recording"), "{screen}");
}

#[test]
fn a_hostile_title_stays_in_its_place() {
    let mut status = a_status();
    status.session.as_mut().unwrap().title = Some("x\x1b]0;pwn\x07\r\n\u{202e}y".repeat(50));
    let (rows, _) = rows(&a_model(status), 80, 24, true);
    assert!(!rows.concat().chars().any(|character| character.is_control() || character == '\u{202e}'));
    assert!(rows[3].starts_with("── Sound"), "{rows:#?}");
}

#[test]
fn a_gap_a_dead_bridge_and_a_slow_start_are_told_in_words() {
    let mut status = a_status();
    status.state = ShowState::Gap;
    status.words = "The space has dropped out".into();
    status.program.holding = true;
    let mut model = a_model(status);
    let (gap, _) = rows(&model, 80, 24, true);
    assert!(gap[0].starts_with("● GAP") && gap[2] == "The space has dropped out", "{gap:#?}");
    assert!(gap[4].ends_with("no space audio now"));
    model.connected = false;
    model.notice = Some("The bridge process died (signal 9); it is started again.".into());
    model.leaving = Leaving::Ending;
    let (dead, _) = rows(&model, 80, 24, true);
    assert!(dead[2].contains("signal 9") && dead[23].starts_with("Ending"), "{dead:#?}");
    let (start, _) = rows(&Model::new("night", Leaving::No, TimeZone::UTC), 80, 24, true);
    assert_eq!(start[1], "The bridge is starting ...");
}
