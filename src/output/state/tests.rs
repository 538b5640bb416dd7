//! The machine by table: what each class of fault leads to, and when.

use super::*;
use crate::clock::Clock;
use crate::config::{BudgetConfig, WhenSpent};

struct Drill {
    machine: Machine,
    start: Instant,
}

impl Drill {
    fn new() -> Self {
        Self::with(0, WhenSpent::Slow)
    }

    fn with(per_hour: u32, when_spent: WhenSpent) -> Self {
        let start = Instant::now();
        let budget = Budget::new(BudgetConfig { per_hour, when_spent }, &[], &Clock::system());
        Self { machine: Machine::new(budget, start), start }
    }

    fn at(&mut self, milliseconds: u64, event: Event) -> (Action, OutputState) {
        let action = self.machine.on(event, self.start + Duration::from_millis(milliseconds));
        (action, self.machine.state())
    }

    /// Media moves in each of the first seconds.
    fn live_for(&mut self, seconds: u64) {
        for second in 0..=seconds {
            self.at(second * 1000, moved(second));
        }
    }

    fn wait_ms(&self, milliseconds: u64) -> u128 {
        let now = self.start + Duration::from_millis(milliseconds);
        self.machine.retry_in(now).expect("a wait").as_millis()
    }
}

const MEDIA: Event = Event::Progress { bytes: 100_000, offered: 100 };

#[test]
fn an_output_is_live_only_when_media_has_left() {
    use Event::*;
    use OutputState as S;
    let mut drill = Drill::new();
    let steps = [
        (0, Tick, (Action::None, S::Stopped)),
        (0, Start, (Action::Connect, S::Connecting)),
        (10, Start, (Action::None, S::Connecting)),
        (200, Progress { bytes: 0, offered: 0 }, (Action::None, S::Connecting)),
        (400, Progress { bytes: 700, offered: 10 }, (Action::None, S::Connecting)),
        (600, MEDIA, (Action::None, S::Live)),
        (700, Stop, (Action::Disconnect, S::Stopped)),
        (800, Fault(FaultClass::Closed), (Action::None, S::Stopped)),
        (900, Restart, (Action::Connect, S::Connecting)),
        (1000, Restart, (Action::Disconnect, S::Backoff)),
        (1001, Tick, (Action::Connect, S::Connecting)),
    ];
    for (at, event, wanted) in steps {
        assert_eq!(drill.at(at, event), wanted, "{event:?} at {at} ms");
    }
}

#[test]
fn a_session_that_worked_reconnects_at_once_and_a_short_one_resets_nothing() {
    let mut drill = Drill::new();
    drill.at(0, Event::Start);
    drill.at(0, Event::Fault(FaultClass::Refused));
    drill.at(1000, Event::Tick);
    drill.at(1500, MEDIA);
    drill.at(3000, Event::Fault(FaultClass::Closed));
    assert!((1600..=2000).contains(&drill.wait_ms(3000)), "{}", drill.wait_ms(3000));
    drill.at(5000, Event::Tick);
    drill.at(5500, MEDIA);
    drill.at(15_600, Event::Progress { bytes: 5_000_000, offered: 900 });
    assert_eq!(drill.at(20_000, Event::Fault(FaultClass::Closed)).1, OutputState::Backoff);
    assert_eq!(drill.at(20_000, Event::Tick), (Action::Connect, OutputState::Connecting));
    drill.at(20_010, Event::Fault(FaultClass::Refused));
    assert!((800..=1000).contains(&drill.wait_ms(20_010)));
}

#[test]
fn a_rejected_key_is_tried_ever_more_rarely_and_a_dead_network_every_quarter_minute() {
    for (class, cap) in [(FaultClass::Rejected, 60_000), (FaultClass::Unresolved, 15_000)] {
        let mut drill = Drill::new();
        let mut now = 0;
        drill.at(now, Event::Start);
        for _ in 0..10 {
            drill.at(now, Event::Fault(class));
            now += drill.wait_ms(now) as u64 + 1;
            assert_eq!(drill.at(now, Event::Tick), (Action::Connect, OutputState::Connecting));
        }
        drill.at(now, Event::Fault(class));
        let wait = drill.wait_ms(now);
        assert!((cap * 8 / 10..=cap).contains(&wait), "{class:?}: {wait} ms");
    }
}

#[test]
fn a_server_that_never_accepts_or_takes_nothing_any_more_is_given_up() {
    let mut drill = Drill::new();
    drill.at(0, Event::Start);
    assert_eq!(drill.at(24_000, Event::Tick).0, Action::None);
    assert_eq!(drill.at(25_000, Event::Tick).0, Action::Fail(FaultClass::Unreachable));
    let mut drill = Drill::new();
    drill.at(0, Event::Start);
    drill.at(1000, MEDIA);
    for step in 1..5 {
        drill.at(1000 + step * 1000, Event::Progress { bytes: 100_000, offered: 100 + step * 77 });
    }
    let stuck = Event::Progress { bytes: 100_000, offered: 1000 };
    assert_eq!(drill.at(6000, stuck), (Action::Fail(FaultClass::Stalled), OutputState::Backoff));
}

