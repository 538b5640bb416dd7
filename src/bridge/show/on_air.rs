//! When a show goes on the air: at once, or some time before the announced start. Pure.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// What is known when it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Asked {
    /// How long before the start the outputs open; none opens them with the show.
    pub(super) before: Option<Duration>,
    /// When the space is announced for, if anybody said.
    pub(super) start: Option<Timestamp>,
    /// Whether the source has said what it knows, or had its time to.
    pub(super) answered: bool,
    /// Whether sound for the air has come.
    pub(super) audible: bool,
    /// Now, by the schedule's clock.
    pub(super) now: Timestamp,
}

/// What to do with the outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OnAir {
    /// Open them.
    Now,
    /// Keep them closed until then.
    At(Timestamp),
    /// Keep them closed until it is known whether a start is announced.
    Unknown,
}

/// Whether the outputs open.
pub(super) fn decide(asked: Asked) -> OnAir {
    let Some(before) = asked.before.filter(|_| !asked.audible) else { return OnAir::Now };
    match asked.start {
        Some(start) => {
            let before = SignedDuration::try_from(before).unwrap_or(SignedDuration::MAX);
            let opens = start.checked_sub(before).unwrap_or(Timestamp::MIN);
            if asked.now >= opens { OnAir::Now } else { OnAir::At(opens) }
        }
        None if asked.answered => OnAir::Now,
        None => OnAir::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_open_before_the_announced_start_or_with_the_first_sound_or_at_once() {
        let start: Timestamp = "2024-08-12T18:00:00Z".parse().expect("a time");
        let at = |minutes: i64| start + SignedDuration::from_mins(minutes);
        let ten = Some(Duration::from_secs(600));
        let asked = Asked { before: ten, start: Some(start), answered: true, audible: false, now: at(-60) };
        for (what, asked, expected) in [
            ("an hour before", asked, OnAir::At(at(-10))),
            ("its time has come", Asked { now: at(-10), ..asked }, OnAir::Now),
            ("the space is late", Asked { now: at(40), ..asked }, OnAir::Now),
            ("sound comes earlier", Asked { audible: true, ..asked }, OnAir::Now),
            ("no start is announced", Asked { start: None, ..asked }, OnAir::Now),
            ("nobody has said yet", Asked { start: None, answered: false, ..asked }, OnAir::Unknown),
            ("the operator knows the start", Asked { answered: false, ..asked }, OnAir::At(at(-10))),
            ("at once", Asked { before: None, ..asked }, OnAir::Now),
            ("at once, nobody has said", Asked { before: None, start: None, answered: false, ..asked }, OnAir::Now),
            ("at the start itself", Asked { before: Some(Duration::ZERO), now: at(-1), ..asked }, OnAir::At(start)),
            ("a start at the end of time", Asked { start: Some(Timestamp::MIN), ..asked }, OnAir::Now),
        ] {
            assert_eq!(decide(asked), expected, "{what}");
        }
    }
}
