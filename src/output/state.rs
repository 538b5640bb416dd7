//! When an output connects, counts as live, gives up a connection, and tries again. Pure: no clock, no connection.

use std::time::{Duration, Instant};

use super::budget::Budget;
use super::fault::FaultClass;
use super::liveness::{Liveness, Patience, Verdict};
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

/// A key that worked this short a time ago is not what a server means that hangs up: its ingest is in trouble.
const PROVEN: Duration = Duration::from_secs(5 * 60);

/// So many sessions in a row that the server closed within seconds are no accident.
const DISMISSALS: u32 = 3;

/// An attempt that has not been accepted, joined and sent media after this long is over. The sink's own limit is 5 s a
/// step, a group waits 3 s, and the grid 2 s.
const CONNECT_DEADLINE: Duration = Duration::from_secs(25);

/// What happens to an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    /// The show starts it: within its budget, since a show that crashes again and again starts it as often.
    Begin,
    /// The operator starts it.
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
    patience: Patience,
    network: Backoff,
    operator: Backoff,
    budget: Budget,
    /// Whether it is the budget that makes it wait.
    held: bool,
    /// When a session that lasted was last seen to move.
    worked: Option<Instant>,
    /// Sessions in a row that the server closed within seconds.
    dismissals: u32,
}

impl Machine {
    /// A stopped output.
    pub(super) fn new(budget: Budget, now: Instant) -> Self {
        let mut patience = Patience::new();
        // What an earlier process of the show published proves the key as well.
        let worked = budget.spent(now).last();
        Self {
            phase: Phase::Stopped,
            since: now,
            liveness: Liveness::new(patience.quiet(now), now),
            patience,
            network: Backoff::new(FIRST_WAIT, NETWORK_CAP),
            operator: Backoff::new(FIRST_WAIT, OPERATOR_CAP),
            budget,
            held: false,
            worked,
            dismissals: 0,
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

    /// Whether it would have tried already, had its budget allowed it.
    pub(super) fn is_held(&self) -> bool {
        self.held && matches!(self.phase, Phase::Backoff(_))
    }

    /// What it may spend and has spent.
    pub(super) fn budget(&self) -> &Budget {
        &self.budget
    }

    /// Whether the connection has lasted: media left for as long as proves something.
    pub(super) fn has_lasted(&self) -> bool {
        matches!(self.phase, Phase::Live) && self.worked.is_some_and(|at| at >= self.since)
    }

    /// Whether this output's address and key surely were good a moment ago.
    pub(super) fn is_proven(&self, now: Instant) -> bool {
        self.worked.is_some_and(|at| now.saturating_duration_since(at) < PROVEN)
    }

    /// How long this connection may be quiet.
    pub(super) fn patience(&self) -> Duration {
        self.liveness.quiet()
    }

    /// Takes one event.
    pub(super) fn on(&mut self, event: Event, now: Instant) -> Action {
        match event {
            Event::Begin => self.begin(now),
            Event::Start => self.start(now),
            Event::Stop => self.stop(now),
            Event::Restart => self.restart(now),
            Event::Progress { bytes, offered } => self.progress(bytes, offered, now),
            Event::Fault(class) => self.fail(class, now),
            Event::Tick => self.tick(now),
        }
    }

    fn begin(&mut self, now: Instant) -> Action {
        if !matches!(self.phase, Phase::Stopped) {
            return Action::None;
        }
        self.wait(Duration::ZERO, now);
        self.tick(now)
    }

    fn start(&mut self, now: Instant) -> Action {
        if self.is_connected() { Action::None } else { self.connect(now) }
    }

    fn stop(&mut self, now: Instant) -> Action {
        let connected = self.is_connected();
        if !matches!(self.phase, Phase::Stopped) {
            self.enter(Phase::Stopped, now);
        }
        self.forgive();
        if connected { Action::Disconnect } else { Action::None }
    }

    fn restart(&mut self, now: Instant) -> Action {
        self.forgive();
        if self.is_connected() {
            // The next tick connects, once the old connection is closed: there are never two. It was ordered, so that
            // the budget has no say.
            self.held = false;
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
            Verdict::Alive if matches!(self.phase, Phase::Connecting) => {
                self.budget.spend(now);
                self.patience.answered(now);
                self.enter(Phase::Live, now);
            }
            Verdict::Alive | Verdict::Unknown => {}
        }
        // By what has moved: a stalled session does not grow old enough while its stall is found out.
        let moved = self.liveness.moved();
        if matches!(self.phase, Phase::Live) && moved.saturating_duration_since(self.since) >= LASTING {
            self.worked = Some(moved);
        }
        Action::None
    }

    fn fail(&mut self, class: FaultClass, now: Instant) -> Action {
        let mut class = class;
        match (self.phase, class) {
            (Phase::Stopped | Phase::Backoff(_), _) => return Action::None,
            (Phase::Live, FaultClass::Stalled) => self.patience.declared_dead(now),
            (Phase::Connecting, class) if class.is_an_answer() => self.patience.answered(now),
            _ => {}
        }
        if self.has_lasted() {
            self.forgive();
            self.wait(Duration::ZERO, now);
            return Action::Fail(class);
        }
        if matches!((self.phase, class), (Phase::Live, FaultClass::Closed)) {
            self.dismissals += 1;
            class = if self.dismissals >= DISMISSALS { FaultClass::Dismissed } else { class };
        }
        let delay = if class.needs_operator() { self.operator.next_delay() } else { self.network.next_delay() };
        self.wait(delay, now);
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
        self.budget.attempt(now);
        self.liveness = Liveness::new(self.patience.quiet(now), now);
        self.enter(Phase::Connecting, now);
        Action::Connect
    }

    /// Waits for `delay`, or for as long as the budget wants.
    fn wait(&mut self, delay: Duration, now: Instant) {
        let until = now + delay;
        // Only the output's own sessions spend it, so that what holds now is what will hold at the end of the wait.
        let held = self.budget.held_until(now).filter(|held| *held > until);
        self.held = held.is_some();
        self.enter(Phase::Backoff(held.unwrap_or(until)), now);
    }

    fn forgive(&mut self) {
        self.network.reset();
        self.operator.reset();
        self.dismissals = 0;
    }

    fn is_connected(&self) -> bool {
        matches!(self.phase, Phase::Connecting | Phase::Live)
    }

    fn enter(&mut self, phase: Phase, now: Instant) {
        (self.phase, self.since) = (phase, now);
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
