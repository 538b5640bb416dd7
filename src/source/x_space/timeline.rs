//! Where each segment lies on its session's media timeline, exact to the sample.
//!
//! Zero is the first sample of the first segment that the session's first attempt received. Segments in a row follow
//! each other without a seam: each starts where the frames of the one before end. Behind a hole the segment's own
//! 90 kHz timestamp decides, as long as the playlist's dates agree; else the dates; else the listed durations. So what
//! is missing shifts nothing that comes after it. Pure: no clock, no I/O.

use jiff::Timestamp;

use super::segment::SAMPLE_PARTS;
use crate::media::{AAC_FRAME_SAMPLES, SAMPLE_RATE};
use crate::source::ResumePoint;

/// How far a timestamp may be from the playlist's dates and still be believed: 1 s.
const AGREEMENT: i64 = SAMPLE_RATE as i64;

/// A place this close to a whole number of frames is that number: 2 ms, since dates are written in milliseconds.
const FRAME_SLACK: i64 = 96;

/// A date this close to the end of the segment before tells no hole: 100 ms.
const SEAM_SLACK: i64 = SAMPLE_RATE as i64 / 10;

/// No hole is longer than this: a day. A date that says so was set wrong.
const LONGEST_HOLE: i64 = SAMPLE_RATE as i64 * 86_400;

/// Wraps of the 33-bit timestamp.
const TICKS_WRAP: u64 = 1 << 33;

/// What is known of a segment.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Piece {
    /// Sequence number.
    pub(super) sequence: u64,
    /// Its PROGRAM-DATE-TIME.
    pub(super) date: Option<Timestamp>,
    /// Whether a discontinuity is marked before it.
    pub(super) discontinuity: bool,
    /// The playlist's duration, in 48 kHz samples.
    pub(super) listed: u64,
    /// Duration of its frames, in 48 kHz samples; none while it was not fetched, zero if it has none.
    pub(super) frames: Option<u64>,
    /// What its frames last beyond whole samples, in [`SAMPLE_PARTS`].
    pub(super) rest: u32,
    /// Whether bytes of it were neither frame nor tag, so that a frame may lack.
    pub(super) damaged: bool,
    /// Time of its first sample, in 90 kHz ticks of 33 bits.
    pub(super) ticks: Option<u64>,
}

/// Where a segment lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// Its first sample.
    pub(super) media_time: i64,
    /// Its length in samples.
    pub(super) duration: u64,
}

/// The last segment that was placed.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Last {
    sequence: u64,
    /// End of the one before.
    follows: i64,
    start: i64,
    end: i64,
    /// A date and its media time.
    date: Option<(Timestamp, i64)>,
    ticks: Option<u64>,
    listed: u64,
    whole: bool,
    /// In what its places are counted: a frame of 48 kHz, or a sample at other rates.
    grid: i64,
}

/// Places segments one after the other. A clone foretells where listed segments will lie.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Timeline {
    last: Option<Last>,
    /// Listed durations of the segments that were given up since the last one.
    lost: u64,
    /// What the last segments in a row lasted beyond whole samples, in [`SAMPLE_PARTS`].
    carried: u64,
}

impl Timeline {
    /// Begins at zero, or goes on where an earlier attempt of the same session stopped.
    pub(super) fn new(resume: Option<&ResumePoint>) -> Self {
        let last = resume.map(|resume| Last {
            sequence: resume.last_sequence,
            follows: resume.media_time,
            start: resume.media_time,
            end: resume.media_time,
            date: resume.program_date_time,
            ticks: None,
            // As long as a Space's: for holes that nothing else measures.
            listed: 3 * u64::from(SAMPLE_RATE),
            whole: true,
            grid: AAC_FRAME_SAMPLES as i64,
        });
        Self { last, lost: 0, carried: 0 }
    }

    /// The end of the last placed segment.
    pub(super) fn end(&self) -> i64 {
        self.last.map_or(0, |last| last.end)
    }

    /// The end of the segment before the last placed one; the last one's start if it is the first.
    pub(super) fn end_before_last(&self) -> i64 {
        self.last.map_or(0, |last| last.follows)
    }

    /// A segment was given up; `listed` is its duration if the playlist told one.
    pub(super) fn give_up(&mut self, first: u64, last: u64, listed: Option<u64>) {
        let count = last.saturating_sub(first).saturating_add(1);
        let each = listed.unwrap_or(self.last.map_or(0, |last| last.listed));
        self.lost = self.lost.saturating_add(each.saturating_mul(count)).min(LONGEST_HOLE as u64);
    }

    /// Length of what was given up since the last segment, by the listed durations, in 48 kHz samples.
    pub(super) fn lost(&self) -> u64 {
        self.lost
    }

