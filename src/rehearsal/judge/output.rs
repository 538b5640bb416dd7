//! The verdict on one output, from what its ingest saw.

use super::expected::{Expected, lost};
use super::trouble::{Span, Troubles};
use super::{GAP_LIMIT_MS, MILLISECOND, OFFSET_LIMIT_MS, SKEW_LIMIT_MS, list, rounded};
use crate::rehearsal::ear::HeardSecond;
use crate::rehearsal::ingest::{ConnectionReport, IngestReport};
use crate::rehearsal::verdict::{Mark, OutputVerdict};

/// How far neighbouring seconds of the ruler may be from one second apart, in ms.
const STEP_LIMIT_MS: f64 = 40.0;
/// How many seconds of the start may pass before an output has joined.
const JOIN_SECONDS: usize = 15;
/// A kill so near to another trouble of the same output may cost it no connection of its own.
const NEAR_MS: i64 = 20_000;

type Judged = (OutputVerdict, Vec<String>, Vec<String>);

/// Judges; `phase` tells where the ruler's seconds lie, where that is to be known, and if it is.
pub(super) fn judge(
    ingest: &IngestReport,
    expected: &Expected,
    troubles: &Troubles,
    phase: Option<Option<f64>>,
) -> Judged {
    let (mut against, mut notes) = (Vec::new(), Vec::new());
    judge_connections(ingest, troubles, &mut against);
    for connection in &ingest.connections {
        judge_connection(ingest, connection, troubles, &mut against);
        notes.extend(connection.warnings.iter().cloned());
    }
    let offsets = ingest.connections.iter().map(|connection| av_offset_ms(connection, phase.flatten()));
    let offset = offsets.flatten().max_by(|a, b| a.abs().total_cmp(&b.abs()));
    match offset {
        None if phase.is_some() => {
            against.push("sound and picture cannot be compared: no flash or no ruler was seen".to_owned());
        }
        Some(offset) if offset.abs() >= OFFSET_LIMIT_MS => {
            against.push(format!("the sound is {offset:+.0} ms from the picture"));
        }
        _ => {}
    }
    let missing = judge_heard(ingest, expected, troubles, &mut against);
    let verdict = OutputVerdict {
        name: ingest.name.clone(),
        connections: ingest.connections.len() as u32,
        seconds: rounded(ingest.connections.iter().map(ConnectionReport::seconds).sum()),
        longest_gap_ms: ingest.connections.iter().map(ConnectionReport::longest_gap_ms).max().unwrap_or(0),
        av_offset_ms: offset.map(rounded),
        missing_ruler_seconds: missing,
        verdict: Mark::of(against.is_empty()),
    };
    (verdict, against, notes)
}

/// One connection for the whole night, and one more for each time that it was broken.
fn judge_connections(ingest: &IngestReport, troubles: &Troubles, against: &mut Vec<String>) {
    let count = ingest.connections.len() as u32;
    if count == 0 {
        against.push(match ingest.refused {
            0 => "nobody published".to_owned(),
            refused => format!("refused {refused} times and never published"),
        });
        return;
    }
    let (mut least, mut most) = (1, 1);
    for trouble in troubles.of(&ingest.name) {
        let (must, may) = trouble.connections();
        (least, most) = (least + must, most + may);
    }
    for kill in &troubles.kills {
        let near = Span { start: kill - NEAR_MS, end: kill + NEAR_MS };
        least += u32::from(!troubles.of(&ingest.name).any(|trouble| trouble.span.touches(&near)));
        most += 1;
    }
    if !(least..=most).contains(&count) {
        let wanted = match (least, most) {
            (1, 1) => "once".to_owned(),
            _ if least == most => format!("{least} times"),
            _ => format!("{least} to {most} times"),
        };
        against.push(format!("connected {count} times instead of {wanted}"));
    }
}

fn judge_connection(
    ingest: &IngestReport,
    connection: &ConnectionReport,
    troubles: &Troubles,
    against: &mut Vec<String>,
) {
    let life = Span { start: connection.started_ms, end: connection.ended_ms.unwrap_or(i64::MAX) };
    let mut near = troubles.of(&ingest.name).filter(|trouble| trouble.span.touches(&life)).peekable();
    let is_disturbed = near.peek().is_some() || troubles.kills.iter().any(|kill| life.holds(*kill));
    if near.all(|trouble| trouble.keeps_frames()) {
        for (name, track) in [("audio", &connection.audio), ("video", &connection.video)] {
            if track.longest_gap_ms > GAP_LIMIT_MS {
                against.push(format!("{} ms without {name}", track.longest_gap_ms));
            }
        }
    }
    if is_disturbed {
        return;
    }
    against.extend(connection.faults.iter().cloned());
    if connection.skew_ms >= SKEW_LIMIT_MS {
        against.push(format!("the tracks came {:.0} ms apart", connection.skew_ms));
    }
    if connection.heard.decode_errors > 0 {
        against.push(format!("{} audio frames could not be decoded", connection.heard.decode_errors));
    }
}

