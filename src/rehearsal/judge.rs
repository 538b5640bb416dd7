//! From what everybody saw to a verdict. Pure: no socket, no file, no clock.
//!
//! Clocks and their zeros: the ruler's second k starts at ruler sample k * 48 000. The space tells which ruler sample
//! each chunk starts with; the first chunk that the bridge got is media time zero; the bridge tells the program sample
//! of media time zero (its anchor); flashes lie on multiples of 2 s of program time. So the way from a flash to a second
//! of the ruler is known modulo 1 s whatever zero a platform's timestamps have.

use super::ear::{Heard, HeardSecond};
use super::ingest::{ConnectionReport, IngestReport};
use super::space::SpaceReport;
use super::space::control::ChunkReport;
use super::verdict::{Judgement, Mark, OutputVerdict, RecordingVerdict, Verdict};
use crate::media::SAMPLE_RATE;
use crate::status::Gap;

/// Longest way between two frames that viewers do not see or hear, in ms.
pub const GAP_LIMIT_MS: u32 = 100;
/// How far sound and picture may be apart, in ms. People see 45 ms of early sound (ITU-R BT.1359).
pub const OFFSET_LIMIT_MS: f64 = 40.0;
/// How far the tracks' timestamps may run apart at the ingest, in ms.
pub const SKEW_LIMIT_MS: f64 = 40.0;
/// How far neighbouring seconds of the ruler may be from one second apart, in ms.
const STEP_LIMIT_MS: f64 = 40.0;
/// How many seconds of the start may pass before an output has joined.
const JOIN_SECONDS: usize = 15;
/// A decoder that starts in the middle makes sound only from its second frame on; its first two frames do not count.
const DECODER_START: u64 = 2048;

const SECOND: u64 = SAMPLE_RATE as u64;
const MILLISECOND: f64 = SAMPLE_RATE as f64 / 1000.0;

/// Everything that is known after a rehearsal.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    /// What the space was asked for and gave.
    pub space: SpaceReport,
    /// What each stand-in ingest saw, with the names of the outputs.
    pub ingests: Vec<IngestReport>,
    /// Program sample of media time zero, as the bridge tells.
    pub anchor_samples: Option<i64>,
    /// The recording.
    pub recording: RecordingEvidence,
    /// What broke outside of what is judged here: the bridge did not run, a child died.
    pub accidents: Vec<String>,
    /// Whether the rehearsal's plan makes gaps, so that gaps are right.
    pub gaps_planned: bool,
}

/// What is known of the recording.
#[derive(Debug, Clone, Default)]
pub struct RecordingEvidence {
    /// The finished file, or the folder.
    pub path: Option<String>,
    /// Seconds of sound kept, as the bridge tells.
    pub seconds: f64,
    /// Gaps, as the bridge tells.
    pub gaps: Vec<Gap>,
    /// What was heard in the finished file; none if there is no file or it cannot be read.
    pub heard: Option<Heard>,
    /// Why it cannot be read, or what the bridge says is wrong with it.
    pub error: Option<String>,
}

/// Judges.
pub fn judge(evidence: &Evidence) -> Judgement {
    let expected = delivered_seconds(&evidence.space.chunks);
    let mut reasons = evidence.accidents.clone();
    let mut notes = Vec::new();
    if expected.is_empty() {
        reasons.push("the bridge fetched no sound from the space".to_owned());
    }
    let outputs = evidence.ingests.iter().map(|ingest| {
        let phase = phase_ms(evidence);
        let (verdict, against, worth) = judge_output(ingest, &expected, phase);
        reasons.extend(against.into_iter().map(|reason| format!("{}: {reason}", ingest.name)));
        notes.extend(worth.into_iter().map(|note| format!("{}: {note}", ingest.name)));
        verdict
    });
    let outputs: Vec<OutputVerdict> = outputs.collect();
    let (recording, against) = judge_recording(&evidence.recording, &expected, evidence.gaps_planned);
    reasons.extend(against.into_iter().map(|reason| format!("recording: {reason}")));
    let verdict = Mark::of(reasons.is_empty());
    Judgement { verdict: Verdict { outputs, recording, verdict }, reasons, notes }
}

