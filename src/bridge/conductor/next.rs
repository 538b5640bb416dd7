//! From one session of a show to the next: the operator's word, the host's next space, and the slate between them.

use tokio_util::sync::CancellationToken;

use super::hunt::{Doing, Hunt, Hunting, hunting};
use super::{Conductor, Following, SourceSlot, Word};
use crate::session::{Attempts, Session, SessionState, Switch};
use crate::source::{SessionInfo, SessionPhase};

/// Why a session is left before its source has said that it is over.
pub(super) enum Leave {
    /// The show ends or is suspended.
    Cancelled,
    /// The operator points the show at another source.
    Replaced(Following),
    /// The operator wants another source of the list.
    Pinned,
    /// Another path is heard.
    Failover(Switch),
    /// The host has opened another space.
    Next(Following),
}

impl Conductor {
    /// Does as the operator says about the source; how the session is left, if it is to be left for that.
    pub(super) fn heed(&mut self, word: Word) -> Option<Leave> {
        match word {
            Word::Follow(other) => Some(Leave::Replaced(other)),
            // Between two sessions there is nothing to leave.
            Word::Pin(name) => {
                (self.pin(name.as_deref()) && self.session.state() != SessionState::Between).then_some(Leave::Pinned)
            }
        }
    }

    /// Holds to the source of this name, or to none; whether another one is to be heard from now on. A name that the list
    /// does not have any more changes nothing.
    pub(in crate::bridge) fn pin(&mut self, name: Option<&str>) -> bool {
        let index = name.map(|name| self.sources.iter().position(|slot| slot.name() == name));
        if index == Some(None) {
            return false;
        }
        let moves = self.attempts.pin(index.flatten());
        self.publish();
        moves
    }

    /// Looks for the host's next space when this one is in doubt; gives it when this one is to be left for it.
    pub(super) fn look_around(&mut self) -> Option<Following> {
        self.handles.follow?;
        let clock = &self.handles.clock;
        let doing = Doing {
            state: self.session.state(),
            silent: clock.now().saturating_duration_since(self.given_at),
            failing: self.last_error.is_some(),
            overdue: self.view.start.is_some_and(|start| clock.schedule() > start),
        };
        let hunting = hunting(doing);
        if hunting == Hunting::Rest {
            self.hunt = None;
            return None;
        }
        let slot = &self.sources[self.attempts.index()];
        let (search, delay) = (slot.search()?, slot.delay);
        self.view.info.host_id.as_ref()?;
        let (known, events) = (&self.view.info, &self.handles.events);
        let hunt = self.hunt.get_or_insert_with(|| Hunt::start(search, known.clone(), events.clone()));
        if hunting == Hunting::Look {
            return None;
        }
        let next = hunt.take()?;
        Some(Following { slot: SourceSlot::new(next.source, delay), link: next.link })
    }

    /// The session is over: holds the slate for the host's next one, if the show follows the host.
    ///
    /// # Errors
    /// Nothing when the time is over; [`Leave`] when there is something to go on with, or the show ends.
    pub(super) async fn between(&mut self, token: &CancellationToken) -> Result<(), Leave> {
        let Some(follow) = self.handles.follow else { return Ok(()) };
        self.end_sessions();
        if let Some(transition) = self.session.on_between(self.now()) {
            self.enter(transition);
        }
        let until = self.handles.clock.schedule().checked_add(follow).ok();
        self.view.holds_until = until;
        if self.view.info.host_id.is_none() || self.sources[self.attempts.index()].search().is_none() {
            let message = "The host cannot be followed by itself: the source does not say who it is";
            let remedy = "Point the show at the next space: spacebridge source set LINK.";
            self.handles.events.warning("session.unfollowable", "session", message, Some(remedy));
        }
        self.publish();
        let patience = self.handles.clock.real(follow);
        let left = self.pause(patience, token).await;
        self.hunt = None;
        self.view.holds_until = None;
        left.map_or(Ok(()), Err)
    }

    /// Leaves the session for another source.
    pub(super) fn go_on_with(&mut self, next: Following, by_the_operator: bool) {
        let (word, said) = if by_the_operator {
            // What the operator does not want any more is not heard to its end.
            self.handles.program.forget();
            ("session.replaced", format!("Replaced by the operator: {}", next.slot.status(true).name))
        } else {
            ("session.next", format!("The host has another space: {}", next.slot.status(true).name))
        };
        let said = crate::text::plain(&said, 200);
        self.handles.events.info(word, "session", said.clone());
        self.handles.archive.state(word.trim_start_matches("session."), &said);
        if self.session.state() != SessionState::Between && !self.view.info.id.is_empty() {
            self.end_sessions();
        }
        self.begin(next, !by_the_operator);
    }

    fn begin(&mut self, next: Following, followed: bool) {
        let resume = next.slot.session_id().and_then(|session| self.handles.archive.rejoin(&session));
        self.sources = vec![next.slot];
        self.sources[0].keep_in(&self.handles.archive, true);
        self.sources[0].lane.resume = resume;
        self.fill_from = i64::MIN;
        self.heard = 0;
        self.attempts = Attempts::new(1);
        self.session = Session::default();
        self.air = self.air.of_another_session();
        self.hunt = None;
        self.last_error = None;
        self.given_at = self.handles.clock.now();
        self.number += 1;
        self.followed = followed;
        self.view.info = SessionInfo::default();
        self.view.speakers.clear();
        self.view.anchor = None;
        self.view.segments = 0;
        self.view.link = Some(next.link);
        self.view.start = None;
        // What the public delay holds back of the old one is heard first.
        self.show(SessionState::Connecting, self.now().plus(self.handles.program.public_delay()));
    }

    /// Takes a new word on when the session is announced for.
    pub(super) fn learn_start(&mut self) {
        let by_operator = self.handles.start.filter(|_| self.number == 0);
        self.view.start = by_operator.or(self.view.info.scheduled_start);
    }

    /// The announced start, as far as the slate goes: a space that runs is not told to be late.
    pub(super) fn announced(&self) -> Option<jiff::Timestamp> {
        self.view.start.filter(|_| self.view.info.phase == SessionPhase::Waiting)
    }
}
