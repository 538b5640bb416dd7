//! What it means when a playlist brings nothing new: whom to ask when, and when the session is over. Pure.
//!
//! A live playlist turns 404 both when the Space ends and when its host drops out (observed by twspace-crawler), and
//! the platform's state alone is not to be trusted either (yt-dlp issue 7455). The end therefore needs two signals of
//! three that agree (X's state, the playlist, the chat), or a state that X confirms; and in any case a playlist that
//! brings nothing new: what still arrives is still heard.

use std::time::{Duration, Instant};

use super::error::ApiError;
use super::metadata::SpaceState;
use crate::source::SourceFault;
use crate::source::hls::Trouble;

/// Pause between two questions while audio arrives: for a changed title or host.
const CALM_PAUSE: Duration = Duration::from_secs(60);

/// Two answers so far apart confirm each other.
const CONFIRMED: Duration = Duration::from_secs(10);

/// Without anybody to ask, a playlist that answers 404 for this long is over: X itself ends a Space whose host is away
/// for about two minutes (twikit).
const SILENCE: Duration = Duration::from_secs(300);

/// Without anybody to ask, a list that says for this long that nothing follows is over.
const LIST_ENDED: Duration = Duration::from_secs(10);

/// What the chat says counts when the playlist falls silent within this: audio that goes on for longer disproves it, and
/// its messages come from strangers.
const CHAT_LASTS: Duration = Duration::from_secs(60);

/// Times in a row that X must say that there is no such Space before that counts as its word that it is over.
const GONE_ANSWERS: u32 = 3;

/// Pauses after a refusal that only the operator can mend: the first, doubled up to the last.
const OPERATOR_PAUSES: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(300));

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Read on.
    Continue,
    /// The session is over.
    Over,
}

/// X's word that the session is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    /// Not said.
    Lives,
    /// Said, first at this time.
    Over(Instant),
    /// Said again later, or known from before.
    Confirmed,
}

/// Watches one session for its end.
#[derive(Debug, Clone)]
pub(super) struct Quiet {
    /// Whether there is anybody to ask.
    has_api: bool,
    /// Pause between two questions while nothing arrives.
    pause: Duration,
    next_question: Instant,
    last_question: Option<Instant>,
    /// Since when nothing new arrives.
    trouble_since: Option<Instant>,
    /// Since when the playlist is not there at all.
    absent_since: Option<Instant>,
    /// Since when the playlist says itself that it is over.
    list_ended: Option<Instant>,
    word: Word,
    /// When the chat said that the session is over.
    chat_ended: Option<Instant>,
    gone_answers: u32,
    refusals: u32,
}

impl Quiet {
    /// Nothing happened yet. `has_api` tells whether X can be asked.
    pub(super) fn new(has_api: bool, pause: Duration, now: Instant) -> Self {
        Self {
            has_api,
            pause: pause.max(Duration::from_secs(1)),
            next_question: now + CALM_PAUSE,
            last_question: None,
            trouble_since: None,
            absent_since: None,
            list_ended: None,
            word: Word::Lives,
            chat_ended: None,
            gone_answers: 0,
            refusals: 0,
        }
    }

    /// X said already that the session is over.
    pub(super) fn leftovers(&mut self, now: Instant) {
        self.on_word(true, now);
    }

    /// Nothing is known yet of the session itself: X is asked as soon as may be.
    pub(super) fn ask_now(&mut self, now: Instant) {
        self.next_question = self.earliest(now);
    }

    /// When X is to be asked next.
    pub(super) fn next_question(&self) -> Option<Instant> {
        self.has_api.then_some(self.next_question)
    }

    /// X is being asked.
    pub(super) fn on_question(&mut self, now: Instant) {
        self.last_question = Some(now);
        let doubtful = self.is_quiet() || self.chat_ended.is_some() || self.word != Word::Lives;
        self.next_question = now + if doubtful { self.pause } else { CALM_PAUSE };
    }

    /// Something new was listed or arrived.
    pub(super) fn on_news(&mut self) {
        (self.trouble_since, self.absent_since, self.list_ended) = (None, None, None);
    }

