//! When a bridge process is started again, and how one is brought to its end: a state machine without clock or I/O.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Time for a bridge to finish what it was asked, beyond the closing slate.
pub const GRACE: Duration = Duration::from_secs(15);

/// Time between SIGTERM and SIGKILL: the recording needs milliseconds, a stuck ingest may need a moment to be closed.
const TERMINATING: Duration = Duration::from_secs(5);

/// This many crashes within [`CRASH_WINDOW`] are a loop: something is wrong that a restart does not cure.
const CRASHES_MAX: usize = 5;

/// See [`CRASHES_MAX`].
const CRASH_WINDOW: Duration = Duration::from_secs(60);

/// Exit code by which a bridge tells its supervisor that the show failed for good: a restart cannot help, for the
/// space is private, say, or a plugin is missing. The supervisor's own exit code is then 1.
pub const EXIT_FAILED: u8 = 3;

/// How a bridge process ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exit {
    /// Code 0: ended or suspended as asked, by us or by another client.
    Clean,
    /// Code 64: the configuration is at fault, and will be the next time.
    BadConfiguration,
    /// Code 2: it could not finish in time and said so.
    GraceExceeded,
    /// Code [`EXIT_FAILED`]: the show cannot go on.
    Failed,
    /// Anything else, in words: another code, or a signal.
    Crashed(String),
}

/// What happens to the policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The process is gone.
    Exited(Exit),
    /// The show shall end.
    EndAsked,
    /// The show shall be suspended.
    SuspendAsked,
    /// The operator does not want to wait any longer.
    LeaveAsked,
    /// [`Policy::deadline`] has passed.
    DeadlinePassed,
    /// The process is there and does not answer.
    Frozen,
}

/// What has to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Nothing.
    Wait,
    /// Start the process again after a pause.
    Start {
        /// The pause; zero for the first crash.
        after: Duration,
    },
    /// Tell the bridge [`Policy::wish`].
    Ask,
    /// Send SIGTERM.
    Terminate,
    /// Send SIGKILL.
    Kill,
    /// It is over.
    Finish(Outcome),
}

/// How a supervised show ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Ended or suspended as asked.
    Clean,
    /// The configuration is at fault.
    BadConfiguration,
    /// The show cannot go on; its log says why.
    Failed,
    /// The bridge did not finish in time and was stopped.
    GraceExceeded,
    /// The bridge crashed again and again, and is left alone.
    CrashLoop(String),
    /// The bridge crashed while it was suspending.
    Crashed(String),
}

impl Outcome {
    /// The exit code that says so.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Clean => 0,
            Self::BadConfiguration => 64,
            Self::GraceExceeded => 2,
            Self::Failed | Self::CrashLoop(_) | Self::Crashed(_) => 1,
        }
    }
}

/// What the show shall do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// End: finish the session, closing slate, final files.
    End,
    /// Suspend: recording safe, outputs closed, resumable.
    Suspend,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Running,
    Asked { wish: Wish, deadline: Instant },
    Terminating { deadline: Instant, late: bool },
    Killing,
}

/// The policy for one show.
#[derive(Debug)]
pub struct Policy {
    state: State,
    closing: Duration,
    crashes: VecDeque<Instant>,
}

impl Policy {
    /// For a show whose closing slate stays for `closing` after it was asked to end.
    pub fn new(closing: Duration) -> Self {
        Self { state: State::Running, closing, crashes: VecDeque::new() }
    }

