//! Adds up a show for the last word: what no single status knows, because a bridge process may have been replaced.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::words::{clean, clock, count, size, whole};
use crate::status::{OutputState, RecordingStatus, ShowStatus};

/// Statuses further apart than this say nothing of the time between them.
const TRUSTED: Duration = Duration::from_secs(3);

/// The sum of a show.
#[derive(Debug, Default)]
pub(super) struct Tally {
    last: Option<(Instant, Arc<ShowStatus>)>,
    earlier_seconds: f64,
    outputs: Vec<OutputTally>,
}

/// The sum of one output.
#[derive(Debug, Clone, Serialize)]
pub(super) struct OutputTally {
    name: String,
    live_seconds: f64,
    connections: u32,
    failures: u32,
    #[serde(skip)]
    earlier: (u32, u32),
}

/// The last word, for programs.
#[derive(Debug, Serialize)]
pub(super) struct Summary<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    show: &'a str,
    on_the_air_seconds: f64,
    outputs: &'a [OutputTally],
    recording: &'a RecordingStatus,
    exit_code: u8,
}

impl Tally {
    /// Takes the next status.
    pub(super) fn add(&mut self, status: &Arc<ShowStatus>, now: Instant) {
        let before = self.last.replace((now, Arc::clone(status)));
        let replaced = before.as_ref().is_some_and(|(_, last)| last.bridge.pid != status.bridge.pid);
        if let (true, Some((_, last))) = (replaced, &before) {
            self.earlier_seconds += last.program.seconds;
        }
        let passed = before.map_or(Duration::ZERO, |(at, _)| now.duration_since(at));
        for output in &status.outputs {
            let index = self.index_of(&output.name);
            let tally = &mut self.outputs[index];
            if replaced {
                tally.earlier = (tally.connections, tally.failures);
            }
            tally.connections = tally.earlier.0 + output.connections;
            tally.failures = tally.earlier.1 + output.failures;
            if output.state == OutputState::Live && passed <= TRUSTED && !replaced {
                tally.live_seconds += passed.as_secs_f64();
            }
        }
    }

    fn index_of(&mut self, name: &str) -> usize {
        self.outputs.iter().position(|output| output.name == name).unwrap_or_else(|| {
            let name = name.to_owned();
            self.outputs.push(OutputTally { name, live_seconds: 0.0, connections: 0, failures: 0, earlier: (0, 0) });
            self.outputs.len() - 1
        })
    }

    fn seconds(&self) -> f64 {
        self.earlier_seconds + self.last.as_ref().map_or(0.0, |(_, last)| last.program.seconds)
    }

    /// The last word, for people. Nothing is said of a show that never came up.
    pub(super) fn lines(&self) -> Vec<String> {
        let Some((_, last)) = &self.last else { return Vec::new() };
        let mut lines = vec![format!("{} ran for {}.", clean(&last.show), clock(whole(self.seconds())))];
        for output in &self.outputs {
            let reconnects = u64::from(output.connections.saturating_sub(1));
            lines.push(format!(
                "{}: live for {}, {}{}",
                clean(&output.name),
                clock(whole(output.live_seconds)),
                count(reconnects, "reconnect", "reconnects"),
                if output.connections == 0 { " (never connected)" } else { "" },
            ));
        }
        lines.extend(recording_lines(&last.recording));
        lines
    }

    /// The last word, for programs.
    pub(super) fn summary(&self, exit_code: u8) -> Option<Summary<'_>> {
        let (_, last) = self.last.as_ref()?;
        Some(Summary {
            kind: "summary",
            show: &last.show,
            on_the_air_seconds: self.seconds(),
            outputs: &self.outputs,
            recording: &last.recording,
            exit_code,
        })
    }
}

fn recording_lines(recording: &RecordingStatus) -> Vec<String> {
    let Some(folder) = &recording.folder else { return vec!["There is no recording.".to_owned()] };
    let mut lines = vec![format!(
        "Recording: {} of sound, {}, {}: {}",
        clock(whole(recording.seconds)),
        size(recording.bytes),
        count(recording.gaps.len() as u64, "gap", "gaps"),
        clean(folder),
    )];
    lines.extend(recording.gaps.iter().map(|gap| {
        let (start, end) = (clock(whole(gap.start_seconds)), clock(whole(gap.end_seconds)));
        format!("  gap from {start} to {end}: {}", clean(&gap.cause))
    }));
    lines.extend(recording.files.iter().map(|file| format!("  file: {}", clean(file))));
    lines.extend(recording.error.iter().map(|error| format!("  {}", clean(error))));
    lines
}
