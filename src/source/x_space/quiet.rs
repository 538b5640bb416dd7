//! What it means when a playlist brings nothing new: whom to ask when, and when the session is over. Pure.
//!
//! A live playlist turns 404 both when the Space ends and when its host drops out (observed by twspace-crawler), and
//! the platform's state alone is not to be trusted either (yt-dlp issue 7455): the end needs both, or a long silence.

use std::time::{Duration, Instant};

use super::error::ApiError;
use super::metadata::SpaceState;
use crate::source::SourceFault;
use crate::source::hls::Trouble;

/// Pause between two questions while audio arrives: for a changed title or host.
const CALM_PAUSE: Duration = Duration::from_secs(60);

/// Without anybody to ask, a playlist that answers 404 for this long is over: X itself ends a Space whose host is away
/// for about two minutes (twikit).
const SILENCE: Duration = Duration::from_secs(300);

/// Times in a row that X must say that there is no such Space before a session that was heard is over.
const GONE_ANSWERS: u32 = 3;

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Read on.
    Continue,
    /// The session is over.
    Over,
}

/// Watches one session for its end.
#[derive(Debug, Clone)]
pub(super) struct Quiet {
    /// Whether there is anybody to ask.
    has_api: bool,
    /// Pause between two questions while nothing arrives.
    pause: Duration,
    next_question: Instant,
    /// Since when nothing new arrives.
    trouble_since: Option<Instant>,
    /// Since when the playlist is not there at all.
    absent_since: Option<Instant>,
    /// The playlist said itself that it is over.
    list_ended: bool,
    /// X said that the session is over.
    said_over: bool,
    /// X answered the last question.
    answered: bool,
    gone_answers: u32,
}

impl Quiet {
    /// Nothing happened yet. `has_api` tells whether X can be asked.
    pub(super) fn new(has_api: bool, pause: Duration, now: Instant) -> Self {
        Self {
            has_api,
            pause: pause.max(Duration::from_secs(1)),
            next_question: now + CALM_PAUSE,
            trouble_since: None,
            absent_since: None,
            list_ended: false,
            said_over: false,
            answered: has_api,
            gone_answers: 0,
        }
    }

    /// The session is known to be over: it ends as soon as nothing more arrives.
    pub(super) fn leftovers(&mut self) {
        self.said_over = true;
    }

    /// When X is to be asked next.
    pub(super) fn next_question(&self) -> Option<Instant> {
        self.has_api.then_some(self.next_question)
    }

    /// X is being asked.
    pub(super) fn on_question(&mut self, now: Instant) {
        self.next_question = now + if self.is_quiet() { self.pause } else { CALM_PAUSE };
    }

    /// Something new was listed or arrived.
    pub(super) fn on_news(&mut self) {
        (self.trouble_since, self.absent_since, self.list_ended) = (None, None, false);
    }

    /// The playlist brought nothing new.
    pub(super) fn on_trouble(&mut self, trouble: &Trouble, now: Instant) {
        if self.trouble_since.is_none() {
            self.trouble_since = Some(now);
            self.next_question = now.min(self.next_question);
        }
        match trouble {
            Trouble::NotFound => drop(self.absent_since.get_or_insert(now)),
            // A network that fails tells nothing of the Space.
            _ => self.absent_since = None,
        }
    }

    /// The playlist says that nothing follows.
    pub(super) fn on_list_end(&mut self, now: Instant) {
        self.list_ended = true;
        if self.trouble_since.is_none() {
            self.trouble_since = Some(now);
            self.next_question = now;
        }
    }

    /// X answered a question.
    pub(super) fn on_state(&mut self, state: SpaceState) {
        (self.answered, self.gone_answers) = (true, 0);
        self.said_over = state.is_over();
    }

    /// X did not answer a question.
    pub(super) fn on_error(&mut self, error: &ApiError, now: Instant) {
        self.answered = false;
        match error.class() {
            SourceFault::RateLimited(wait) => self.next_question = now + wait,
            SourceFault::Gone => {
                self.gone_answers += 1;
                self.said_over |= self.gone_answers >= GONE_ANSWERS;
            }
            _ => {}
        }
    }

