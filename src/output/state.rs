//! When an output connects, counts as live, gives up a connection, and tries again. Pure: no clock, no connection.

use std::time::{Duration, Instant};

use super::fault::FaultClass;
use super::liveness::{Liveness, Verdict};
use crate::backoff::Backoff;
use crate::status::OutputState;

/// The first wait after a fault.
const FIRST_WAIT: Duration = Duration::from_secs(1);

/// The longest wait after a fault of the network: a night's ingest that comes back is reached in this time.
const NETWORK_CAP: Duration = Duration::from_secs(15);

/// The longest wait when only the operator can help.
const OPERATOR_CAP: Duration = Duration::from_secs(60);

/// A session shorter than this proves nothing: platforms take a wrong key and hang up seconds later.
const LASTING: Duration = Duration::from_secs(10);

/// An attempt that has not been accepted, joined and sent media after this long is over. The sink's own limit is 5 s a
/// step, a group waits 3 s, and the grid 2 s.
const CONNECT_DEADLINE: Duration = Duration::from_secs(25);

/// What happens to an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    /// The operator starts it, or the show does.
    Start,
    /// The operator stops it.
    Stop,
    /// The operator wants another connection.
    Restart,
    /// What the connection has done so far.
    Progress {
        /// Bytes given to the socket.
        bytes: u64,
        /// Media units sent or dropped.
        offered: u64,
    },
    /// The connection, or the attempt to make one, has failed.
    Fault(FaultClass),
    /// Time has passed.
    Tick,
}

/// What is to be done about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// Nothing.
    None,
    /// Make a connection. There is none.
    Connect,
    /// Close the connection in order.
    Disconnect,
    /// Drop the connection at once, and tell why.
    Fail(FaultClass),
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    Stopped,
    Connecting,
    Live,
    Backoff(Instant),
}

/// The state of one output.
#[derive(Debug)]
pub(super) struct Machine {
    phase: Phase,
    since: Instant,
    liveness: Liveness,
    network: Backoff,
    operator: Backoff,
}

impl Machine {
    /// A stopped output.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            phase: Phase::Stopped,
            since: now,
            liveness: Liveness::new(now),
            network: Backoff::new(FIRST_WAIT, NETWORK_CAP),
            operator: Backoff::new(FIRST_WAIT, OPERATOR_CAP),
        }
    }

    /// Where the output stands.
    pub(super) fn state(&self) -> OutputState {
        match self.phase {
            Phase::Stopped => OutputState::Stopped,
            Phase::Connecting => OutputState::Connecting,
            Phase::Live => OutputState::Live,
            Phase::Backoff(_) => OutputState::Backoff,
        }
    }

    /// How long it has stood there.
    pub(super) fn in_state(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.since)
    }

    /// Time until the next attempt, while it waits.
    pub(super) fn retry_in(&self, now: Instant) -> Option<Duration> {
        if let Phase::Backoff(until) = self.phase { Some(until.saturating_duration_since(now)) } else { None }
    }

    /// Takes one event.
    pub(super) fn on(&mut self, event: Event, now: Instant) -> Action {
        match event {
            Event::Start => self.start(now),
            Event::Stop => self.stop(now),
            Event::Restart => self.restart(now),
            Event::Progress { bytes, offered } => self.progress(bytes, offered, now),
            Event::Fault(class) => self.fail(class, now),
            Event::Tick => self.tick(now),
        }
    }

    fn start(&mut self, now: Instant) -> Action {
        if self.is_connected() { Action::None } else { self.connect(now) }
    }

    fn stop(&mut self, now: Instant) -> Action {
        let connected = self.is_connected();
        if !matches!(self.phase, Phase::Stopped) {
            self.enter(Phase::Stopped, now);
        }
        self.network.reset();
        self.operator.reset();
        if connected { Action::Disconnect } else { Action::None }
    }

    fn restart(&mut self, now: Instant) -> Action {
        self.network.reset();
        self.operator.reset();
        if self.is_connected() {
            // The next tick connects, once the old connection is closed: there are never two.
            self.enter(Phase::Backoff(now), now);
            return Action::Disconnect;
        }
        self.connect(now)
    }

    fn progress(&mut self, bytes: u64, offered: u64, now: Instant) -> Action {
        if !self.is_connected() {
            return Action::None;
        }
        match self.liveness.judge(bytes, offered, now) {
            Verdict::Dead => return self.fail(FaultClass::Stalled, now),
            Verdict::Alive if matches!(self.phase, Phase::Connecting) => self.enter(Phase::Live, now),
            Verdict::Alive | Verdict::Unknown => {}
        }
        Action::None
    }

    fn fail(&mut self, class: FaultClass, now: Instant) -> Action {
        let worked = match self.phase {
            Phase::Live => self.in_state(now) >= LASTING,
            Phase::Connecting => false,
            Phase::Stopped | Phase::Backoff(_) => return Action::None,
        };
        let wait = if worked {
            self.network.reset();
            self.operator.reset();
            Duration::ZERO
        } else if class.needs_operator() {
            self.operator.next_delay()
        } else {
            self.network.next_delay()
        };
        self.enter(Phase::Backoff(now + wait), now);
        Action::Fail(class)
    }

    fn tick(&mut self, now: Instant) -> Action {
        match self.phase {
            Phase::Backoff(until) if now >= until => self.connect(now),
            Phase::Connecting if self.in_state(now) >= CONNECT_DEADLINE => self.fail(FaultClass::Unreachable, now),
            _ => Action::None,
        }
    }

    fn connect(&mut self, now: Instant) -> Action {
        self.liveness = Liveness::new(now);
        self.enter(Phase::Connecting, now);
        Action::Connect
    }

    fn is_connected(&self) -> bool {
        matches!(self.phase, Phase::Connecting | Phase::Live)
    }

    fn enter(&mut self, phase: Phase, now: Instant) {
        (self.phase, self.since) = (phase, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Drill {
        machine: Machine,
        start: Instant,
    }

    impl Drill {
        fn new() -> Self {
            let start = Instant::now();
            Self { machine: Machine::new(start), start }
        }

        fn at(&mut self, milliseconds: u64, event: Event) -> (Action, OutputState) {
            let action = self.machine.on(event, self.start + Duration::from_millis(milliseconds));
            (action, self.machine.state())
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
}
