//! What changed from one status of a show to the next, as facts.
//!
//! Pure: statuses and time come in. States that last less than the status' interval of a quarter of a second are not
//! seen here; the events tell of them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::fact::{Fact, Figures, GapFact, OutputFigures, SessionFact, clean};
use crate::status::{OutputState, OutputStatus, SessionStatus, ShowStatus};

/// How often the figures are written down: what a crash takes with it.
const FIGURES_EVERY: Duration = Duration::from_secs(30);

/// Gaps that are written down: a night of a flapping space has some dozens.
const MOST_GAPS: usize = 2000;

/// Remembers what was written down.
#[derive(Debug, Default)]
pub(super) struct Watcher {
    state: Option<String>,
    slate: String,
    session: Option<SessionFact>,
    recording_error: Option<String>,
    outputs: BTreeMap<String, OutputSeen>,
    gaps: usize,
    gaps_known: bool,
    seen: Option<Instant>,
    figures_at: Option<Instant>,
}

#[derive(Debug, Default)]
struct OutputSeen {
    state: Option<String>,
    live: Duration,
}

impl Watcher {
    /// The facts that a status brings.
    pub(super) fn on_status(&mut self, status: &ShowStatus, now: Instant) -> Vec<Fact> {
        let elapsed = self.seen.replace(now).map_or(Duration::ZERO, |seen| now.saturating_duration_since(seen));
        let mut facts = Vec::new();
        facts.extend(self.on_state(status));
        facts.extend(status.session.as_ref().and_then(|session| self.on_session(session)));
        for output in &status.outputs {
            facts.extend(self.on_output(output, elapsed));
        }
        facts.extend(self.on_slate(&status.slate));
        facts.extend(self.on_recording(status));
        if self.figures_at.is_none_or(|at| now.saturating_duration_since(at) >= FIGURES_EVERY) {
            self.figures_at = Some(now);
            facts.push(Fact::Figures(self.figures(status)));
        }
        facts
    }

    /// The figures as they are.
    pub(super) fn figures(&self, status: &ShowStatus) -> Figures {
        let outputs = status.outputs.iter().map(|output| OutputFigures {
            output: clean(&output.name),
            connections: u64::from(output.connections),
            failures: u64::from(output.failures),
            live_seconds: self.outputs.get(&output.name).map_or(0.0, |seen| seen.live.as_millis() as f64 / 1000.0),
            bytes_out: output.bytes_out,
            dropped_frames: output.dropped_frames,
        });
        let (recording, program) = (&status.recording, &status.program);
        Figures {
            outputs: outputs.collect(),
            recorded_seconds: recording.seconds,
            recorded_bytes: recording.bytes,
            gaps: recording.gaps.len() as u64,
            late_ms: program.late_ms,
            skipped_ms: program.skipped_ms,
        }
    }

    fn on_state(&mut self, status: &ShowStatus) -> Option<Fact> {
        let state = word(&status.state);
        let from = self.state.replace(state.clone());
        (from.as_ref() != Some(&state)).then(|| Fact::State { state, from, words: clean(&status.words) })
    }

    fn on_session(&mut self, session: &SessionStatus) -> Option<Fact> {
        let text = |text: &Option<String>| text.as_deref().map(clean);
        let fact = SessionFact {
            id: clean(&session.id),
            title: text(&session.title),
            host: text(&session.host),
            platform_state: text(&session.platform_state),
            scheduled_start: session.scheduled_start,
            started_at: session.started_at,
        };
        let before = self.session.replace(fact.clone());
        (before.as_ref() != Some(&fact)).then_some(Fact::Session(fact))
    }

    fn on_output(&mut self, output: &OutputStatus, elapsed: Duration) -> Option<Fact> {
        let seen = self.outputs.entry(output.name.clone()).or_default();
        if output.state == OutputState::Live {
            seen.live += elapsed;
        }
        let state = word(&output.state);
        let from = seen.state.replace(state.clone());
        if from.as_ref() == Some(&state) {
            return None;
        }
        let worked = output.state == OutputState::Live || output.state == OutputState::Connecting;
        let reason = output.last_error.as_deref().map(clean).filter(|_| !worked);
        Some(Fact::Output { output: clean(&output.name), state, from, reason })
    }

    fn on_slate(&mut self, text: &str) -> Option<Fact> {
        let text = clean(text);
        let shape = without_numbers(&text);
        if shape == self.slate {
            return None;
        }
        self.slate = shape;
        (!text.is_empty()).then_some(Fact::Slate { text })
    }

    fn on_recording(&mut self, status: &ShowStatus) -> Vec<Fact> {
        let mut facts = Vec::new();
        let error = status.recording.error.as_deref().map(clean);
        if error != self.recording_error {
            self.recording_error.clone_from(&error);
            facts.push(Fact::Recording { error });
        }
        let gaps = &status.recording.gaps;
        if !std::mem::replace(&mut self.gaps_known, true) && status.bridge.resumes > 0 {
            // An earlier process wrote these down.
            self.gaps = gaps.len();
        }
        // A gap that is filled later makes the list shorter, and a new one longer again.
        self.gaps = self.gaps.min(gaps.len());
        for gap in gaps.iter().take(MOST_GAPS).skip(self.gaps) {
            facts.push(Fact::Gap(GapFact {
                session: clean(&gap.session),
                start_seconds: gap.start_seconds,
                end_seconds: gap.end_seconds,
                cause: clean(&gap.cause),
            }));
        }
        self.gaps = gaps.len();
        facts
    }
}

/// What the slate says without the numbers of a countdown, each of which would be a line.
fn without_numbers(text: &str) -> String {
    text.chars().filter(|character| !character.is_ascii_digit()).collect()
}

/// The word of a state in JSON.
pub(super) fn word(state: &impl Serialize) -> String {
    match serde_json::to_value(state) {
        Ok(serde_json::Value::String(word)) => word,
        // A state with content of its own: its name is its only key.
        Ok(serde_json::Value::Object(fields)) => fields.keys().next().cloned().unwrap_or_default(),
        _ => String::new(),
    }
}

#[cfg(test)]
#[path = "watcher_tests.rs"]
mod tests;
