//! The verdict on the recording.

use std::collections::HashSet;

use super::{RecordingEvidence, list, rounded};
use crate::rehearsal::verdict::RecordingVerdict;

/// What the recording must hold.
#[derive(Debug, Clone, Default)]
pub(super) struct Wanted {
    /// Seconds of the ruler.
    pub(super) seconds: Vec<u32>,
    /// One second of each of these may lie across two files, which changes of the sound's form make.
    pub(super) joints: Vec<Vec<u32>>,
    /// Spaces, each a session of its own.
    pub(super) spaces: u32,
    /// Whether gaps are right.
    pub(super) gaps_planned: bool,
}

/// Judges it; with what speaks against it.
pub(super) fn judge(recording: &RecordingEvidence, wanted: &Wanted) -> (RecordingVerdict, Vec<String>) {
    let Wanted { seconds: expected, joints, spaces, gaps_planned } = wanted;
    let mut against = Vec::new();
    if let Some(error) = &recording.error {
        against.push(error.clone());
    }
    let mut missing = expected.clone();
    match &recording.heard {
        None => against.push("there is no finished file to listen to".to_owned()),
        Some(heard) => {
            let known: HashSet<u32> = heard.seconds.iter().map(|second| second.index).collect();
            missing.retain(|index| !known.contains(index));
            for joint in joints {
                let cut: Vec<u32> = missing.iter().filter(|index| joint.contains(index)).copied().collect();
                // All its bytes are kept, and no decoder hears it whole.
                if let [cut] = cut[..] {
                    missing.retain(|index| *index != cut);
                }
            }
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
    if recording.heard.is_some() && recording.sessions != *spaces {
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