/// Seconds of the ruler that lie whole in chunks that the bridge was shown and got, in order.
fn delivered_seconds(chunks: &[ChunkReport]) -> Vec<u32> {
    let mut seconds = Vec::new();
    let mut span: Option<(u64, u64)> = None;
    let got = chunks.iter().filter(|chunk| chunk.announced && chunk.served > 0);
    for chunk in got {
        let end = chunk.ruler_start + chunk.samples;
        span = match span {
            Some((start, last)) if last == chunk.ruler_start => Some((start, end)),
            other => {
                seconds.extend(other.into_iter().flat_map(seconds_of));
                Some((chunk.ruler_start, end))
            }
        };
    }
    seconds.extend(span.into_iter().flat_map(seconds_of));
    seconds
}

fn seconds_of((start, end): (u64, u64)) -> std::ops::Range<u32> {
    let number = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
    number((start + DECODER_START).div_ceil(SECOND))..number(end / SECOND)
}

/// Where a second of the ruler starts after a flash, in ms modulo 1 s; none while the bridge had no sound on the air.
fn phase_ms(evidence: &Evidence) -> Option<f64> {
    let first = evidence.space.chunks.iter().find(|chunk| chunk.served > 0)?;
    let start = i64::try_from(first.ruler_start).ok()?;
    let samples = (evidence.anchor_samples? - start).rem_euclid(SECOND as i64);
    Some(samples as f64 / MILLISECOND)
}

type Judged = (OutputVerdict, Vec<String>, Vec<String>);

fn judge_output(ingest: &IngestReport, expected: &[u32], phase_ms: Option<f64>) -> Judged {
    let (mut against, mut notes) = (Vec::new(), Vec::new());
    match ingest.connections.len() {
        0 if ingest.refused > 0 => against.push(format!("refused {} times and never published", ingest.refused)),
        0 => against.push("nobody published".to_owned()),
        1 => {}
        count => against.push(format!("connected {count} times instead of once")),
    }
    for connection in &ingest.connections {
        judge_connection(connection, &mut against);
        notes.extend(connection.warnings.iter().cloned());
    }
    let offsets = ingest.connections.iter().map(|connection| av_offset_ms(connection, phase_ms));
    let offset = offsets.flatten().max_by(|a, b| a.abs().total_cmp(&b.abs()));
    match offset {
        None => against.push("sound and picture cannot be compared: no flash or no ruler was seen".to_owned()),
        Some(offset) if offset.abs() >= OFFSET_LIMIT_MS => {
            against.push(format!("the sound is {offset:+.0} ms from the picture"));
        }
        Some(_) => {}
    }
    let heard: Vec<HeardSecond> = ingest.connections.iter().flat_map(|c| c.heard.seconds.iter().copied()).collect();
    judge_heard(&heard, expected, &mut against);
    let verdict = OutputVerdict {
        name: ingest.name.clone(),
        connections: ingest.connections.len() as u32,
        seconds: rounded(ingest.connections.iter().map(ConnectionReport::seconds).sum()),
        longest_gap_ms: ingest.connections.iter().map(ConnectionReport::longest_gap_ms).max().unwrap_or(0),
        av_offset_ms: offset.map(rounded),
        verdict: Mark::of(against.is_empty()),
    };
    (verdict, against, notes)
}

