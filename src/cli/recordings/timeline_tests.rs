use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::recording::Archive;

const S: i64 = 48_000;

/// A session of these segments: start and length in seconds, and where each was had from.
fn session(segments: &[(i64, i64, &str)], marks: &[(i64, &str)]) -> SessionArchive {
    let temp = tempfile::tempdir().expect("a folder");
    let mut lines = vec![json!({"type": "show_started", "show": "x", "program": ""})];
    for (at, (start, length, origin)) in segments.iter().enumerate() {
        lines.push(json!({"type": "segment", "session": "s", "sequence": at, "name": "", "file": at.to_string(), "bytes": 0,
            "sha256": "", "media_time": start * S, "duration": length * S, "listed_at": "2026-01-01T00:00:00Z", "origin": origin}));
    }
    lines.extend(
        marks.iter().map(|(at, title)| json!({"type": "mark", "session": "s", "media_time": at * S, "title": title})),
    );
    crate::recording::tests::write_journal(temp.path(), &lines);
    let archive = Archive::read(temp.path()).expect("an archive");
    archive.sessions.into_iter().next().expect("a session")
}

fn drawn(session: &SessionArchive, width: usize) -> Vec<String> {
    let (start, end) = extent(session).expect("something");
    let talk = Talk::new(start, end, columns(width), Some("@host"));
    draw(session, &talk, &Measurement::default(), width)
}

#[test]
fn gaps_repairs_and_marks_stand_where_they_are() {
    let session = session(
        &[(-60, 60, "replay"), (0, 60, "live"), (90, 30, "live"), (120, 60, "snapshot")],
        &[(0, "b"), (-30, "a")],
    );
    let rows = drawn(&session, 75);
    assert_eq!(rows[0], "               -0:01:00       0:00:00        0:01:00        0:02:00");
    assert_eq!(
        rows[1],
        format!("  audio        {}{}·······!{}{}", "▒".repeat(15), "█".repeat(15), "█".repeat(7), "▒".repeat(15))
    );
    assert_eq!(rows[2], "  marks               1       2");
}

#[test]
fn a_short_gap_in_a_long_show_is_not_drawn_over() {
    let session = session(&[(0, 5400, "live"), (5401, 5399, "live")], &[]);
    let rows = drawn(&session, 80);
    assert_eq!(rows[1].matches('!').count(), 1, "{rows:?}");
    assert!(rows.iter().all(|row| row.width() <= 80), "{rows:?}");
}

proptest! {
    #[test]
    fn fuzz_timeline(
        segments in proptest::collection::vec((-100_000_i64..100_000, 0_i64..10_000), 1..20),
        marks in proptest::collection::vec((-200_000_i64..200_000, "\\PC{0,20}"), 0..50),
        width in 0_usize..250,
    ) {
        let segments: Vec<_> = segments.iter().map(|(start, length)| (*start, *length, "live")).collect();
        let marks: Vec<_> = marks.iter().map(|(at, title)| (*at, title.as_str())).collect();
        let session = session(&segments, &marks);
        if extent(&session).is_some() {
            for row in drawn(&session, width) {
                prop_assert!(row.width() <= width.max(NAME + 3 + 20), "{}", row);
            }
        }
    }
}