    /// Whether the session is over, given that everything listed is delivered.
    pub(super) fn verdict(&self, now: Instant) -> Verdict {
        let absent = self.absent_since.is_some_and(|since| now.saturating_duration_since(since) >= SILENCE);
        let over = if self.said_over {
            self.is_quiet()
        } else if self.answered {
            // X says that it runs: the host may come back.
            false
        } else {
            absent || (self.list_ended && !self.has_api)
        };
        if over { Verdict::Over } else { Verdict::Continue }
    }

    fn is_quiet(&self) -> bool {
        self.trouble_since.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: Duration = Duration::from_secs(10);

    fn after(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    #[test]
    fn the_end_needs_both_the_platforms_word_and_a_quiet_playlist() {
        let now = Instant::now();
        let mut quiet = Quiet::new(true, PAUSE, now);
        quiet.on_state(SpaceState::Ended);
        assert_eq!(quiet.verdict(now), Verdict::Continue);
        quiet.on_trouble(&Trouble::NotFound, now);
        assert_eq!(quiet.verdict(now), Verdict::Over);
        for state in [SpaceState::TimedOut, SpaceState::Canceled] {
            let mut quiet = Quiet::new(true, PAUSE, now);
            quiet.on_trouble(&Trouble::Unchanged(Duration::from_secs(12)), now);
            quiet.on_state(state);
            assert_eq!(quiet.verdict(now), Verdict::Over);
        }
    }

    #[test]
    fn a_host_who_dropped_out_is_waited_for() {
        let now = Instant::now();
        let mut quiet = Quiet::new(true, PAUSE, now);
        quiet.on_trouble(&Trouble::NotFound, now);
        quiet.on_state(SpaceState::Running);
        assert_eq!(quiet.verdict(after(now, 3600)), Verdict::Continue);
        quiet.on_list_end(now);
        assert_eq!(quiet.verdict(after(now, 3600)), Verdict::Continue);
    }

    #[test]
    fn a_pasted_playlist_that_is_gone_for_long_is_over_and_one_that_stalls_is_not() {
        let now = Instant::now();
        let mut quiet = Quiet::new(false, PAUSE, now);
        assert_eq!(quiet.next_question(), None);
        quiet.on_trouble(&Trouble::NotFound, now);
        assert_eq!(quiet.verdict(after(now, 299)), Verdict::Continue);
        assert_eq!(quiet.verdict(after(now, 300)), Verdict::Over);
        quiet.on_trouble(&Trouble::Failed("no route".into()), after(now, 301));
        assert_eq!(quiet.verdict(after(now, 9999)), Verdict::Continue);
        quiet.on_list_end(now);
        assert_eq!(quiet.verdict(now), Verdict::Over);
        quiet.on_news();
        assert_eq!(quiet.verdict(now), Verdict::Continue);
    }

    #[test]
    fn an_api_that_broke_does_not_end_a_session_that_is_heard() {
        let now = Instant::now();
        let mut quiet = Quiet::new(true, PAUSE, now);
        for _ in 0..GONE_ANSWERS {
            quiet.on_error(&ApiError::NotFound(""), now);
        }
        assert_eq!(quiet.verdict(after(now, 3600)), Verdict::Continue);
        let mut quiet = Quiet::new(true, PAUSE, now);
        quiet.on_trouble(&Trouble::NotFound, now);
        quiet.on_error(&ApiError::StaleQueryId, now);
        assert_eq!(quiet.verdict(after(now, 100)), Verdict::Continue);
        assert_eq!(quiet.verdict(after(now, 300)), Verdict::Over);
    }

    #[test]
    fn questions_are_asked_at_once_in_trouble_and_rarely_in_peace() {
        let now = Instant::now();
        let mut quiet = Quiet::new(true, PAUSE, now);
        assert_eq!(quiet.next_question(), Some(after(now, 60)));
        quiet.on_trouble(&Trouble::NotFound, after(now, 5));
        assert_eq!(quiet.next_question(), Some(after(now, 5)));
        quiet.on_question(after(now, 5));
        quiet.on_trouble(&Trouble::NotFound, after(now, 7));
        assert_eq!(quiet.next_question(), Some(after(now, 15)));
        quiet.on_error(&ApiError::RateLimited(Duration::from_secs(900)), after(now, 15));
        assert_eq!(quiet.next_question(), Some(after(now, 915)));
    }
}
