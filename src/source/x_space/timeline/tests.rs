//! Places by table: what lies where, whatever a playlist and its clocks say.

use super::*;

const LONG: u64 = 141 * 1024;
const SHORT: u64 = 140 * 1024;
const FRAME_TICKS: u64 = 1920;

fn date(ms: i64) -> Option<Timestamp> {
    Timestamp::from_millisecond(1_700_000_000_000 + ms).ok()
}

/// Segment `n` of a regular space: 141 and 140 frames in turn, dates rounded to milliseconds, timestamps near the wrap.
fn piece(n: u64) -> Piece {
    let start = (0..n).map(length).sum::<u64>();
    Piece {
        sequence: n,
        date: date((start as f64 / 48.0).round() as i64),
        discontinuity: false,
        listed: ((length(n) as f64 / 48.0).round() * 48.0) as u64,
        frames: Some(length(n)),
        rest: 0,
        damaged: false,
        ticks: Some((TICKS_WRAP - 3 * FRAME_TICKS + start / 1024 * FRAME_TICKS) % TICKS_WRAP),
    }
}

fn length(n: u64) -> u64 {
    if n.is_multiple_of(2) { LONG } else { SHORT }
}

fn exact(n: u64) -> i64 {
    (0..n).map(length).sum::<u64>() as i64
}

#[test]
fn segments_in_a_row_have_no_seam() {
    let mut timeline = Timeline::default();
    for n in 0..200 {
        assert_eq!(timeline.place(&piece(n)), Place { media_time: exact(n), duration: length(n) });
    }
}

#[test]
fn an_hour_at_another_rate_is_counted_to_the_sample() {
    // 129 frames at 44.1 kHz, 1200 times: each ends between two samples.
    let parts = 129 * 1024 * SAMPLE_PARTS * 48_000 / 44_100;
    let mut timeline = Timeline::default();
    for n in 0..1200 {
        let other = Piece { frames: Some(parts / SAMPLE_PARTS), rest: (parts % SAMPLE_PARTS) as u32, ..piece(n) };
        let place = timeline.place(&other);
        assert_eq!(place.media_time as u64, n * parts / SAMPLE_PARTS, "segment {n}");
    }
}

#[test]
fn a_missing_segment_shifts_nothing_after_it() {
    type Change = fn(&mut Piece);
    let changes: [(&str, Change); 6] = [
        ("all", |_| {}),
        ("no timestamp", |piece| piece.ticks = None),
        ("no date", |piece| piece.date = None),
        ("timestamp reset", |piece| piece.ticks = Some(12345)),
        ("timestamp off by 3 s", |piece| piece.ticks = piece.ticks.map(|ticks| (ticks + 270_000) % TICKS_WRAP)),
        ("discontinuity", |piece| piece.discontinuity = true),
    ];
    for (name, change) in changes {
        for missing in [1, 2, 5] {
            let mut timeline = Timeline::default();
            timeline.place(&piece(0));
            for n in 1..=missing {
                timeline.give_up(n, n, Some(length(n)));
            }
            let mut next = piece(missing + 1);
            change(&mut next);
            assert_eq!(timeline.place(&next).media_time, exact(missing + 1), "{name}, {missing} missing");
            let following = timeline.place(&piece(missing + 2)).media_time;
            assert_eq!(following, exact(missing + 2), "behind it: {name}");
        }
    }
}

#[test]
fn numbers_that_were_never_listed_are_measured_by_the_timestamp() {
    let mut timeline = Timeline::default();
    timeline.place(&piece(0));
    timeline.give_up(1, 39, None);
    assert_eq!(timeline.place(&Piece { date: None, ..piece(40) }).media_time, exact(40));
}

#[test]
fn a_wall_clock_that_jumped_does_not_move_the_audio() {
    for jump in [-3_600_000, 5_000, 3_600_000] {
        let mut timeline = Timeline::default();
        timeline.place(&piece(0));
        timeline.give_up(1, 1, Some(length(1)));
        let jumped = piece(2).date.and_then(|date| date.checked_add(jiff::SignedDuration::from_millis(jump)).ok());
        assert_eq!(timeline.place(&Piece { date: jumped, ..piece(2) }).media_time, exact(2), "{jump}");
    }
    let mut timeline = Timeline::default();
    timeline.place(&piece(0));
    assert_eq!(timeline.place(&Piece { date: date(90_000), ..piece(1) }).media_time, exact(1));
}

