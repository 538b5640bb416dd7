//! Whether a connection is alive, judged by bytes out over time and by nothing else.
//!
//! The sink can go quiet with no data and no error, and acknowledgements come when the peer likes (nginx-rtmp: every
//! 5 MB). A low rate hides a frozen server longer, since the kernel's buffers take megabytes first.

use std::time::{Duration, Instant};

/// Commands, metadata and codec headers come to about 1.5 kB; more than this is media.
const MEDIA_BYTES: u64 = 4096;

/// A connection that takes nothing for this long while there is media for it is dead. The joins, at most 2 s apart, and
/// a network that recovers stay below it.
const QUIET: Duration = Duration::from_secs(5);

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
    bytes: u64,
    moved: Instant,
    offered: u64,
    media: bool,
}

impl Liveness {
    /// A connection that begins now.
    pub(super) fn new(now: Instant) -> Self {
        Self { bytes: 0, moved: now, offered: 0, media: false }
    }

    /// Judges by `bytes` out so far and `offered` units so far, sent or dropped.
    pub(super) fn judge(&mut self, bytes: u64, offered: u64, now: Instant) -> Verdict {
        if bytes > self.bytes || offered == self.offered {
            // Without media there is nothing to be late with.
            self.moved = now;
        }
        (self.bytes, self.offered) = (bytes, offered);
        self.media |= bytes > MEDIA_BYTES;
        if now.saturating_duration_since(self.moved) >= QUIET {
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
        let mut liveness = Liveness::new(start);
        for (seconds, bytes, offered, wanted) in cases {
            let verdict = liveness.judge(bytes, offered, start + Duration::from_secs(seconds));
            assert_eq!(verdict, wanted, "at {seconds} s");
        }
    }

    #[test]
    fn a_program_that_stands_still_is_not_the_servers_fault() {
        let start = Instant::now();
        let mut liveness = Liveness::new(start);
        for seconds in 0..60 {
            assert_ne!(liveness.judge(9000, 500, start + Duration::from_secs(seconds)), Verdict::Dead);
        }
    }
}
