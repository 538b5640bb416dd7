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
            // What was cut between two frames looks whole; only its length tells.
            whole: !piece.damaged && piece.frames.is_none_or(|n| n > 0 && n + SEAM_SLACK as u64 >= piece.listed),
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
mod tests;
