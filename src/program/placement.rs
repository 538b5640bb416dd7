//! Where a session's media time lies on the program's timeline.
//!
//! Pure. A source says what its **edge** is: the end of the newest audio that can be had, and when it was seen. The
//! first edge anchors the session so that the edge goes on the air the configured delay after it was seen. From then on
//! media time alone decides, sample by sample; the anchor jumps only when the delay cannot be kept. Between jumps it
//! moves by single samples, as the source's clock does against ours: [`Placement::correction`] says how much faster or
//! slower the audio is to be played, [`Placement::stretched`] hears what came of it. The anchor is therefore always
//! that of the *newest* audio placed; a second that was placed an hour ago may lie some milliseconds beside it.
//!
//! Why this keeps the promise "first audible at most the delay after it could first be fetched": a segment of length d
//! was listed at some unknown moment up to d before the first look. Its end airs `delay` after the look, so its start
//! airs `delay - d` after the look, which is at most `delay` after the listing.

use super::follower::Follower;
use super::line::seconds;
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
    follower: Follower,
}

impl Placement {
    /// A placement with `delay` samples between "could be had" and "on the air".
    pub fn new(delay: u64) -> Self {
        Self { delay: delay as i64, anchor: None, follower: Follower::default() }
    }

    /// A placement with media time zero at program sample `anchor`, and `delay` samples as above, when the program
    /// stands at `now`.
    pub fn at(anchor: i64, delay: u64, now: u64) -> Self {
        let mut placement = Self::new(delay);
        placement.jump(anchor, now as i64);
        placement
    }

    /// Everything from now on airs `by` samples later, for good.
    pub fn put_later(&mut self, by: i64, now: u64) {
        self.delay += by;
        if let Some(anchor) = self.anchor {
            self.jump(anchor + by, now as i64);
        }
    }

    /// Takes notice of an edge as [`Placement::on_edge`] does, but moves nothing once there is a place: what comes too
    /// late is heard from elsewhere.
    pub fn on_edge_of_many(&mut self, edge: Edge, now: u64) -> Move {
        if self.anchor.is_none() {
            return self.on_edge(edge, now);
        }
        let wanted = now as i64 + self.delay - edge.end;
        self.follower.arrive(now, wanted, seconds(now as i64 + edge.piece as i64 - edge.end));
        Move::None
    }

    /// Program sample of media time zero, once anchored. Negative when the session began before the program.
    pub fn anchor(&self) -> Option<i64> {
        self.anchor
    }

    /// Program sample of `media_time`, once anchored.
    pub fn program_sample(&self, media_time: i64) -> Option<i64> {
        self.anchor.map(|anchor| anchor + media_time)
    }

    /// How much longer (or shorter, if negative) the audio is to be made now, as a share of its length; zero while there
    /// is nothing to correct.
    pub fn correction(&mut self, now: u64) -> f64 {
        self.anchor.map_or(0.0, |anchor| self.follower.correction(seconds(now as i64), seconds(anchor)))
    }

    /// Audio was placed and came out this many samples longer (or shorter, if negative) than it went in.
    pub fn stretched(&mut self, by: i64) {
        self.anchor = self.anchor.map(|anchor| anchor + by);
    }

    /// Takes notice of an edge that was seen when the program stood at `now`.
    pub fn on_edge(&mut self, edge: Edge, now: u64) -> Move {
        let needed = edge.piece as i64 + if edge.in_hand { IN_HAND_MARGIN } else { FETCH_MARGIN };
        let moved = self.place(edge, now as i64, needed);
        let wanted = now as i64 + self.delay - edge.end;
        self.follower.arrive(now, wanted, seconds(now as i64 + needed - edge.end));
        moved
    }

    fn place(&mut self, edge: Edge, now: i64, needed: i64) -> Move {
        let wanted = now + self.delay - edge.end;
        let Some(anchor) = self.anchor else {
            self.jump(wanted, now);
            return Move::Anchored;
        };
        let lead = anchor + edge.end - now;
        let deepest = self.delay + edge.piece as i64 + DEPTH_TOLERANCE;
        if lead > deepest {
            // Back to where it was before it had to wait, if that can be kept; else to where this edge asks for.
            let before = self.follower.take_parked(seconds(now)).map(|place| (place * f64::from(SAMPLE_RATE)) as i64);
            let can_be_kept = |place: &i64| (needed..=deepest).contains(&(place + edge.end - now)) && *place < anchor;
            let place = before.filter(can_be_kept).unwrap_or(wanted);
            self.jump(place, now);
            return Move::Earlier((anchor - place) as u64);
        }
        if lead < 0 {
            self.follower.park(seconds(now));
            self.jump(wanted, now);
            return Move::Later((wanted - anchor) as u64);
        }
        let least = needed.min(self.delay + edge.piece as i64);
        if lead < least {
            self.anchor = Some(anchor + least - lead);
            self.follower.put_off(seconds(least - lead));
            return Move::Later((least - lead) as u64);
        }
        Move::None
    }

    fn jump(&mut self, anchor: i64, now: i64) {
        self.anchor = Some(anchor);
        self.follower.begin(seconds(anchor), seconds(now));
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
    fn after_an_outage_the_program_is_back_at_the_delay_it_had() {
        // The first edge was seen 1 s late: the program's own delay is 7 s, and 6 s after a jump to any other edge.
        let mut placement = Placement::new(6 * 48_000);
        placement.on_edge(edge(12.0, 3.0), 13 * 48_000);
        assert_eq!(placement.program_sample(12 * S), Some(19 * S));
        // Nothing for 20 s, then one old piece after the other: the program waits for them.
        assert!(matches!(placement.on_edge(edge(15.0, 3.0), 36 * 48_000), Move::Later(_)));
        assert_eq!(placement.program_sample(15 * S), Some(42 * S));
        // The backlog comes: live again, where it was, and what lies between is told.
        assert_eq!(placement.on_edge(edge(36.0, 3.0), 36 * 48_000 + 24_000), Move::Earlier(20 * 48_000));
        assert_eq!(placement.program_sample(36 * S), Some(43 * S));
    }

    #[test]
    fn a_source_that_stood_still_itself_is_not_chased() {
        let mut placement = Placement::new(6 * 48_000);
        placement.on_edge(edge(12.0, 3.0), 12 * 48_000);
        // The host was away for 30 s and its media time did not go on: the new place is kept.
        assert!(matches!(placement.on_edge(edge(15.0, 3.0), 45 * 48_000), Move::Later(_)));
        for n in 1..100 {
            let at = 15.0 + 3.0 * f64::from(n);
            assert_eq!(placement.on_edge(edge(at, 3.0), ((at + 30.0) * S as f64) as u64), Move::None);
        }
        assert_eq!(placement.program_sample(15 * S), Some(51 * S));
    }

    #[test]
    fn a_machine_that_was_suspended_jumps_back_to_its_delay() {
        let mut placement = Placement::new(72_000);
        let edge = |at: f64| Edge { in_hand: true, ..edge(at, 0.1) };
        placement.on_edge(edge(10.0), 10 * 48_000);
        // Program time stood still for 30 s, the source did not.
        assert_eq!(placement.on_edge(edge(40.1), (10.1 * S as f64) as u64), Move::Earlier(30 * 48_000));
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