#[test]
fn a_host_who_was_away_leaves_a_hole_of_that_length() {
    // The numbers go on, a discontinuity and the dates tell of 60 s.
    for ticks in [None, Some(7)] {
        let mut timeline = Timeline::default();
        timeline.place(&piece(0));
        let back = Piece { date: date(63_008), discontinuity: true, ticks, ..piece(1) };
        let place = timeline.place(&back).media_time;
        assert_eq!(place, (63.008_f64 * 48_000.0 / 1024.0).round() as i64 * 1024);
    }
    let mut timeline = Timeline::default();
    timeline.place(&piece(0));
    let seam = Piece { discontinuity: true, ..piece(1) };
    assert_eq!(timeline.place(&seam).media_time, exact(1));
}

#[test]
fn a_damaged_segment_shifts_nothing_after_it() {
    let mut timeline = Timeline::default();
    timeline.place(&Piece { frames: Some(LONG - 2048), damaged: true, ..piece(0) });
    assert_eq!(timeline.place(&piece(1)).media_time, exact(1));
    for (frames, ticks) in [(0, None), (LONG / 2048 * 1024, piece(0).ticks)] {
        let mut timeline = Timeline::default();
        timeline.place(&Piece { frames: Some(frames), ticks, ..piece(0) });
        assert_eq!(timeline.place(&piece(1)).media_time, exact(1));
    }
}

#[test]
fn nothing_is_placed_over_what_was_placed_before() {
    let mut timeline = Timeline::default();
    let mut end = 0;
    for n in [0_u64, 1, 5, 3, 9, 2, 2, 50] {
        let place = timeline.place(&Piece { discontinuity: n % 3 == 0, ..piece(n) });
        assert!(place.media_time >= end);
        end = place.media_time + place.duration as i64;
    }
}

#[test]
fn a_resumed_session_goes_on_where_it_would_be() {
    let resume = ResumePoint {
        last_sequence: 9,
        media_time: exact(10),
        program_date_time: piece(9).date.map(|date| (date, exact(9))),
        ..ResumePoint::default()
    };
    assert_eq!(Timeline::new(Some(&resume)).place(&piece(10)).media_time, exact(10));
    let mut timeline = Timeline::new(Some(&resume));
    timeline.give_up(10, 14, None);
    let off = timeline.place(&piece(15)).media_time - exact(15);
    assert!(off.abs() <= 512, "{off}");
    let undated = ResumePoint { program_date_time: None, ..resume };
    let mut timeline = Timeline::new(Some(&undated));
    timeline.give_up(10, 14, None);
    assert!((timeline.place(&piece(15)).media_time - exact(15)).abs() < 48_000);
}

#[test]
fn a_clone_foretells_the_end_of_what_is_listed() {
    let mut timeline = Timeline::default();
    timeline.place(&piece(0));
    let mut foretold = timeline.clone();
    for n in 1..4 {
        foretold.place(&Piece { frames: None, ticks: None, ..piece(n) });
    }
    assert!((foretold.end() - exact(4)).abs() < 100, "{}", foretold.end() - exact(4));
    assert_eq!(timeline.end(), exact(1));
}

#[test]
fn hostile_numbers_do_not_overflow() {
    let mut timeline = Timeline::default();
    timeline.place(&Piece { sequence: u64::MAX, ..piece(0) });
    timeline.give_up(0, u64::MAX, Some(u64::MAX));
    timeline.place(&Piece { sequence: 0, listed: 600 * 48_000, date: Some(Timestamp::MAX), ..piece(0) });
    timeline.place(&Piece {
        sequence: 1,
        date: Some(Timestamp::MIN),
        ticks: Some(u64::MAX),
        discontinuity: true,
        ..piece(0)
    });
}
