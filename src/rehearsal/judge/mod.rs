//! From what everybody saw to a verdict. Pure: no socket, no file, no clock.
//!
//! Clocks and their zeros: the ruler's second k starts at ruler sample k * 48 000. The space tells which ruler sample
//! each chunk starts with; the first chunk that the bridge got is media time zero; the bridge tells the program sample
//! of media time zero (its anchor); flashes lie on multiples of 2 s of program time. So the way from a flash to a second
//! of the ruler is known modulo 1 s whatever zero a platform's timestamps have. Everything that was done, listed or
//! published has its wall time too, in Unix ms: all parts of a rehearsal are on one machine.

mod expected;
mod output;
mod recording;
mod seat;
mod timing;
mod trouble;

use serde::{Deserialize, Serialize};

use self::expected::Expected;
pub use self::seat::heard_from_the_seat;
use self::trouble::Troubles;
use super::diary::{Diary, What};
use super::ear::Heard;
use super::ingest::IngestReport;
use super::space::SpaceReport;
use super::space::control::ChunkReport;
use super::verdict::{Judgement, Mark, Moment, Verdict};
use crate::alert::Level;
use crate::media::SAMPLE_RATE;
use crate::status::Gap;

/// Longest way between two frames that viewers do not see or hear, in ms.
pub const GAP_LIMIT_MS: u32 = 100;
/// How far sound and picture may be apart, in ms. People see 45 ms of early sound (ITU-R BT.1359).
pub const OFFSET_LIMIT_MS: f64 = 40.0;
/// How far the tracks' timestamps may run apart at the ingest, in ms.
pub const SKEW_LIMIT_MS: f64 = 40.0;

const SECOND: u64 = SAMPLE_RATE as u64;
const MILLISECOND: f64 = SAMPLE_RATE as f64 / 1000.0;

/// Everything that is known after a rehearsal.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Evidence {
    /// The plan's name.
    #[serde(default)]
    pub scenario: String,
    /// How fast the schedule went.
    #[serde(default)]
    pub speed: f64,
    /// What the space was asked for and gave.
    pub space: SpaceReport,
    /// What each ingest saw, with the names of the outputs.
    pub ingests: Vec<IngestReport>,
    /// Program sample of media time zero, as the bridge tells.
    pub anchor_samples: Option<i64>,
    /// The recording.
    pub recording: RecordingEvidence,
    /// What was done to the bridge, and what it said.
    #[serde(default)]
    pub diary: Diary,
    /// What broke outside of what is judged here: the bridge did not run, a child died.
    pub accidents: Vec<String>,
    /// Whether the rehearsal's plan makes gaps, so that gaps are right.
    pub gaps_planned: bool,
    /// Whether the bridge had a speaker's seat.
    #[serde(default)]
    pub seat: bool,
}

/// What is known of the recording.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct RecordingEvidence {
    /// The finished file, or the folder.
    pub path: Option<String>,
    /// Sessions with a finished file.
    #[serde(default)]
    pub sessions: u32,
    /// Seconds of sound kept, as the bridge tells.
    pub seconds: f64,
    /// Gaps, as the bridge tells.
    pub gaps: Vec<Gap>,
    /// What was heard in the finished files; none if there is no file or it cannot be read.
    pub heard: Option<Heard>,
    /// Why it cannot be read, or what the bridge says is wrong with it.
    pub error: Option<String>,
}

impl Evidence {
    /// The chunks of every space, oldest first.
    fn chunks(&self) -> Vec<ChunkReport> {
        let earlier = self.space.earlier.iter().flat_map(|space| space.chunks.iter());
        earlier.chain(&self.space.chunks).cloned().collect()
    }
}

