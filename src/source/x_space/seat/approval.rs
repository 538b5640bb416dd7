//! From asking to sitting: what to ask for next, when to go on waiting, when to give up. Pure: time is a parameter.
//!
//! A host is asked once and waited for; who was refused does not ask again by itself.

use std::time::{Duration, Instant};

use super::guest::{Joined, Standing};

/// Pause between two looks at where the request stands; the chat tells at once where it can be read.
const LOOK: Duration = Duration::from_secs(3);

/// Looks in a row that do not find the request before it counts as refused: a service may be behind for a moment.
const MISSES: u32 = 2;

/// What the operator allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// Whether the host may be asked for the floor.
    pub request_to_speak: bool,
    /// How long an answer is waited for.
    pub timeout: Duration,
    /// Requests in one Space, over all attempts.
    pub tries: u32,
}

impl Default for Rules {
    fn default() -> Self {
        Self { request_to_speak: true, timeout: Duration::from_secs(300), tries: 3 }
    }
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Said {
    /// The service's answer to joining.
    Joined(Joined),
    /// The request is with the host, under this session.
    Submitted(String),
    /// No request is wanted: everybody may speak.
    NoRequestWanted,
    /// Where the session stands.
    Standing(Standing),
    /// The chat says that the host let us speak.
    Approved,
    /// The chat says that the host did not, or took it back.
    Refused,
    /// Time went by.
    Tick,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Act {
    /// Join.
    Join,
    /// Ask the host.
    Submit,
    /// Look where the session stands.
    Look(String),
    /// Sit down, with this session.
    Sit(String),
    /// Nothing yet.
    Rest,
    /// It will not be.
    GiveUp(Denied),
}

/// Why there is no seat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Denied {
    /// The host would have to be asked, and the configuration does not want that.
    NotAsked,
    /// The host was asked as often as is polite.
    AskedEnough,
    /// The host did not answer.
    TimedOut,
    /// The host refused.
    Refused,
    /// The service contradicts itself.
    Odd,
}

/// One way to a seat.
#[derive(Debug)]
pub(super) struct Approval {
    rules: Rules,
    /// Requests of earlier attempts.
    asked: u32,
    submitted: bool,
    state: State,
}

#[derive(Debug)]
enum State {
    Joining { again: bool },
    Asking,
    Waiting { session: String, since: Instant, looked: Instant, missed: u32 },
    Over,
}

impl Approval {
    /// A way that begins with joining; `asked` requests were made before.
    pub(super) fn new(rules: Rules, asked: u32) -> Self {
        Self { rules, asked, submitted: false, state: State::Joining { again: false } }
    }

    /// Whether the host was asked by this way.
    pub(super) fn was_asked(&self) -> bool {
        self.submitted
    }

    /// The request that waits for the host.
    pub(super) fn waiting(&self) -> Option<&str> {
        match &self.state {
            State::Waiting { session, .. } => Some(session),
            _ => None,
        }
    }

