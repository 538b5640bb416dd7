//! Where a session's media time lies on the program's timeline.
//!
//! Pure. A source says what its **edge** is: the end of the newest audio that can be had, and when it was seen. The
//! first edge anchors the session so that the edge goes on the air the configured delay after it was seen. From then on
//! media time alone decides, sample by sample; the anchor moves only when the delay cannot be kept.
//!
//! Why this keeps the promise "first audible at most the delay after it could first be fetched": a segment of length d
//! was listed at some unknown moment up to d before the first look. Its end airs `delay` after the look, so its start
//! airs `delay - d` after the look, which is at most `delay` after the listing.

use crate::media::SAMPLE_RATE;

/// What a source must still have to fetch and decode a piece when its edge is seen, before the piece is due: 0.7 s.
const FETCH_MARGIN: i64 = SAMPLE_RATE as i64 * 7 / 10;

/// The same for a piece that is decoded already: 50 ms, for the machine's own hiccups.
const IN_HAND_MARGIN: i64 = SAMPLE_RATE as i64 / 20;

/// How much deeper than intended the program may run before it jumps back to its delay: 1.5 s.
const DEPTH_TOLERANCE: i64 = SAMPLE_RATE as i64 * 3 / 2;

/// The end of the newest audio that a source can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edge {
    /// Media time of the end, in 48 kHz samples.
    pub end: i64,
    /// Length of the newest piece, in 48 kHz samples.
    pub piece: u64,
    /// Whether the piece is decoded already, or still has to be fetched.
    pub in_hand: bool,
}

/// What an edge did to the anchor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Move {
    /// Nothing: media time goes on as it did.
    None,
    /// The session has its place now.
    Anchored,
    /// Everything from now on airs this many samples later, because pieces came just too late: hold audio in between.
    Later(u64),
    /// Everything from now on airs this many samples earlier: what lies in between is skipped on the air.
    Earlier(u64),
}

/// The place of one session's media time zero on the program's timeline.
#[derive(Debug, Clone)]
pub struct Placement {
    delay: i64,
    anchor: Option<i64>,
}

impl Placement {
    /// A placement with `delay` samples between "could be had" and "on the air".
    pub fn new(delay: u64) -> Self {
        Self { delay: delay as i64, anchor: None }
    }

    /// Takes up the anchor of an earlier process.
    pub fn resume(delay: u64, anchor: i64) -> Self {
        Self { delay: delay as i64, anchor: Some(anchor) }
    }

    /// Program sample of media time zero, once anchored. Negative when the session began before the program.
    pub fn anchor(&self) -> Option<i64> {
        self.anchor
    }

    /// Program sample of `media_time`, once anchored.
    pub fn program_sample(&self, media_time: i64) -> Option<i64> {
        self.anchor.map(|anchor| anchor + media_time)
    }

    /// Takes notice of an edge that was seen when the program stood at `now`.
    pub fn on_edge(&mut self, edge: Edge, now: u64) -> Move {
        let now = now as i64;
        let wanted = now + self.delay - edge.end;
        let Some(anchor) = self.anchor else {
            self.anchor = Some(wanted);
            return Move::Anchored;
        };
        let lead = anchor + edge.end - now;
        let piece = edge.piece as i64;
        if lead > self.delay + piece + DEPTH_TOLERANCE {
            self.anchor = Some(wanted);
            return Move::Earlier((anchor - wanted) as u64);
        }
        let needed = piece + if edge.in_hand { IN_HAND_MARGIN } else { FETCH_MARGIN };
        let target = if lead < 0 { self.delay } else { needed.min(self.delay + piece) };
        if lead < target && (lead < 0 || lead < needed) {
            self.anchor = Some(anchor + target - lead);
            return Move::Later((target - lead) as u64);
        }
        Move::None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: i64 = 48_000;

    fn edge(end_seconds: f64, piece_seconds: f64) -> Edge {
        Edge { end: (end_seconds * S as f64) as i64, piece: (piece_seconds * S as f64) as u64, in_hand: false }
    }

    #[test]
    fn the_first_edge_airs_the_delay_after_it_was_seen() {
        let mut placement = Placement::new(6 * 48_000);
        assert_eq!(placement.on_edge(edge(12.0, 3.0), 100 * 48_000), Move::Anchored);
        assert_eq!(placement.program_sample(12 * S), Some(106 * S));
    }

    #[test]
    fn edges_within_the_playlists_jitter_move_nothing() {
        let mut placement = Placement::new(6 * 48_000);
        placement.on_edge(edge(12.0, 3.0), 0);
        // Listed every 3 s, seen up to 2 s and a fetch late.
        for (end, seen) in [(15.0, 3.0), (18.0, 7.9), (21.0, 9.1), (24.0, 14.2)] {
            assert_eq!(placement.on_edge(edge(end, 3.0), (seen * S as f64) as u64), Move::None, "edge {end}");
        }
    }

    #[test]
    fn a_piece_that_would_come_too_late_moves_the_program_later_and_loses_nothing() {
        let mut placement = Placement::new(6 * 48_000);
        placement.on_edge(edge(12.0, 3.0), 0);
        // The edge is on the air in 2.5 s: its piece of 3 s is due already.
        assert_eq!(placement.on_edge(edge(15.0, 3.0), (6.5 * S as f64) as u64), Move::Later((1.2 * S as f64) as u64));
        assert_eq!(placement.program_sample(12 * S), Some((7.2 * S as f64) as i64));
    }

    #[test]
    fn an_edge_that_lies_in_the_past_starts_again_at_the_delay() {
        let mut placement = Placement::new(6 * 48_000);
        placement.on_edge(edge(12.0, 3.0), 0);
        assert!(matches!(placement.on_edge(edge(15.0, 3.0), 60 * 48_000), Move::Later(_)));
        assert_eq!(placement.program_sample(15 * S), Some(66 * S));
    }

    #[test]
    fn a_backlog_returns_to_the_delay_by_jumping() {
        let mut placement = Placement::new(6 * 48_000);
        placement.on_edge(edge(12.0, 3.0), 0);
        assert!(matches!(placement.on_edge(edge(40.0, 3.0), 10 * 48_000), Move::Earlier(_)));
        assert_eq!(placement.program_sample(40 * S), Some(16 * S));
    }

    #[test]
    fn a_continuous_source_is_as_deep_as_its_delay() {
        let mut placement = Placement::new(72_000);
        let edge = |at: f64| Edge { in_hand: true, ..edge(at, 1.0) };
        placement.on_edge(edge(0.0), 0);
        for n in 1..200 {
            let at = f64::from(n);
            assert_eq!(placement.on_edge(edge(at), ((at + 0.3) * S as f64) as u64), Move::None);
        }
    }
}