/// No second missing, repeated, out of order or out of place between the first one heard and the last one expected.
fn judge_heard(ingest: &IngestReport, expected: &Expected, troubles: &Troubles, against: &mut Vec<String>) -> Vec<u32> {
    let heard: Vec<HeardSecond> = ingest.connections.iter().flat_map(|c| c.heard.seconds.iter().copied()).collect();
    let expected = expected.without(&lost_times(ingest, troubles));
    let Some(first) = heard.first() else {
        against.push("no second of the ruler was heard".to_owned());
        return expected;
    };
    let joined = expected.iter().position(|index| *index >= first.index).unwrap_or(expected.len());
    if joined > JOIN_SECONDS {
        against.push(format!("the first {joined} seconds of the space were not on the air"));
    }
    let known: std::collections::HashSet<u32> = heard.iter().map(|one| one.index).collect();
    let missing: Vec<u32> = expected.into_iter().skip(joined).filter(|index| !known.contains(index)).collect();
    if !missing.is_empty() {
        against.push(format!("seconds {} of the ruler are missing", list(&missing)));
    }
    judge_order(ingest, troubles, against);
    missing
}

/// Times in which the ingest could not get anything.
fn lost_times(ingest: &IngestReport, troubles: &Troubles) -> Vec<Span> {
    let back = |after: i64| {
        let starts = ingest.connections.iter().filter_map(|connection| connection.first_media_ms);
        starts.filter(|start| *start >= after).min().unwrap_or(i64::MAX)
    };
    let broken = troubles.of(&ingest.name).map(|trouble| {
        let (least, most) = trouble.connections();
        let end = if trouble.span.end == i64::MAX { i64::MAX } else { trouble.span.end + 1000 };
        let back = if most == 0 || (least == 0 && back(trouble.span.start) == i64::MAX) {
            end
        } else {
            back(trouble.span.start).max(end)
        };
        lost(trouble.span.start, back)
    });
    broken.chain(troubles.kills.iter().map(|kill| lost(*kill, back(*kill)))).collect()
}

fn judge_order(ingest: &IngestReport, troubles: &Troubles, against: &mut Vec<String>) {
    // A process that takes over may air again what the one before it aired.
    let may_repeat = !troubles.kills.is_empty();
    let mut last: Option<HeardSecond> = None;
    for connection in &ingest.connections {
        let seconds = &connection.heard.seconds;
        if let (Some(last), Some(first), false) = (last, seconds.first(), may_repeat)
            && first.index <= last.index
        {
            against.push(format!("second {} comes again over another connection", first.index));
        }
        for pair in seconds.windows(2) {
            let steps = i64::from(pair[1].index) - i64::from(pair[0].index);
            let late = (pair[1].at_samples - pair[0].at_samples) / MILLISECOND - steps as f64 * 1000.0;
            if steps <= 0 {
                against.push(format!("second {} comes after second {}", pair[1].index, pair[0].index));
            } else if late.abs() > STEP_LIMIT_MS && (steps == 1 || troubles.source.is_empty()) {
                against.push(format!("second {} comes {late:+.0} ms from its place", pair[1].index));
            }
        }
        last = seconds.last().copied().or(last);
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
            let after = connection.flashes_ms.partition_point(|flash| (*flash as f64) < at_ms);
            let near = [after.checked_sub(1), Some(after)].into_iter().flatten();
            let ways = near.filter_map(|place| connection.flashes_ms.get(place)).map(|flash| at_ms - *flash as f64);
            let off = ways.min_by(|a, b| a.abs().total_cmp(&b.abs()))?;
            // Further away there was no flash at all, as after a change of the slate that lost its own.
            (off.abs() < 2000.0).then(|| (off - phase_ms + 500.0).rem_euclid(1000.0) - 500.0)
        })
        .collect();
    offsets.sort_by(f64::total_cmp);
    offsets.get(offsets.len() / 2).copied()
}
