//! The verdict on the recording.

use std::collections::HashSet;

use super::{RecordingEvidence, list, rounded};
use crate::rehearsal::verdict::RecordingVerdict;

/// Judges it against the seconds that must be in it, and the number of spaces that it must hold.
pub(super) fn judge(
    recording: &RecordingEvidence,
    expected: &[u32],
    gaps_planned: bool,
    spaces: u32,
) -> (RecordingVerdict, Vec<String>) {
    let mut against = Vec::new();
    if let Some(error) = &recording.error {
        against.push(error.clone());
    }
    let mut missing = expected.to_vec();
    match &recording.heard {
        None => against.push("there is no finished file to listen to".to_owned()),
        Some(heard) => {
            let known: HashSet<u32> = heard.seconds.iter().map(|second| second.index).collect();
            missing.retain(|index| !known.contains(index));
            let repeated = heard.seconds.windows(2).find(|pair| pair[1].index <= pair[0].index);
            against.extend(repeated.map(|pair| format!("second {} is in it twice or out of order", pair[1].index)));
        }
    }
    if recording.heard.is_some() && !missing.is_empty() {
        against.push(format!("seconds {} of the ruler are missing", list(&missing)));
    }
    if !gaps_planned && !recording.gaps.is_empty() {
        against.push(format!("it has {} gaps", recording.gaps.len()));
    }
    if recording.heard.is_some() && recording.sessions != spaces {
        against.push(format!("it has files of {} sessions for {spaces} spaces", recording.sessions));
    }
    let verdict = RecordingVerdict {
        path: recording.path.clone(),
        sessions: recording.sessions,
        seconds: rounded(recording.seconds),
        gaps: recording.gaps.clone(),
        missing_ruler_seconds: missing,
    };
    (verdict, against)
}