    /// Places the next segment.
    pub(super) fn place(&mut self, piece: &Piece) -> Place {
        let media_time = self.last.as_ref().map_or(0, |last| self.start_of(piece, last));
        let before = self.last.and_then(|last| last.date);
        // Rates that are no divisor of 48 kHz end between samples: over an hour that would be a tenth of a second.
        let follows = self.last.is_some_and(|last| last.end == media_time);
        let whole = if follows { self.carried } else { 0 } + u64::from(piece.rest);
        self.carried = whole % SAMPLE_PARTS;
        let duration =
            piece.frames.filter(|frames| *frames > 0).map_or(piece.listed, |frames| frames + whole / SAMPLE_PARTS);
        self.last = Some(Last {
            sequence: piece.sequence,
            follows: self.last.map_or(media_time, |last| last.end),
            start: media_time,
            end: media_time + duration as i64,
            // Without a date of its own a segment keeps the last one, unless the timeline behind it was cut.
            date: piece.date.map(|date| (date, media_time)).or(before.filter(|_| !piece.discontinuity)),
            ticks: piece.ticks,
            listed: piece.listed,
            whole: !piece.damaged && piece.frames != Some(0),
            grid: grid(piece),
        });
        self.lost = 0;
        Place { media_time, duration }
    }

    fn start_of(&self, piece: &Piece, last: &Last) -> i64 {
        let follows = last.sequence.checked_add(1) == Some(piece.sequence);
        if follows && last.whole && !piece.discontinuity {
            return last.end;
        }
        let by_list = last.end + self.listed_hole(piece, last) as i64;
        let by_date = by_date(piece, last);
        let by_ticks = if piece.discontinuity { None } else { by_ticks(piece, last) };
        let start = match (by_ticks, by_date) {
            // Two that agree outvote a date that was set wrong.
            (Some(ticks), _) if (ticks - by_list).abs() <= AGREEMENT => ticks,
            (Some(ticks), Some(date)) if (ticks - date).abs() <= AGREEMENT => ticks,
            (_, Some(date)) if follows && (date - last.end).abs() <= SEAM_SLACK => last.end,
            (_, Some(date)) => date,
            (Some(ticks), None) if ticks >= by_list - AGREEMENT => ticks,
            (_, None) => by_list,
        };
        // Nothing is ever placed over what was placed before.
        start.max(last.end)
    }

    /// What lies between by the listed durations; numbers that nobody spoke of count like the last segment.
    fn listed_hole(&self, piece: &Piece, last: &Last) -> u64 {
        if self.lost > 0 {
            return self.lost;
        }
        let between = piece.sequence.saturating_sub(last.sequence).saturating_sub(1);
        between.saturating_mul(last.listed).min(LONGEST_HOLE as u64)
    }
}

fn grid(piece: &Piece) -> i64 {
    let is_48k = piece.rest == 0 && piece.frames.is_none_or(|frames| frames.is_multiple_of(AAC_FRAME_SAMPLES));
    if is_48k { AAC_FRAME_SAMPLES as i64 } else { 1 }
}

/// By the difference of the dates, in whole frames.
fn by_date(piece: &Piece, last: &Last) -> Option<i64> {
    let (before, media_time) = last.date?;
    let elapsed = piece.date?.duration_since(before);
    let samples = elapsed.as_millis() * i128::from(SAMPLE_RATE) / 1000;
    let start = media_time + i64::try_from(samples).ok()?;
    let frame = last.grid;
    let rounded = last.start + (start - last.start + frame / 2).div_euclid(frame) * frame;
    believed(rounded, last)
}

/// By the difference of the 90 kHz timestamps: 1920 ticks are 1024 samples.
fn by_ticks(piece: &Piece, last: &Last) -> Option<i64> {
    let ticks = piece.ticks?.wrapping_sub(last.ticks?) & (TICKS_WRAP - 1);
    let samples = (ticks as i64 * 8 + 7) / 15;
    let frame = last.grid;
    let whole = (samples + frame / 2) / frame * frame;
    let samples = if (samples - whole).abs() <= FRAME_SLACK { whole } else { samples };
    believed(last.start + samples, last)
}

/// A start is believed if it lies behind the last segment (a little overlap is noise) and not days away.
fn believed(start: i64, last: &Last) -> Option<i64> {
    (start >= last.end - AGREEMENT && start <= last.end + LONGEST_HOLE).then_some(start)
}

#[cfg(test)]
mod tests {
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
        let mut timeline = Timeline::default();
        timeline.place(&Piece { frames: Some(0), ticks: None, ..piece(0) });
        assert_eq!(timeline.place(&piece(1)).media_time, exact(1));
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
}