    /// When [`Event::DeadlinePassed`] is due.
    pub fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Asked { deadline, .. } | State::Terminating { deadline, .. } => Some(deadline),
            State::Running | State::Killing => None,
        }
    }

    /// What a process that is started now has to be told.
    pub fn wish(&self) -> Option<Wish> {
        if let State::Asked { wish, .. } = self.state { Some(wish) } else { None }
    }

    /// What has to be done about `event`.
    pub fn on(&mut self, event: Event, now: Instant) -> Action {
        match (self.state, event) {
            (_, Event::Exited(exit)) => self.exited(exit, now),
            (State::Running, Event::EndAsked) => self.ask(Wish::End, now + self.closing + GRACE),
            (State::Running, Event::SuspendAsked) => self.ask(Wish::Suspend, now + GRACE),
            // A host that goes down does not wait for the closing slate.
            (State::Asked { wish: Wish::End, .. }, Event::SuspendAsked) => self.ask(Wish::Suspend, now + GRACE),
            (State::Running | State::Asked { .. }, Event::LeaveAsked) => self.terminate(now, false),
            (State::Asked { .. }, Event::DeadlinePassed) => self.terminate(now, true),
            (State::Terminating { .. }, Event::LeaveAsked | Event::DeadlinePassed) => {
                self.state = State::Killing;
                Action::Kill
            }
            // Dead as if it had crashed, and started again as then. One that was asked has a deadline of its own.
            (State::Running, Event::Frozen) => Action::Kill,
            _ => Action::Wait,
        }
    }

    fn ask(&mut self, wish: Wish, deadline: Instant) -> Action {
        self.state = State::Asked { wish, deadline };
        Action::Ask
    }

    fn terminate(&mut self, now: Instant, late: bool) -> Action {
        self.state = State::Terminating { deadline: now + TERMINATING, late };
        Action::Terminate
    }

    fn exited(&mut self, exit: Exit, now: Instant) -> Action {
        let outcome = match (self.state, exit) {
            (State::Killing, _) | (State::Terminating { late: true, .. }, _) => Outcome::GraceExceeded,
            (_, Exit::Clean) => Outcome::Clean,
            (_, Exit::BadConfiguration) => Outcome::BadConfiguration,
            (_, Exit::GraceExceeded) => Outcome::GraceExceeded,
            (_, Exit::Failed) => Outcome::Failed,
            // SIGTERM suspends; a bridge that it ended in another way had not got so far as to listen to it.
            (State::Terminating { .. }, Exit::Crashed(how))
            | (State::Asked { wish: Wish::Suspend, .. }, Exit::Crashed(how)) => Outcome::Crashed(how),
            // A show that is ending still needs its final files, so it is started again there too.
            (State::Running | State::Asked { wish: Wish::End, .. }, Exit::Crashed(how)) => {
                return self.crashed(how, now);
            }
        };
        Action::Finish(outcome)
    }

    fn crashed(&mut self, how: String, now: Instant) -> Action {
        self.crashes.push_back(now);
        self.crashes.retain(|at| now.duration_since(*at) < CRASH_WINDOW);
        match self.crashes.len() {
            0 | 1 => Action::Start { after: Duration::ZERO },
            // At once did not help: what was held may need a moment to come free.
            count if count < CRASHES_MAX => Action::Start { after: Duration::from_millis(250 << (count - 1)) },
            _ => Action::Finish(Outcome::CrashLoop(how)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLOSING: Duration = Duration::from_secs(20);

    fn crash() -> Event {
        Event::Exited(Exit::Crashed("signal 9".into()))
    }

    fn run(steps: &[(u64, Event)]) -> Vec<Action> {
        let start = Instant::now();
        let mut policy = Policy::new(CLOSING);
        steps.iter().map(|(second, event)| policy.on(event.clone(), start + Duration::from_secs(*second))).collect()
    }

    fn last(steps: &[(u64, Event)]) -> Action {
        run(steps).pop().expect("a step")
    }

    #[test]
    fn a_killed_bridge_is_started_at_once_and_rare_crashes_never_add_up() {
        for action in
            run(&[(0, crash()), (100, crash()), (200, crash()), (300, crash()), (400, crash()), (500, crash())])
        {
            assert_eq!(action, Action::Start { after: Duration::ZERO });
        }
    }

    #[test]
    fn the_fifth_crash_within_a_minute_is_a_loop() {
        let actions = run(&[(0, crash()), (10, crash()), (20, crash()), (30, crash()), (40, crash())]);
        assert_eq!(actions[1], Action::Start { after: Duration::from_millis(500) });
        assert_eq!(actions[3], Action::Start { after: Duration::from_millis(2000) });
        assert_eq!(actions[4], Action::Finish(Outcome::CrashLoop("signal 9".into())));
    }

    #[test]
    fn exits_that_a_restart_cannot_change_are_final() {
        for (exit, outcome, code) in [
            (Exit::Clean, Outcome::Clean, 0),
            (Exit::BadConfiguration, Outcome::BadConfiguration, 64),
            (Exit::GraceExceeded, Outcome::GraceExceeded, 2),
            (Exit::Failed, Outcome::Failed, 1),
        ] {
            assert_eq!(outcome.exit_code(), code);
            assert_eq!(last(&[(0, Event::Exited(exit))]), Action::Finish(outcome));
        }
    }

    #[test]
    fn a_bridge_that_hangs_while_ending_is_terminated_then_killed_and_the_code_says_so() {
        let steps = [(0, Event::EndAsked), (35, Event::DeadlinePassed), (40, Event::DeadlinePassed), (41, crash())];
        assert_eq!(run(&steps), [Action::Ask, Action::Terminate, Action::Kill, Action::Finish(Outcome::GraceExceeded)]);
    }

    #[test]
    fn the_deadline_of_an_end_leaves_time_for_the_closing_slate() {
        let now = Instant::now();
        let mut policy = Policy::new(CLOSING);
        policy.on(Event::EndAsked, now);
        assert_eq!(policy.deadline(), Some(now + CLOSING + GRACE));
        policy.on(Event::SuspendAsked, now);
        assert_eq!(policy.deadline(), Some(now + GRACE));
        assert_eq!(policy.wish(), Some(Wish::Suspend));
    }

    #[test]
    fn a_second_signal_leaves_at_once_and_a_third_kills() {
        assert_eq!(
            run(&[(0, Event::EndAsked), (1, Event::LeaveAsked), (2, Event::Exited(Exit::Clean))]),
            [Action::Ask, Action::Terminate, Action::Finish(Outcome::Clean)]
        );
        assert_eq!(last(&[(0, Event::EndAsked), (1, Event::LeaveAsked), (2, Event::LeaveAsked)]), Action::Kill);
    }

    #[test]
    fn a_frozen_bridge_is_killed_and_started_again_and_one_that_was_asked_keeps_its_deadline() {
        assert_eq!(
            run(&[(0, Event::Frozen), (1, crash()), (30, Event::EndAsked), (31, Event::Frozen)]),
            [Action::Kill, Action::Start { after: Duration::ZERO }, Action::Ask, Action::Wait]
        );
    }

    #[test]
    fn a_crash_while_ending_restarts_to_make_the_final_files_and_one_while_suspending_does_not() {
        assert_eq!(last(&[(0, Event::EndAsked), (1, crash())]), Action::Start { after: Duration::ZERO });
        let outcome = Outcome::Crashed("signal 9".into());
        assert_eq!(last(&[(0, Event::SuspendAsked), (1, crash())]), Action::Finish(outcome));
    }
}
