//! In which order and when pictures are encoded: pure, without clock and encoder.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::SlateRequest;
use crate::media::ProgramTime;

/// Changes that can wait are encoded at most this often: an encode costs about half a second of a core.
const PACE: Duration = Duration::from_secs(10);

/// Urgent changes that may wait. More come only from a source that flaps faster than pictures can be encoded, and then
/// the newest matters.
const MAX_WAITING: usize = 8;

/// What to do now.
#[derive(Debug, PartialEq)]
pub(super) enum Step<C> {
    /// Make this picture take over.
    Show(SlateRequest<C>),
    /// Nothing before this time has passed; none: before the next request.
    Wait(Option<Duration>),
}

#[derive(Debug)]
struct Waiting<C> {
    request: SlateRequest<C>,
    urgent: bool,
}

/// Requests that wait, and what is shown already.
#[derive(Debug)]
pub(super) struct Plan<C> {
    /// The content that was shown last; none after a failure, so that the same one may be tried again.
    shown: Option<C>,
    waiting: VecDeque<Waiting<C>>,
    last_encode: Instant,
    /// Where the last request takes over: none that came later does so before.
    last_at: ProgramTime,
}

impl<C: Clone + PartialEq> Plan<C> {
    pub(super) fn new(shown: C, encoded_at: Instant) -> Self {
        Self { shown: Some(shown), waiting: VecDeque::new(), last_encode: encoded_at, last_at: ProgramTime::ZERO }
    }

    /// Takes a request. `urgent` compares it with what it follows.
    pub(super) fn add(&mut self, mut request: SlateRequest<C>, urgent: impl Fn(&C, &C) -> bool) {
        // What may wait is replaced by what is newer, which it would differ from only for a moment.
        if self.waiting.back().is_some_and(|last| !last.urgent) || self.waiting.len() >= MAX_WAITING {
            self.waiting.pop_back();
        }
        request.at = request.at.max(self.last_at);
        let before = self.waiting.back().map(|last| &last.request.content).or(self.shown.as_ref());
        if before == Some(&request.content) {
            return;
        }
        let urgent = before.is_none_or(|before| urgent(before, &request.content));
        self.last_at = request.at;
        self.waiting.push_back(Waiting { request, urgent });
    }

    /// The next picture, if its time has come. `free` tells whether a content costs nothing, being encoded already.
    pub(super) fn next(&mut self, now: Instant, free: impl Fn(&C) -> bool) -> Step<C> {
        let Some(first) = self.waiting.front() else { return Step::Wait(None) };
        let due = (self.last_encode + PACE).saturating_duration_since(now);
        if !first.urgent && !due.is_zero() && !free(&first.request.content) {
            return Step::Wait(Some(due));
        }
        let Some(first) = self.waiting.pop_front() else { return Step::Wait(None) };
        self.shown = Some(first.request.content.clone());
        Step::Show(first.request)
    }

    /// An encode begins.
    pub(super) fn encoded(&mut self, now: Instant) {
        self.last_encode = now;
    }

    /// The picture that was to be shown is not.
    pub(super) fn failed(&mut self) {
        self.shown = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// State and minute of the clock.
    type Content = (&'static str, u32);

    fn request(state: &'static str, minute: u32, seconds: u64) -> SlateRequest<Content> {
        SlateRequest { content: (state, minute), at: ProgramTime::from_duration(Duration::from_secs(seconds)) }
    }

    fn urgent(from: &Content, to: &Content) -> bool {
        from.0 != to.0
    }

    fn plan() -> (Plan<Content>, Instant) {
        let now = Instant::now();
        (Plan::new(("waiting", 0), now), now)
    }

    #[test]
    fn a_change_of_state_goes_at_once_and_a_clock_waits() {
        let (mut plan, start) = plan();
        plan.add(request("waiting", 1, 3), urgent);
        assert_eq!(plan.next(start + Duration::from_secs(3), |_| false), Step::Wait(Some(Duration::from_secs(7))));
        plan.add(request("live", 1, 8), urgent);
        assert_eq!(plan.next(start + Duration::from_secs(4), |_| false), Step::Show(request("live", 1, 8)));
        assert_eq!(plan.next(start + Duration::from_secs(60), |_| false), Step::Wait(None));
    }

    #[test]
    fn only_the_newest_clock_is_encoded_and_only_once() {
        let (mut plan, start) = plan();
        for minute in [1, 2, 3, 3] {
            plan.add(request("waiting", minute, u64::from(minute)), urgent);
        }
        let later = start + PACE;
        assert_eq!(plan.next(later, |_| false), Step::Show(request("waiting", 3, 3)));
        plan.add(request("waiting", 3, 50), urgent);
        assert_eq!(plan.next(later, |_| false), Step::Wait(None));
    }

    #[test]
    fn a_clock_does_not_announce_live_before_its_sound() {
        let (mut plan, start) = plan();
        plan.add(request("live", 0, 20), urgent);
        assert_eq!(plan.next(start, |_| false), Step::Show(request("live", 0, 20)));
        plan.add(request("live", 1, 12), urgent);
        assert_eq!(plan.next(start + PACE, |_| false), Step::Show(request("live", 1, 20)));
    }

    #[test]
    fn live_and_gap_both_get_their_turn() {
        let (mut plan, start) = plan();
        plan.add(request("live", 0, 10), urgent);
        plan.add(request("gap", 0, 14), urgent);
        assert_eq!(plan.next(start, |_| false), Step::Show(request("live", 0, 10)));
        assert_eq!(plan.next(start, |_| false), Step::Show(request("gap", 0, 14)));
    }

    #[test]
    fn a_flapping_source_piles_up_nothing() {
        let (mut plan, start) = plan();
        for n in 0..1000 {
            plan.add(request(if n % 2 == 0 { "live" } else { "gap" }, 0, n), urgent);
        }
        assert!(plan.waiting.len() <= MAX_WAITING);
        let mut last = None;
        while let Step::Show(request) = plan.next(start, |_| false) {
            last = Some(request);
        }
        assert_eq!(last.expect("a picture").content.0, "gap");
    }

    #[test]
    fn a_picture_that_is_encoded_already_waits_for_nothing() {
        let (mut plan, start) = plan();
        plan.add(request("waiting", 1, 3), urgent);
        assert_eq!(plan.next(start, |_| true), Step::Show(request("waiting", 1, 3)));
    }

    #[test]
    fn a_failed_picture_may_be_asked_for_again() {
        let (mut plan, start) = plan();
        plan.add(request("live", 0, 3), urgent);
        assert_eq!(plan.next(start, |_| false), Step::Show(request("live", 0, 3)));
        plan.failed();
        plan.add(request("live", 0, 5), urgent);
        assert_eq!(plan.next(start, |_| false), Step::Show(request("live", 0, 5)));
    }
}
