//! Stories from lines, and a night that the other tests read too.

use super::*;
use crate::incident::reader::read_lines;

/// Lines of one process: seconds since its beginning and the rest of the line.
fn lines(began: &str, rows: &[(f64, &str)]) -> String {
    let began: Timestamp = began.parse().expect("a time");
    let mut text = String::new();
    for (t, rest) in rows {
        let at = began + SignedDuration::from_secs_f64(*t);
        text.push_str(&format!("{{\"v\":1,\"at\":\"{at}\",\"t\":{t},{rest}}}\n"));
    }
    text
}

fn story(text: &str, now: Option<Timestamp>) -> Story {
    Story::of(read_lines(text.as_bytes()).expect("lines"), now)
}

const BEGIN: &str = r#""type":"begin","show":"night","pid":1,"timezone":"UTC""#;

/// Forty minutes of waiting, ten on the air, a crash, and the rest.
pub(in crate::incident) fn a_night() -> Story {
    let warning = |count: u32| {
        format!(
            r#""type":"event","level":"warning","code":"source.failed","subject":"source","message":"Answer 503.","remedy":"Wait.","count":{count},"since":"2026-08-12T20:00:10Z","doing":"Asks again in 10 s.""#
        )
    };
    let figures = r#""type":"figures","outputs":[{"output":"youtube","connections":1,"live_seconds":1620.0,"bytes_out":1500000},{"output":"rumble","connections":1,"failures":1}],"recorded_seconds":1190.0,"gaps":1"#;
    let first = lines(
        "2026-08-12T20:00:00Z",
        &[
            (0.0, BEGIN),
            (0.0, r#""type":"state","state":"waiting","words":"Waiting for the space.""#),
            (1.0, r#""type":"output","output":"youtube","state":"live""#),
            (1.0, r#""type":"output","output":"rumble","state":"live""#),
            (2.0, r#""type":"slate","text":"Waiting for <b>the</b> space to open""#),
            (10.0, &warning(1)),
            (1800.0, &warning(119)),
            (2390.0, r#""type":"session","id":"1Ypk","title":"The title","host":"host""#),
            (2400.0, r#""type":"state","state":"live","from":"waiting","words":"On the air.""#),
            (
                2400.0,
                r#""type":"event","level":"info","code":"output.live","subject":"output rumble","message":"On the air at rtmp://r/live.""#,
            ),
            (
                2500.0,
                r#""type":"output","output":"rumble","state":"backoff","from":"live","reason":"The server hung up.""#,
            ),
            (2600.0, r#""type":"gap","session":"1Ypk","start_seconds":10.0,"end_seconds":12.5,"cause":"answered 404""#),
            (2800.0, r#""type":"output","output":"rumble","state":"live","from":"backoff""#),
            (2900.0, r#""type":"recording","error":"The disk is full.""#),
            (2950.0, r#""type":"recording""#),
            (3000.0, figures),
        ],
    );
    let second = lines(
        "2026-08-12T20:50:10Z",
        &[
            (0.0, r#""type":"begin","show":"night","pid":2,"resumes":1,"timezone":"UTC""#),
            (1.0, r#""type":"state","state":"live","words":"On the air.""#),
            (1.0, r#""type":"output","output":"youtube","state":"live""#),
            (1.0, r#""type":"output","output":"rumble","state":"live""#),
            (
                300.0,
                r#""type":"event","level":"error","code":"recording.lost","subject":"recording","message":"4 s were lost.","remedy":"Free some space before the next show.""#,
            ),
            (580.0, r#""type":"state","state":"ending","from":"live","words":"Over.""#),
            (590.0, figures),
            (590.0, r#""type":"end","state":"ended""#),
        ],
    );
    story(&format!("{first}{second}"), None)
}

#[test]
fn a_crash_is_a_stretch_of_its_own_in_every_lane() {
    let night = a_night();
    let names: Vec<&str> = night.lanes.iter().map(|lane| lane.name.as_str()).collect();
    assert_eq!(names, ["show", "output youtube", "output rumble"]);
    let down = |lane: &Lane| lane.spans.iter().find(|span| span.state == DOWN).map(Span::seconds);
    assert!(night.lanes.iter().all(|lane| down(lane) == Some(11.0) || down(lane) == Some(10.0)), "{:?}", night.lanes);
    let states: Vec<&str> = night.lanes[0].spans.iter().map(|span| span.state.as_str()).collect();
    assert_eq!(states, ["waiting", "live", "down", "live", "ending"]);
    assert_eq!((night.resumed.len(), night.is_over, night.seconds()), (1, true, 3600.0));
}

#[test]
fn figures_of_all_processes_add_up_and_the_archives_do_not() {
    let total = a_night().total;
    assert_eq!((total.outputs[0].connections, total.outputs[0].live_seconds), (2, 3240.0));
    assert_eq!((total.recorded_seconds, total.gaps), (1190.0, 1));
}

#[test]
fn a_suspension_is_no_crash() {
    let first = lines("2026-08-12T20:00:00Z", &[(0.0, BEGIN), (0.0, r#""type":"state","state":"live""#)]);
    let end = lines("2026-08-12T20:00:00Z", &[(60.0, r#""type":"end","state":"suspended""#)]);
    let second = lines("2026-08-12T20:05:00Z", &[(0.0, BEGIN), (0.0, r#""type":"state","state":"live""#)]);
    let told = story(&format!("{first}{end}{second}"), Some("2026-08-12T20:10:00Z".parse().expect("a time")));
    let states: Vec<(&str, f64)> =
        told.lanes[0].spans.iter().map(|span| (span.state.as_str(), span.seconds())).collect();
    assert_eq!(states, [("live", 60.0), (SUSPENDED, 240.0), ("live", 300.0)]);
    assert!(!told.is_over);
}

#[test]
fn a_wall_clock_that_steps_in_the_night_moves_nothing() {
    let text = lines("2026-08-12T20:00:00Z", &[(0.0, BEGIN), (0.0, r#""type":"state","state":"waiting""#)])
        // An hour back, and on.
        + &lines("2026-08-12T19:00:00Z", &[(10.0, r#""type":"state","state":"live""#)])
        + &lines("2026-08-12T20:00:00Z", &[(30.0, r#""type":"end","state":"ended""#)]);
    let told = story(&text, None);
    let lengths: Vec<f64> = told.lanes[0].spans.iter().map(Span::seconds).collect();
    assert_eq!(lengths, [10.0, 20.0]);
}

#[test]
fn a_file_of_nothing_or_without_its_beginning_is_a_story_too() {
    assert_eq!(story("", None).seconds(), 0.0);
    let text = lines("2026-08-12T20:00:00Z", &[(100.0, r#""type":"state","state":"live""#)]);
    let told = story(&text, Some("2026-08-12T20:01:50Z".parse().expect("a time")));
    assert_eq!((told.lanes[0].spans[0].seconds(), told.seconds()), (10.0, 10.0));
}

#[test]
fn equal_troubles_are_one_with_their_number() {
    let night = a_night();
    let seen: Vec<(&str, u64)> = night.troubles.iter().map(|trouble| (trouble.code.as_str(), trouble.count)).collect();
    assert_eq!(seen, [("source.failed", 120), ("recording.lost", 1)]);
    assert_eq!(night.recording_stops.len(), 1);
    assert_eq!(night.recording_stops[0].seconds(), 50.0);
}