/// Judges.
pub fn judge(evidence: &Evidence) -> Judgement {
    let chunks = evidence.chunks();
    let troubles = Troubles::read(&evidence.diary);
    let expected = Expected::on_the_air(&chunks, &troubles);
    let mut reasons = evidence.accidents.clone();
    reasons.extend(unmet(&evidence.diary));
    let mut notes = Vec::new();
    if !chunks.iter().any(|chunk| chunk.announced && chunk.served > 0) {
        reasons.push("the bridge fetched no sound from the space".to_owned());
    }
    let of_spaces = evidence.space.earlier.iter().map(|space| &space.chunks).chain([&evidence.space.chunks]);
    let overlooked: Vec<u64> = of_spaces.flat_map(|chunks| expected::overlooked(chunks, &troubles)).collect();
    if let [first, ..] = overlooked[..] {
        let count = overlooked.len();
        reasons.push(format!("{count} segments were listed and the bridge never looked, the first is {first}"));
    }
    let phase = is_compared(evidence, &troubles).then(|| phase_ms(evidence, &troubles));
    let outputs = evidence.ingests.iter().map(|ingest| {
        let (verdict, against, worth) = output::judge(ingest, &expected, &troubles, phase);
        reasons.extend(against.into_iter().map(|reason| format!("{}: {reason}", ingest.name)));
        notes.extend(worth.into_iter().map(|note| format!("{}: {note}", ingest.name)));
        verdict
    });
    let outputs: Vec<_> = outputs.collect();
    let wanted = recording::Wanted {
        seconds: expected::in_the_recording(&chunks, &evidence.diary),
        joints: expected::at_joints(&chunks, &evidence.diary),
        spaces: spaces_heard(&evidence.space),
        gaps_planned: evidence.gaps_planned,
    };
    let (recording, against) = recording::judge(&evidence.recording, &wanted);
    reasons.extend(against.into_iter().map(|reason| format!("recording: {reason}")));
    let checks = timing::checks(evidence, &chunks, &troubles);
    let late = checks.iter().filter(|check| check.verdict == Mark::Fail);
    reasons.extend(late.map(|check| format!("{} took {:.1} s", check.what, check.measured_seconds)));
    let verdict = Mark::of(reasons.is_empty());
    let verdict = Verdict { outputs, recording, checks, timeline: timeline(&evidence.diary), verdict };
    Judgement { verdict, reasons, notes }
}

/// Spaces of which anything was fetched.
fn spaces_heard(space: &SpaceReport) -> u32 {
    let is_heard = |chunks: &[ChunkReport]| chunks.iter().any(|chunk| chunk.served > 0);
    let earlier = space.earlier.iter().filter(|space| is_heard(&space.chunks)).count() as u32;
    earlier + u32::from(is_heard(&space.chunks))
}

/// What was expected of the bridge and did not come.
fn unmet(diary: &Diary) -> impl Iterator<Item = String> {
    diary.done.iter().filter(|deed| matches!(deed.what, What::Expected { took_seconds: None, .. })).map(|deed| {
        let second = (deed.at_ms - diary.started_ms) as f64 / 1000.0;
        format!("{}, at {second:.0} s", deed.what.words())
    })
}

/// Whether it is known where media time zero lies on the ruler: no list tells that of a room.
fn is_compared(evidence: &Evidence, troubles: &Troubles) -> bool {
    troubles.leave_the_anchor_alone() && !evidence.seat
}

/// Where a second of the ruler starts after a flash, in ms modulo 1 s. None while the bridge had no sound on the air, or
/// where the anchor at the end is not that of the whole night.
fn phase_ms(evidence: &Evidence, troubles: &Troubles) -> Option<f64> {
    if !is_compared(evidence, troubles) {
        return None;
    }
    let first = evidence.space.chunks.iter().find(|chunk| chunk.served > 0)?;
    let start = i64::try_from(first.ruler_start).ok()?;
    let samples = (evidence.anchor_samples? - start).rem_euclid(SECOND as i64);
    Some(samples as f64 / MILLISECOND)
}

/// What was done and what the bridge said, in one order.
fn timeline(diary: &Diary) -> Vec<Moment> {
    let second = |at_ms: i64| rounded((at_ms - diary.started_ms) as f64 / 1000.0);
    let done = diary.done.iter().map(|deed| Moment {
        at_seconds: second(deed.at_ms),
        who: if matches!(deed.what, What::Expected { .. }) { "judge" } else { "rehearsal" }.to_owned(),
        what: deed.what.words(),
    });
    let said = diary.said.iter().map(|event| {
        let mark = match event.level {
            Level::Info => "",
            Level::Warning => " (warning)",
            Level::Error => " (error)",
        };
        let what = format!("{}: {}{mark}", event.code, event.message);
        Moment { at_seconds: second(event.at.as_millisecond()), who: event.subject.clone(), what }
    });
    let mut moments: Vec<Moment> = done.chain(said).collect();
    moments.sort_by(|a, b| a.at_seconds.total_cmp(&b.at_seconds));
    moments
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
