//! What the view shows: the last status, the last events, and what the operator asked for.

use std::collections::VecDeque;
use std::sync::Arc;

use jiff::tz::TimeZone;

use crate::alert::Event;
use crate::status::ShowStatus;

/// Events kept: more than the tallest terminal has rows.
const EVENTS: usize = 200;

/// How far the operator is with leaving.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Leaving {
    /// Not at all; leaving ends the show.
    No,
    /// Not at all; leaving only closes the view.
    OnlyTheView,
    /// The show is ending.
    Ending,
    /// The show is being suspended.
    Suspending,
}

/// What the view shows.
#[derive(Debug)]
pub(in crate::cli) struct Model {
    /// The show's name, known before its first status.
    pub(in crate::cli) show: String,
    /// The last status.
    pub(in crate::cli) status: Option<Arc<ShowStatus>>,
    /// The last events, oldest first.
    pub(in crate::cli) events: VecDeque<Event>,
    /// Whether the bridge answers.
    pub(in crate::cli) connected: bool,
    /// What the supervisor did last.
    pub(in crate::cli) notice: Option<String>,
    /// How far the operator is with leaving.
    pub(in crate::cli) leaving: Leaving,
    /// Zone of the times of day.
    pub(in crate::cli) zone: TimeZone,
}

impl Model {
    /// A view of `show` before anything is known.
    pub(in crate::cli) fn new(show: &str, leaving: Leaving, zone: TimeZone) -> Self {
        Self {
            show: show.to_owned(),
            status: None,
            events: VecDeque::new(),
            connected: false,
            notice: None,
            leaving,
            zone,
        }
    }

    /// Takes a status; the bridge is alive, so that what was said of its death is over.
    pub(in crate::cli) fn set_status(&mut self, status: Arc<ShowStatus>) {
        self.status = Some(status);
        self.connected = true;
        self.notice = None;
    }

    /// Takes an event.
    pub(in crate::cli) fn add_event(&mut self, event: Event) {
        self.events.push_back(event);
        if self.events.len() > EVENTS {
            self.events.pop_front();
        }
    }
}