/// Bytes that moved by `seconds` of a healthy session.
fn moved(seconds: u64) -> Event {
    Event::Progress { bytes: 100_000 + seconds * 375_000, offered: 100 + seconds * 77 }
}

#[test]
fn a_publish_under_ten_seconds_is_a_failure_whatever_ends_it() {
    for (lived, class, worked) in [
        (9, FaultClass::Closed, false),
        (9, FaultClass::Other, false),
        (11, FaultClass::Closed, true),
        (11, FaultClass::Other, true),
        (11, FaultClass::Stalled, true),
    ] {
        let mut drill = Drill::new();
        drill.at(0, Event::Start);
        drill.live_for(lived);
        drill.at(lived * 1000 + 100, Event::Fault(class));
        let wait = drill.wait_ms(lived * 1000 + 100);
        assert_eq!(wait == 0, worked, "{class:?} after {lived} s waits {wait} ms");
    }
}

#[test]
fn a_session_that_stalls_after_six_seconds_has_not_worked_for_eleven() {
    let mut drill = Drill::new();
    drill.at(0, Event::Start);
    drill.live_for(6);
    let stuck = |second: u64| Event::Progress { bytes: 2_350_000, offered: 600 + second * 77 };
    let found = (7..).find(|second| drill.at(second * 1000, stuck(*second)).0 != Action::None).expect("found");
    assert_eq!(found, 11);
    assert!(drill.wait_ms(11_000) >= 800);
}

#[test]
fn a_server_that_closes_three_short_sessions_in_a_row_is_left_to_the_operator() {
    let mut drill = Drill::new();
    let (mut now, mut told) = (0, Vec::new());
    drill.at(now, Event::Start);
    for _ in 0..4 {
        drill.at(now + 200, MEDIA);
        let Action::Fail(class) = drill.at(now + 3000, Event::Fault(FaultClass::Closed)).0 else { panic!("no fault") };
        told.push(class);
        now += 3000 + drill.wait_ms(now + 3000) as u64 + 1;
        drill.at(now, Event::Tick);
    }
    use FaultClass::{Closed, Dismissed};
    assert_eq!(told, [Closed, Closed, Dismissed, Dismissed]);
}

#[test]
fn a_spent_budget_holds_the_output_and_never_the_operator() {
    use Event::*;
    use OutputState as S;
    let mut drill = Drill::with(1, WhenSpent::Hold);
    let hour = 3_600_000;
    let steps = [
        (0, Begin, (Action::Connect, S::Connecting)),
        (200, MEDIA, (Action::None, S::Live)),
        (300, Fault(FaultClass::Closed), (Action::Fail(FaultClass::Closed), S::Backoff)),
        (hour / 2, Tick, (Action::None, S::Backoff)),
        (hour / 2, Start, (Action::Connect, S::Connecting)),
        (hour / 2 + 200, MEDIA, (Action::None, S::Live)),
        (hour / 2 + 300, Restart, (Action::Disconnect, S::Backoff)),
        (hour / 2 + 400, Tick, (Action::Connect, S::Connecting)),
        (hour / 2 + 600, MEDIA, (Action::None, S::Live)),
        (hour / 2 + 700, Fault(FaultClass::Closed), (Action::Fail(FaultClass::Closed), S::Backoff)),
        (hour + 300, Tick, (Action::None, S::Backoff)),
        (hour / 2 * 3 + 599, Tick, (Action::None, S::Backoff)),
        (hour / 2 * 3 + 600, Tick, (Action::Connect, S::Connecting)),
    ];
    for (at, event, wanted) in steps {
        assert_eq!(drill.at(at, event), wanted, "{event:?} at {at} ms");
        assert_eq!(drill.machine.is_held(), wanted.1 == S::Backoff && at != hour / 2 + 300, "at {at} ms");
    }
}

#[test]
fn a_show_that_crashes_again_and_again_begins_no_more_broadcasts_than_allowed() {
    let (clock, now) = (Clock::system(), Instant::now());
    let minutes = |count: u64| Duration::from_secs(60 * count);
    for (ages, connects) in [(vec![minutes(1)], true), (vec![minutes(1), minutes(2)], false)] {
        let config = BudgetConfig { per_hour: 2, when_spent: WhenSpent::Slow };
        let mut machine = Machine::new(Budget::new(config, &ages, &clock), now);
        assert_eq!(machine.on(Event::Begin, now) == Action::Connect, connects, "{ages:?}");
        assert_eq!(machine.is_held(), !connects);
        let later = now + minutes(4) + Duration::from_secs(5);
        assert_eq!(machine.on(Event::Tick, later) == Action::Connect, !connects, "{ages:?}");
    }
}
