//! Whether a bridge process that is there is also alive: a state machine without clock or I/O, and the asking for it.
//!
//! Only time in which somebody asked counts, so that a machine that slept has frozen nobody.

use std::time::{Duration, Instant};

use crate::bridge::client::{BridgeClient, ClientError};
use crate::clock::Clock;
use crate::status::ShowState;

/// How long an answer may take; good ones take milliseconds.
const ANSWER: Duration = Duration::from_secs(3);

/// Pause between two questions while all is well.
const PAUSE: Duration = Duration::from_secs(1);

/// Most that one question counts for.
const ROUND_MAX: Duration = Duration::from_secs(4);

/// Silence after which a bridge on the air is frozen, less the pause before the first question that stays open.
const SILENT_MAX: Duration = Duration::from_secs(9);

/// The same for one that makes its final files: it is busy, and nothing is on the air any more.
const FINISHING_MAX: Duration = Duration::from_secs(60);

/// How long a bridge may take until it first answers: a first picture on a slow machine, a long archive to be read.
const STARTING_MAX: Duration = Duration::from_secs(90);

/// How long it may take from closing its socket, which it does last of all, to its end.
const LEAVING_MAX: Duration = Duration::from_secs(30);

/// What came of asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    /// It answered; and whether its show is over, but for the files.
    Answer {
        /// The show is ending or over.
        finishing: bool,
    },
    /// It took the question and gave no answer.
    Silence,
    /// It has no socket (yet, or any more).
    Nobody,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Starting,
    Alive { finishing: bool },
}

/// The life signs of one process.
#[derive(Debug)]
pub(super) struct Pulse {
    state: State,
    without: Duration,
}

impl Pulse {
    /// Of a process that was started just now.
    pub(super) fn new() -> Self {
        Self { state: State::Starting, without: Duration::ZERO }
    }

    /// What has to be said of the process if it is frozen; asking took `round`.
    pub(super) fn on(&mut self, heard: Heard, round: Duration) -> Option<&'static str> {
        if let Heard::Answer { finishing } = heard {
            *self = Self { state: State::Alive { finishing }, without: Duration::ZERO };
            return None;
        }
        self.without += round.min(ROUND_MAX);
        let (limit, words) = match (self.state, heard) {
            (State::Starting, _) => (STARTING_MAX, "it did not come up within 90 s"),
            (State::Alive { finishing: false }, Heard::Silence) => (SILENT_MAX, "it did not answer for 10 s"),
            (State::Alive { finishing: true }, Heard::Silence) => (FINISHING_MAX, "it did not finish"),
            (State::Alive { .. }, _) => (LEAVING_MAX, "it closed its socket and did not end"),
        };
        (self.without >= limit).then_some(words)
    }
}

/// Asks the bridge until it is frozen; why it is said to be.
pub(super) async fn until_frozen(client: BridgeClient, clock: Clock) -> &'static str {
    let (mut pulse, mut last) = (Pulse::new(), clock.now());
    loop {
        let heard = ask(&client).await;
        if heard != Heard::Silence {
            clock.sleep(PAUSE).await;
        }
        let now: Instant = clock.now();
        if let Some(frozen) = pulse.on(heard, now.saturating_duration_since(last)) {
            return frozen;
        }
        last = now;
    }
}

async fn ask(client: &BridgeClient) -> Heard {
    match tokio::time::timeout(ANSWER, client.status()).await {
        Err(_) | Ok(Err(ClientError::Silent)) => Heard::Silence,
        Ok(Err(ClientError::NotOnTheAir { .. } | ClientError::Broken(_))) => Heard::Nobody,
        // Whatever it said, it said something.
        Ok(Err(_)) => Heard::Answer { finishing: false },
        Ok(Ok(status)) => Heard::Answer {
            finishing: matches!(status.state, ShowState::Ending | ShowState::Ended | ShowState::Suspended),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ON_AIR: Heard = Heard::Answer { finishing: false };

    /// Seconds of asking until the process counts as frozen, with one question in `round` seconds.
    fn frozen_after(before: &[Heard], then: Heard, round: u64) -> Option<(u64, &'static str)> {
        let mut pulse = Pulse::new();
        let round_time = Duration::from_secs(round);
        assert!(before.iter().all(|heard| pulse.on(*heard, Duration::from_secs(1)).is_none()));
        (1..200).find_map(|n| pulse.on(then, round_time).map(|words| (n * round, words)))
    }

    #[test]
    fn a_bridge_that_does_not_answer_is_frozen_but_not_while_it_starts_or_finishes() {
        let finishing = Heard::Answer { finishing: true };
        for (before, then, round, expected) in [
            (&[ON_AIR][..], Heard::Silence, 3, Some((9, "it did not answer for 10 s"))),
            (&[], Heard::Nobody, 1, Some((90, "it did not come up within 90 s"))),
            (&[], Heard::Silence, 3, Some((90, "it did not come up within 90 s"))),
            (&[ON_AIR, finishing], Heard::Silence, 3, Some((60, "it did not finish"))),
            (&[ON_AIR, finishing], Heard::Nobody, 1, Some((30, "it closed its socket and did not end"))),
            (&[ON_AIR], ON_AIR, 3600, None),
        ] {
            assert_eq!(frozen_after(before, then, round), expected, "{before:?}, then {then:?}");
        }
    }

    #[test]
    fn one_answer_forgives_what_was_before_it() {
        let mut pulse = Pulse::new();
        for _ in 0..50 {
            for heard in [ON_AIR, Heard::Silence, Heard::Silence] {
                assert_eq!(pulse.on(heard, ANSWER), None);
            }
        }
    }

    #[test]
    fn a_machine_that_slept_for_an_hour_has_frozen_nobody() {
        let mut pulse = Pulse::new();
        assert_eq!(pulse.on(ON_AIR, PAUSE), None);
        assert_eq!(pulse.on(Heard::Silence, Duration::from_secs(3600)), None);
        assert_eq!(pulse.on(ON_AIR, PAUSE), None);
    }
}
