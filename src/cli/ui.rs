//! The three faces of a show on a terminal or a pipe: the live view, plain lines, JSON lines.

use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use jiff::tz::TimeZone;
use serde_json::json;
use tokio::sync::mpsc;

use super::plain::{Plain, notice_lines};
use super::view::{Input, Leaving, Model, View};
use super::{say, say_json};
use crate::bridge::protocol::Update;
use crate::clock::Clock;
use crate::status::ShowState;
use crate::supervisor::Notice;

/// Pause between two statuses in JSON lines: programs ask for more over the protocol.
const JSON_STATUS: Duration = Duration::from_secs(1);

/// Which face.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Face {
    /// The live view.
    Screen,
    /// Plain lines.
    Plain,
    /// JSON lines.
    Json,
    /// Nothing: somebody else has the last word.
    Silent,
}

impl Face {
    /// What was asked for, or what fits where we are.
    pub(super) fn choose(json: bool, plain: bool) -> Self {
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        match (json, plain) {
            (true, _) => Self::Json,
            (false, false) if !dumb && io::stdin().is_terminal() && io::stdout().is_terminal() => Self::Screen,
            _ => Self::Plain,
        }
    }
}

/// An open face.
pub(super) struct Ui {
    face: Open,
    clock: Clock,
    zone: TimeZone,
}

enum Open {
    Screen { view: View, model: Box<Model> },
    Plain(Plain),
    Json { said: Option<(Instant, ShowState)> },
    Silent,
}

impl Ui {
    /// Opens `face` for `show`. What the operator presses comes over the receiver, where keys are read at all.
    pub(super) fn open(
        face: Face,
        show: &str,
        leaving: Leaving,
        clock: Clock,
    ) -> anyhow::Result<(Self, Option<mpsc::Receiver<Input>>)> {
        let zone = TimeZone::system();
        let (face, inputs) = match face {
            Face::Screen => {
                let (view, inputs) = View::open().context("cannot use the terminal; try --plain")?;
                let model = Box::new(Model::new(show, leaving, zone.clone()));
                (Open::Screen { view, model }, Some(inputs))
            }
            Face::Plain => (Open::Plain(Plain::new(zone.clone())), None),
            Face::Json => (Open::Json { said: None }, None),
            Face::Silent => (Open::Silent, None),
        };
        let mut ui = Self { face, clock, zone };
        ui.redraw();
        Ok((ui, inputs))
    }

    /// Shows something from the bridge.
    pub(super) fn update(&mut self, update: &Update) {
        let now = self.clock.now();
        match (&mut self.face, update) {
            (Open::Silent, _) => {}
            (Open::Screen { model, .. }, Update::Event(event)) => model.add_event(event.clone()),
            (Open::Screen { model, .. }, Update::Status(status)) => {
                model.set_status(Arc::clone(status));
                self.redraw();
            }
            (Open::Plain(plain), Update::Event(event)) => plain.event(event).iter().for_each(|line| say(line)),
            (Open::Plain(plain), Update::Status(status)) => {
                plain.status(status, now, self.clock.wall()).iter().for_each(|line| say(line));
            }
            (Open::Json { .. }, Update::Event(_)) => drop(say_json(update)),
            (Open::Json { said }, Update::Status(status)) => {
                // A change of state is said at once.
                let is_old = |(at, state): (Instant, _)| state != status.state || now.duration_since(at) >= JSON_STATUS;
                if said.is_none_or(is_old) {
                    *said = Some((now, status.state));
                    drop(say_json(update));
                }
            }
        }
    }

    /// Shows that the bridge does not answer.
    pub(super) fn lost(&mut self) {
        if let Open::Screen { model, .. } = &mut self.face {
            model.connected = false;
            self.redraw();
        }
    }

    /// Shows what the supervisor did.
    pub(super) fn notice(&mut self, notice: &Notice) {
        let at = self.clock.wall();
        match &mut self.face {
            Open::Screen { model, .. } => {
                model.notice = notice_lines(notice).first().cloned().or(model.notice.take());
                self.redraw();
            }
            Open::Plain(plain) => plain.notice(notice, at).iter().for_each(|line| say(line)),
            Open::Json { .. } => {
                let lines = notice_lines(notice);
                if !lines.is_empty() {
                    drop(say_json(&json!({"type": "notice", "at": at, "lines": lines})));
                }
            }
            Open::Silent => {}
        }
    }

    /// Shows that the operator is leaving.
    pub(super) fn leaving(&mut self, leaving: Leaving) {
        let words = match leaving {
            Leaving::Ending => "Ending: closing slate, then the final files. Ctrl-C again leaves at once.",
            Leaving::Suspending => "Suspending: the recording is made safe, the outputs close.",
            Leaving::No | Leaving::OnlyTheView => return,
        };
        let at = self.clock.wall();
        match &mut self.face {
            Open::Screen { model, .. } => {
                model.leaving = leaving;
                self.redraw();
            }
            Open::Plain(_) => say(&format!("{} {words}", super::plain::time_of_day(at, &self.zone))),
            Open::Json { .. } => drop(say_json(&json!({"type": "notice", "at": at, "lines": [words]}))),
            Open::Silent => {}
        }
    }

    /// Shows the same again, as after a resize.
    pub(super) fn redraw(&mut self) {
        if let Open::Screen { view, model } = &mut self.face
            && let Err(error) = view.draw(model)
        {
            // The show goes on without a face; a terminal that is gone hangs up, which suspends it in order.
            tracing::debug!(%error, "The terminal takes nothing.");
        }
    }

    /// Whether lines that were shown so far are gone when this closes.
    pub(super) fn is_screen(&self) -> bool {
        matches!(self.face, Open::Screen { .. })
    }

    /// Whether programs read this.
    pub(super) fn is_json(&self) -> bool {
        matches!(self.face, Open::Json { .. })
    }
}