fn judge_connection(connection: &ConnectionReport, against: &mut Vec<String>) {
    against.extend(connection.faults.iter().cloned());
    for (name, track) in [("audio", &connection.audio), ("video", &connection.video)] {
        if track.longest_gap_ms > GAP_LIMIT_MS {
            against.push(format!("{} ms without {name}", track.longest_gap_ms));
        }
    }
    if connection.skew_ms >= SKEW_LIMIT_MS {
        against.push(format!("the tracks came {:.0} ms apart", connection.skew_ms));
    }
    if connection.heard.decode_errors > 0 {
        against.push(format!("{} audio frames could not be decoded", connection.heard.decode_errors));
    }
}

/// No second missing, repeated, out of order or out of place between the first one heard and the last one delivered.
fn judge_heard(heard: &[HeardSecond], expected: &[u32], against: &mut Vec<String>) {
    let Some(first) = heard.first() else { return against.push("no second of the ruler was heard".to_owned()) };
    let joined = expected.iter().position(|index| *index >= first.index).unwrap_or(expected.len());
    if joined > JOIN_SECONDS {
        against.push(format!("the first {joined} seconds of the space were not on the air"));
    }
    let missing: Vec<u32> =
        expected.iter().skip(joined).filter(|index| heard.iter().all(|one| one.index != **index)).copied().collect();
    if !missing.is_empty() {
        against.push(format!("seconds {} of the ruler are missing", list(&missing)));
    }
    for pair in heard.windows(2) {
        let steps = i64::from(pair[1].index) - i64::from(pair[0].index);
        let way_ms = (pair[1].at_samples - pair[0].at_samples) / MILLISECOND;
        if steps <= 0 {
            against.push(format!("second {} comes after second {}", pair[1].index, pair[0].index));
        } else if (way_ms - steps as f64 * 1000.0).abs() > STEP_LIMIT_MS {
            let late = way_ms - steps as f64 * 1000.0;
            against.push(format!("second {} comes {late:+.0} ms from its place", pair[1].index));
        }
    }
}

/// How late the sound is against the picture: the median over all seconds near a flash.
fn av_offset_ms(connection: &ConnectionReport, phase_ms: Option<f64>) -> Option<f64> {
    let phase_ms = phase_ms?;
    let mut offsets: Vec<f64> = connection
        .heard
        .seconds
        .iter()
        .filter_map(|second| {
            let at_ms = second.at_samples / MILLISECOND;
            let near = |flash: &&u64| (**flash as f64 - at_ms).abs();
            let flash = connection.flashes_ms.iter().min_by(|a, b| near(a).total_cmp(&near(b)))?;
            let off = at_ms - *flash as f64;
            // Further away there was no flash at all, as after a change of the slate that lost its own.
            (off.abs() < 2000.0).then(|| (off - phase_ms + 500.0).rem_euclid(1000.0) - 500.0)
        })
        .collect();
    offsets.sort_by(f64::total_cmp);
    offsets.get(offsets.len() / 2).copied()
}

fn judge_recording(
    recording: &RecordingEvidence,
    expected: &[u32],
    gaps_planned: bool,
) -> (RecordingVerdict, Vec<String>) {
    let mut against = Vec::new();
    if let Some(error) = &recording.error {
        against.push(error.clone());
    }
    let mut missing = expected.to_vec();
    match &recording.heard {
        None => against.push("there is no finished file to listen to".to_owned()),
        Some(heard) => {
            missing.retain(|index| heard.seconds.iter().all(|second| second.index != *index));
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
    let verdict = RecordingVerdict {
        path: recording.path.clone(),
        seconds: rounded(recording.seconds),
        gaps: recording.gaps.clone(),
        missing_ruler_seconds: missing,
    };
    (verdict, against)
}

/// The first few of a list, for a sentence.
fn list(numbers: &[u32]) -> String {
    const SHOWN: usize = 8;
    let shown: Vec<String> = numbers.iter().take(SHOWN).map(u32::to_string).collect();
    let more = numbers.len().saturating_sub(SHOWN);
    if more == 0 { shown.join(", ") } else { format!("{} and {more} more", shown.join(", ")) }
}

fn rounded(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests;