    /// What to do about what happened.
    pub(super) fn on(&mut self, said: Said, now: Instant) -> Act {
        self.submitted |= matches!(said, Said::Submitted(_));
        let (state, act) = match (std::mem::replace(&mut self.state, State::Over), said) {
            (State::Joining { .. }, Said::Joined(Joined { is_open: true, session: Some(session) })) => {
                (State::Over, Act::Sit(session))
            }
            (State::Joining { again: true }, Said::Joined(_)) => give_up(Denied::Odd),
            (State::Joining { .. }, Said::Joined(_)) if !self.rules.request_to_speak => give_up(Denied::NotAsked),
            (State::Joining { .. }, Said::Joined(_)) if self.asked >= self.rules.tries => give_up(Denied::AskedEnough),
            (State::Joining { .. }, Said::Joined(_)) => (State::Asking, Act::Submit),
            (State::Asking, Said::Submitted(session)) => {
                (State::Waiting { session, since: now, looked: now, missed: 0 }, Act::Rest)
            }
            (State::Asking, Said::NoRequestWanted) => (State::Joining { again: true }, Act::Join),
            (State::Waiting { session, .. }, Said::Approved | Said::Standing(Standing::OnStage)) => {
                (State::Over, Act::Sit(session))
            }
            // The chat's word alone refuses nothing: strangers write there.
            (State::Waiting { session, since, .. }, Said::Refused) => {
                let waiting = State::Waiting { session: session.clone(), since, looked: now, missed: MISSES - 1 };
                (waiting, Act::Look(session))
            }
            (State::Waiting { session, since, looked, missed }, Said::Standing(standing)) => {
                let missed = if standing == Standing::Unknown { missed + 1 } else { 0 };
                if missed >= MISSES {
                    give_up(Denied::Refused)
                } else {
                    (State::Waiting { session, since, looked, missed }, Act::Rest)
                }
            }
            // What is given up while the host may still answer is taken back by the caller.
            (waiting @ State::Waiting { since, .. }, Said::Tick)
                if now.saturating_duration_since(since) >= self.rules.timeout =>
            {
                (waiting, Act::GiveUp(Denied::TimedOut))
            }
            (State::Waiting { session, since, looked, missed }, Said::Tick)
                if now.saturating_duration_since(looked) >= LOOK =>
            {
                (State::Waiting { session: session.clone(), since, looked: now, missed }, Act::Look(session))
            }
            (state, _) => (state, Act::Rest),
        };
        self.state = state;
        act
    }
}

fn give_up(why: Denied) -> (State, Act) {
    (State::Over, Act::GiveUp(why))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: Rules = Rules { request_to_speak: true, timeout: Duration::from_secs(60), tries: 2 };

    fn joined(is_open: bool, session: Option<&str>) -> Said {
        Said::Joined(Joined { is_open, session: session.map(str::to_owned) })
    }

    fn standing(standing: Standing) -> Said {
        Said::Standing(standing)
    }

    /// Plays what was said, with its second, and gives what was done at the end.
    fn play(rules: Rules, asked: u32, story: Vec<(u64, Said)>) -> Act {
        let (mut approval, start) = (Approval::new(rules, asked), Instant::now());
        let mut last = Act::Join;
        for (second, said) in story {
            last = approval.on(said, start + Duration::from_secs(second));
        }
        last
    }

    #[test]
    fn every_way_to_a_seat_and_past_it() {
        let s = || "s".to_owned();
        let asked = || vec![(0, joined(false, None)), (0, Said::Submitted(s()))];
        let then = |rest: Vec<(u64, Said)>| asked().into_iter().chain(rest).collect::<Vec<_>>();
        let shy = Rules { request_to_speak: false, ..RULES };
        let table = [
            ("everybody may speak", RULES, 0, vec![(0, joined(true, Some("s")))], Act::Sit(s())),
            ("and needs no leave", shy, 9, vec![(0, joined(true, Some("s")))], Act::Sit(s())),
            ("the host must be asked", RULES, 0, vec![(0, joined(false, None))], Act::Submit),
            ("a session of one who waits is no seat", RULES, 0, vec![(0, joined(false, Some("s")))], Act::Submit),
            ("not against the configuration", shy, 0, vec![(0, joined(false, None))], Act::GiveUp(Denied::NotAsked)),
            ("nor too often", RULES, 2, vec![(0, joined(false, None))], Act::GiveUp(Denied::AskedEnough)),
            (
                "rules changed meanwhile",
                RULES,
                0,
                vec![(0, joined(false, None)), (0, Said::NoRequestWanted)],
                Act::Join,
            ),
            (
                "but not for ever",
                RULES,
                0,
                vec![(0, joined(false, None)), (0, Said::NoRequestWanted), (1, joined(false, None))],
                Act::GiveUp(Denied::Odd),
            ),
            ("the request is left alone", RULES, 0, then(vec![(2, Said::Tick)]), Act::Rest),
            ("and looked at", RULES, 0, then(vec![(4, Said::Tick)]), Act::Look(s())),
            ("not twice at once", RULES, 0, then(vec![(4, Said::Tick), (5, Said::Tick)]), Act::Rest),
            ("approved by chat", RULES, 0, then(vec![(9, Said::Approved)]), Act::Sit(s())),
            ("approved by state", RULES, 0, then(vec![(9, standing(Standing::OnStage))]), Act::Sit(s())),
            ("the chat speaks of a refusal", RULES, 0, then(vec![(9, Said::Refused)]), Act::Look(s())),
            (
                "and it is one",
                RULES,
                0,
                then(vec![(9, Said::Refused), (9, standing(Standing::Unknown))]),
                Act::GiveUp(Denied::Refused),
            ),
            ("or not", RULES, 0, then(vec![(9, Said::Refused), (9, standing(Standing::Waiting))]), Act::Rest),
            ("one miss is none", RULES, 0, then(vec![(4, standing(Standing::Unknown))]), Act::Rest),
            (
                "misses in a row are a refusal",
                RULES,
                0,
                then(vec![(4, standing(Standing::Unknown)), (8, standing(Standing::Unknown))]),
                Act::GiveUp(Denied::Refused),
            ),
            (
                "misses apart are not",
                RULES,
                0,
                then(vec![
                    (4, standing(Standing::Unknown)),
                    (8, standing(Standing::Waiting)),
                    (12, standing(Standing::Unknown)),
                ]),
                Act::Rest,
            ),
            ("time is up", RULES, 0, then(vec![(60, Said::Tick)]), Act::GiveUp(Denied::TimedOut)),
            ("chat before the request is not about it", RULES, 0, vec![(0, Said::Approved)], Act::Rest),
        ];
        for (what, rules, asked, story, expected) in table {
            assert_eq!(play(rules, asked, story), expected, "{what}");
        }
    }

    #[test]
    fn a_request_that_nobody_answered_can_still_be_taken_back() {
        let (mut approval, now) = (Approval::new(RULES, 0), Instant::now());
        approval.on(joined(false, None), now);
        approval.on(Said::Submitted("s".to_owned()), now);
        let late = now + RULES.timeout;
        assert_eq!(approval.on(Said::Tick, late), Act::GiveUp(Denied::TimedOut));
        assert_eq!(approval.waiting(), Some("s"));
        for _ in 0..MISSES {
            approval.on(Said::Standing(Standing::Unknown), late);
        }
        assert_eq!(approval.waiting(), None, "what was refused is not there any more");
    }
}
