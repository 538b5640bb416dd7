//! The gate before the outputs: closed until the show goes on the air.

use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::Show;
use super::on_air::{Asked, OnAir, decide};
use crate::bridge::protocol::OutputAction;
use crate::config::ShowConfig;

/// How long the source may take to say whether a start is announced, before the show goes on the air without knowing.
const PATIENCE: Duration = Duration::from_secs(10);

/// Which outputs wait for the show to go on the air.
#[derive(Debug)]
pub(super) struct Gate {
    /// Outputs to be opened; none once the gate is open.
    closed: Option<Vec<String>>,
    began: Instant,
    told: Option<Timestamp>,
}

impl Gate {
    /// The gate of a show, and its configuration with the outputs that wait not enabled. What was open before a restart
    /// is open again.
    pub(super) fn of(config: &ShowConfig, was_open: bool, now: Instant) -> (Self, ShowConfig) {
        let mut opened = config.clone();
        let waits = config.show.on_air_before.is_some() && !was_open;
        let mut closed = Vec::new();
        for output in opened.outputs.iter_mut().filter(|output| waits && output.enabled) {
            output.enabled = false;
            closed.push(output.name.clone());
        }
        (Self { closed: waits.then_some(closed), began: now, told: None }, opened)
    }

    /// Whether the show is not on the air yet.
    pub(super) fn is_closed(&self) -> bool {
        self.closed.is_some()
    }

    /// One more output that waits, while the gate is closed; whether it does.
    pub(super) fn holds(&mut self, output: &str) -> bool {
        let Some(closed) = &mut self.closed else { return false };
        closed.push(output.to_owned());
        true
    }

    /// The operator's own word on an output: the gate has none on it any more.
    pub(super) fn leave(&mut self, output: &str) {
        if let Some(closed) = &mut self.closed {
            closed.retain(|name| name != output);
        }
    }
}

impl Show {
    /// Opens the outputs when their time has come.
    pub(super) async fn open_gate(&mut self) {
        if !self.gate.is_closed() {
            return;
        }
        let waited = self.clock.now().saturating_duration_since(self.gate.began);
        let decision = {
            let view = self.board.view();
            decide(Asked {
                before: self.config.show.on_air_before,
                start: view.start.or(self.config.show.start),
                answered: view.answered || waited >= PATIENCE,
                audible: view.heard,
                now: self.clock.schedule(),
            })
        };
        match decision {
            OnAir::Unknown => {}
            OnAir::At(opens) if self.gate.told == Some(opens) => {}
            OnAir::At(opens) => {
                self.gate.told = Some(opens);
                self.board.set_opening(Some(opens));
                let message = format!("The outputs open at {}", opens.strftime("%Y-%m-%d %H:%M:%S UTC"));
                self.events.info("show.waits", "show", message);
            }
            OnAir::Now => {
                self.board.set_opening(None);
                self.events.info("show.on_air", "show", "The show goes on the air");
                for name in self.gate.closed.take().unwrap_or_default() {
                    if let Err(error) = self.outputs.act(&name, OutputAction::Start).await {
                        tracing::warn!(output = name, error, "The output could not be opened.");
                    }
                }
                self.save_record();
            }
        }
    }
}
