//! The verdict of a rehearsal. Its JSON is a contract with scripts: names stay.

use serde::{Deserialize, Serialize};

use crate::status::Gap;

/// Good or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mark {
    /// As a platform and an archivist want it.
    Pass,
    /// Not so; the reasons say why.
    Fail,
}

impl Mark {
    /// Pass where there is no reason against it.
    pub fn of(fine: bool) -> Self {
        if fine { Self::Pass } else { Self::Fail }
    }
}

/// The verdict on everything.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// One per stand-in ingest, in the order of the configuration.
    pub outputs: Vec<OutputVerdict>,
    /// The archive.
    pub recording: RecordingVerdict,
    /// How fast the bridge was back after each trouble.
    #[serde(default)]
    pub checks: Vec<Check>,
    /// What was done, and how the bridge answered, in order.
    #[serde(default)]
    pub timeline: Vec<Moment>,
    /// Pass only if everything passed.
    pub verdict: Mark,
}

/// An interval that has a bound.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// What was measured.
    pub what: String,
    /// How long it took; 999 where it never came.
    pub measured_seconds: f64,
    /// How long it may take.
    pub bound_seconds: f64,
    /// Good or not.
    pub verdict: Mark,
}

/// Something that was done or said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Moment {
    /// Seconds of real time since the steps began.
    pub at_seconds: f64,
    /// `rehearsal`, `judge`, or what the bridge spoke of.
    pub who: String,
    /// What.
    pub what: String,
}

/// The verdict on one output.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OutputVerdict {
    /// The output's name.
    pub name: String,
    /// Connections that published.
    pub connections: u32,
    /// Seconds of stream over all of them.
    pub seconds: f64,
    /// Longest way between two neighbouring frames of either track, in ms.
    pub longest_gap_ms: u32,
    /// How late the sound is against the picture, in ms; null where it cannot be told.
    pub av_offset_ms: Option<f64>,
    /// Seconds of the ruler that were to be heard and were not.
    #[serde(default)]
    pub missing_ruler_seconds: Vec<u32>,
    /// Good or not.
    pub verdict: Mark,
}

/// What is known of the recording.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct RecordingVerdict {
    /// The finished file, or the archive's folder; null where there is none.
    pub path: Option<String>,
    /// Sessions with a finished file.
    #[serde(default)]
    pub sessions: u32,
    /// Seconds of sound kept.
    pub seconds: f64,
    /// Gaps that the recording itself knows of.
    pub gaps: Vec<Gap>,
    /// Seconds that the space delivered and that are not in the file.
    pub missing_ruler_seconds: Vec<u32>,
}

/// A verdict with what speaks against it, for people.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    /// The contract.
    pub verdict: Verdict,
    /// What failed, one sentence each.
    pub reasons: Vec<String>,
    /// What is worth knowing and failed nothing.
    pub notes: Vec<String>,
}

impl Judgement {
    /// Whether everything passed.
    pub fn passed(&self) -> bool {
        self.verdict.verdict == Mark::Pass
    }

    /// What was done and how the bridge answered, in lines for people.
    pub fn report(&self) -> Vec<String> {
        let moment = |Moment { at_seconds, who, what }: &Moment| format!("{at_seconds:8.1} s  {who:<16} {what}");
        self.verdict.timeline.iter().map(moment).collect()
    }

    /// The judgement in lines for people.
    pub fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = self.verdict.checks.iter().map(Check::line).collect();
        lines.extend(self.verdict.outputs.iter().map(OutputVerdict::line));
        lines.push(self.verdict.recording.line());
        lines.extend(self.notes.iter().map(|note| format!("  note: {note}")));
        lines.extend(self.reasons.iter().map(|reason| format!("  failed: {reason}")));
        lines.push(format!("Rehearsal: {}.", if self.passed() { "pass" } else { "FAIL" }));
        lines
    }
}

impl Check {
    fn line(&self) -> String {
        let mark = if self.verdict == Mark::Pass { "pass" } else { "FAIL" };
        let Self { what, measured_seconds, bound_seconds, .. } = self;
        format!("{mark}  {measured_seconds:6.2} s of {bound_seconds:4.1} s  {what}")
    }
}

impl OutputVerdict {
    fn line(&self) -> String {
        let mark = if self.verdict == Mark::Pass { "pass" } else { "FAIL" };
        let offset = match self.av_offset_ms {
            Some(offset) => format!("sound {offset:+.0} ms to the picture"),
            None => "sound against picture unknown".to_owned(),
        };
        let Self { name, connections, seconds, longest_gap_ms, .. } = self;
        let plural = if *connections == 1 { "" } else { "s" };
        format!(
            "Output {name}: {mark}, {connections} connection{plural}, {seconds:.0} s, longest gap {longest_gap_ms} ms, {offset}."
        )
    }
}

impl RecordingVerdict {
    fn line(&self) -> String {
        let Some(path) = &self.path else { return "Recording: none.".to_owned() };
        let missing = self.missing_ruler_seconds.len();
        let (seconds, sessions, gaps) = (self.seconds, self.sessions, self.gaps.len());
        let plural = if sessions == 1 { "" } else { "s" };
        format!("Recording: {seconds:.0} s, {sessions} session{plural}, {gaps} gaps, {missing} seconds missing: {path}")
    }
}