    /// The playlist brought nothing new.
    pub(super) fn on_trouble(&mut self, trouble: &Trouble, now: Instant) {
        self.begin_trouble(now);
        match trouble {
            Trouble::NotFound => drop(self.absent_since.get_or_insert(now)),
            // It is there and does not say that it is over.
            Trouble::Unchanged(_) => (self.absent_since, self.list_ended) = (None, None),
            // A network that fails tells nothing of the Space.
            _ => self.absent_since = None,
        }
    }

    /// The playlist says that nothing follows.
    pub(super) fn on_list_end(&mut self, now: Instant) {
        self.list_ended.get_or_insert(now);
        self.begin_trouble(now);
    }

    /// Somebody in the chat says that the session is over. It is said once, and nobody takes it back.
    pub(super) fn on_chat_end(&mut self, now: Instant) {
        self.chat_ended = Some(now);
        self.ask_now(now);
    }

    /// X answered a question.
    pub(super) fn on_state(&mut self, state: SpaceState, now: Instant) {
        (self.gone_answers, self.refusals) = (0, 0);
        self.on_word(state.is_over(), now);
    }

    /// X did not answer a question.
    pub(super) fn on_error(&mut self, error: &ApiError, now: Instant) {
        match error.class() {
            SourceFault::RateLimited(wait) => self.next_question = self.next_question.max(now + wait),
            SourceFault::Gone => {
                self.gone_answers += 1;
                if self.gone_answers >= GONE_ANSWERS {
                    self.on_word(true, now);
                }
            }
            SourceFault::Operator => {
                let (first, last) = OPERATOR_PAUSES;
                let wait = first.saturating_mul(1 << self.refusals.min(8)).min(last);
                self.refusals += 1;
                self.next_question = self.next_question.max(now + wait);
            }
            SourceFault::Transient => {}
        }
    }

    /// Whether the session is over, given that everything listed is delivered.
    pub(super) fn verdict(&self, now: Instant) -> Verdict {
        let since =
            |at: Option<Instant>, time: Duration| at.is_some_and(|at| now.saturating_duration_since(at) >= time);
        let list_over = self.absent_since.is_some() || self.list_ended.is_some();
        let chat_over = match (self.chat_ended, self.trouble_since) {
            (Some(at), Some(trouble)) => trouble <= at + CHAT_LASTS,
            _ => false,
        };
        let signals = [self.word != Word::Lives, list_over, chat_over].into_iter().filter(|said| *said).count();
        let over = if self.has_api || self.word == Word::Confirmed {
            signals >= 2 || self.word == Word::Confirmed
        } else {
            // Nobody to ask: the playlist must say so for long.
            since(self.absent_since, SILENCE) || since(self.list_ended, LIST_ENDED)
        };
        if over && self.is_quiet() { Verdict::Over } else { Verdict::Continue }
    }

    /// Whether nothing new arrives.
    pub(super) fn is_quiet(&self) -> bool {
        self.trouble_since.is_some()
    }

    /// Whether X, asked since the trouble began, says that the session goes on.
    pub(super) fn is_told_alive(&self) -> bool {
        self.word == Word::Lives && self.chat_ended.is_none()
    }

    fn begin_trouble(&mut self, now: Instant) {
        if self.trouble_since.is_none() {
            self.trouble_since = Some(now);
            self.next_question = self.earliest(now).min(self.next_question);
        }
    }

    /// Trouble that comes and goes is no reason to ask more often than allowed.
    fn earliest(&self, now: Instant) -> Instant {
        self.last_question.map_or(now, |last| now.max(last + self.pause))
    }

    fn on_word(&mut self, over: bool, now: Instant) {
        self.word = match self.word {
            _ if !over => Word::Lives,
            Word::Over(first) if now.saturating_duration_since(first) >= CONFIRMED => Word::Confirmed,
            Word::Lives => Word::Over(now),
            said => said,
        };
        if over && self.word != Word::Confirmed {
            self.next_question = self.next_question.min(now + self.pause.max(CONFIRMED));
        }
    }
}

#[cfg(test)]
mod tests;
