//! Whether a connection is alive, judged by bytes out over time and by nothing else.
//!
//! The sink can go quiet with no data and no error, and acknowledgements come when the peer likes (nginx-rtmp: every
//! 5 MB). A low rate hides a frozen server longer, since the kernel's buffers take megabytes first.

use std::time::{Duration, Instant};

/// Commands, metadata and codec headers come to about 1.5 kB; more than this is media.
const MEDIA_BYTES: u64 = 4096;

/// A connection that takes nothing for this long while there is media for it is dead, as long as nothing is known about
/// it. The joins, at most 2 s apart, and a network that recovers stay below it.
const QUIET: Duration = Duration::from_secs(5);

/// The most patience that is learned.
const MOST: Duration = Duration::from_secs(40);

/// A server that answers this soon after its connection was declared dead was not dead: a join takes up to 2 s of it.
const ANSWER: Duration = Duration::from_secs(4);

/// How long a lesson is remembered.
const LESSON: Duration = Duration::from_secs(30 * 60);

/// How long a connection may be quiet: learned from mistakes.
///
/// A full socket takes bytes again only when a third of its buffer is free: behind a way that carries 1 Mbit/s that is
/// 10 s without a byte out, on a connection that moves all the time. Nothing tells it from a dead one but what comes
/// next: a server behind a dead way does not answer. So each such mistake doubles the patience.
#[derive(Debug)]
pub(super) struct Patience {
    quiet: Duration,
    declared: Option<Instant>,
    learned: Option<Instant>,
}

impl Patience {
    /// Nothing is known.
    pub(super) fn new() -> Self {
        Self { quiet: QUIET, declared: None, learned: None }
    }

    /// How long a connection that begins now may be quiet.
    pub(super) fn quiet(&mut self, now: Instant) -> Duration {
        if self.learned.is_some_and(|at| now.saturating_duration_since(at) >= LESSON) {
            *self = Self { declared: self.declared, ..Self::new() };
        }
        self.quiet
    }

    /// A connection was declared dead.
    pub(super) fn declared_dead(&mut self, now: Instant) {
        self.declared = Some(now);
    }

    /// The server has answered.
    pub(super) fn answered(&mut self, now: Instant) {
        if self.declared.take().is_some_and(|at| now.saturating_duration_since(at) <= ANSWER) {
            self.quiet = (self.quiet * 2).min(MOST);
            self.learned = Some(now);
        }
    }
}

/// What the bytes say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing is known yet.
    Unknown,
    /// Media leaves.
    Alive,
    /// Media waits and nothing leaves.
    Dead,
}

/// The rule for one connection.
#[derive(Debug)]
pub(super) struct Liveness {
    quiet: Duration,
    bytes: u64,
    moved: Instant,
    offered: u64,
    media: bool,
}

impl Liveness {
    /// A connection that begins now and may be quiet for so long.
    pub(super) fn new(quiet: Duration, now: Instant) -> Self {
        Self { quiet, bytes: 0, moved: now, offered: 0, media: false }
    }

    /// How long it may be quiet.
    pub(super) fn quiet(&self) -> Duration {
        self.quiet
    }

    /// When bytes were last seen to move, or there was nothing to move.
    pub(super) fn moved(&self) -> Instant {
        self.moved
    }

    /// Judges by `bytes` out so far and `offered` units so far, sent or dropped.
    pub(super) fn judge(&mut self, bytes: u64, offered: u64, now: Instant) -> Verdict {
        if bytes > self.bytes || offered == self.offered {
            // Without media there is nothing to be late with.
            self.moved = now;
        }
        (self.bytes, self.offered) = (bytes, offered);
        self.media |= bytes > MEDIA_BYTES;
        if now.saturating_duration_since(self.moved) >= self.quiet {
            Verdict::Dead
        } else if self.media {
            Verdict::Alive
        } else {
            Verdict::Unknown
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_bytes_out_keep_a_connection_alive() {
        use Verdict::{Alive, Dead, Unknown};
        // Seconds, bytes out, units offered, verdict.
        let cases = [
            (0, 0, 0, Unknown),
            (9, 0, 0, Unknown), // the server takes its time, and nothing was offered
            (10, 500, 0, Unknown),
            (11, 500, 40, Unknown),
            (12, 9000, 120, Alive),
            (16, 9000, 400, Alive),
            (17, 9000, 480, Dead),
        ];
        let start = Instant::now();
        let mut liveness = Liveness::new(QUIET, start);
        for (seconds, bytes, offered, wanted) in cases {
            let verdict = liveness.judge(bytes, offered, start + Duration::from_secs(seconds));
            assert_eq!(verdict, wanted, "at {seconds} s");
        }
    }

    #[test]
    fn a_program_that_stands_still_is_not_the_servers_fault() {
        let start = Instant::now();
        let mut liveness = Liveness::new(QUIET, start);
        for seconds in 0..60 {
            assert_ne!(liveness.judge(9000, 500, start + Duration::from_secs(seconds)), Verdict::Dead);
        }
    }

    #[test]
    fn a_server_that_answers_right_after_it_was_declared_dead_gets_more_patience_for_a_while() {
        let (mut patience, start) = (Patience::new(), Instant::now());
        let seconds = Duration::from_secs;
        // When it is declared dead, when it answers, what is allowed from then on.
        let cases = [(0, 5, 5), (100, 102, 10), (200, 203, 20), (300, 309, 20), (400, 401, 40), (500, 501, 40)];
        for (dead, answer, allowed) in cases {
            patience.declared_dead(start + seconds(dead));
            patience.answered(start + seconds(answer));
            patience.answered(start + seconds(answer));
            assert_eq!(patience.quiet(start + seconds(answer)), seconds(allowed), "at {dead} s");
        }
        assert_eq!(patience.quiet(start + seconds(501) + LESSON), QUIET, "a lesson is not for ever");
    }
}
