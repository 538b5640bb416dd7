//! How fast the bridge was back after each trouble, with the bounds it must keep.

use super::expected::DELAY_MS;
use super::trouble::{Comeback, IngestTrouble, Span, Troubles};
use super::{Evidence, MILLISECOND, SECOND, rounded};
use crate::alert::Level;
use crate::rehearsal::ingest::{ConnectionReport, IngestReport};
use crate::rehearsal::space::control::ChunkReport;
use crate::rehearsal::verdict::{Check, Mark};

/// Back on the air after an ingest's return, beyond the pause that was running then, in s.
const INGEST_BACK: f64 = 4.0;
/// A frozen ingest is noticed within, in s, at the default bitrate.
const FROZEN: f64 = 25.0;
/// Back on the air after signal 9, in s.
const KILLED: f64 = 10.0;
/// The sound is back on the air after the first new segment is listed, beyond the program's delay, in s.
const SOUND_BACK: f64 = 2.0;
/// A space that opens is looked up so often in a rehearsal, in s.
const LOOKUP: f64 = 2.0;
/// The host's next space is looked for no oftener than every 30 s, in s; and its look-up.
const NEXT_SPACE: f64 = 35.0;
/// A sound that takes longer than this to come back belongs to the next trouble, in ms.
const PATIENCE_MS: i64 = 90_000;
/// What is on the air is listened to for so long, in ms.
const HEARD_MS: i64 = 3000;

/// Every interval that was measured.
pub(super) fn checks(evidence: &Evidence, chunks: &[ChunkReport], troubles: &Troubles) -> Vec<Check> {
    let mut checks = Vec::new();
    for ingest in &evidence.ingests {
        for trouble in troubles.of(&ingest.name) {
            checks.extend(ingest_back(ingest, trouble));
            checks.extend(noticed(evidence, ingest, trouble));
        }
        if evidence.seat {
            checks.extend(super::seat::delays(ingest, &evidence.space));
        }
        checks.extend(troubles.kills.iter().filter_map(|kill| bridge_back(ingest, *kill, troubles)));
        checks.extend(troubles.comebacks.iter().filter_map(|comeback| sound_back(ingest, *comeback, chunks, troubles)));
    }
    checks
}

fn check(what: String, measured: f64, bound: f64) -> Check {
    let verdict = Mark::of(measured <= bound);
    Check { what, measured_seconds: rounded(measured), bound_seconds: rounded(bound), verdict }
}

fn next_media(ingest: &IngestReport, after: i64) -> Option<i64> {
    ingest.connections.iter().filter_map(|connection| connection.first_media_ms).filter(|at| *at >= after).min()
}

fn ingest_back(ingest: &IngestReport, trouble: &IngestTrouble) -> Option<Check> {
    let (least, _) = trouble.connections();
    if least == 0 || trouble.span.end == i64::MAX {
        return None;
    }
    let what = format!("{}: on the air again after it {}", ingest.name, past(trouble));
    let bound = INGEST_BACK + trouble.retry_in_seconds as f64;
    let back = next_media(ingest, trouble.span.start)?;
    Some(check(what, (back - trouble.span.end).max(0) as f64 / 1000.0, bound))
}

fn past(trouble: &IngestTrouble) -> &'static str {
    use crate::rehearsal::proxy::Fault;
    match trouble.fault {
        Fault::Cut => "closed the connection",
        Fault::Reset => "reset the connection",
        Fault::Stall { .. } => "was frozen",
        _ => "was killed",
    }
}

/// From the freeze to the bridge's first word on it.
fn noticed(evidence: &Evidence, ingest: &IngestReport, trouble: &IngestTrouble) -> Option<Check> {
    if !trouble.must_be_noticed() {
        return None;
    }
    let subject = format!("output {}", ingest.name);
    let told = evidence.diary.said.iter().filter(|event| event.subject == subject && event.level != Level::Info);
    let told = told.map(|event| event.at.as_millisecond()).find(|at| trouble.span.holds(*at));
    let seconds = told.map_or(f64::INFINITY, |at| (at - trouble.span.start) as f64 / 1000.0);
    Some(check(format!("{}: noticed that it froze", ingest.name), seconds.min(999.0), FROZEN))
}

fn bridge_back(ingest: &IngestReport, kill: i64, troubles: &Troubles) -> Option<Check> {
    let around = Span { start: kill, end: kill + (KILLED * 1000.0) as i64 };
    if troubles.of(&ingest.name).any(|trouble| trouble.span.touches(&around)) {
        return None;
    }
    let seconds = next_media(ingest, kill).map_or(999.0, |back| (back - kill) as f64 / 1000.0);
    Some(check(format!("{}: on the air again after kill -9", ingest.name), seconds, KILLED))
}

/// From the first new segment in the list to its sound at the ingest.
fn sound_back(
    ingest: &IngestReport,
    (at, how): (i64, Comeback),
    chunks: &[ChunkReport],
    troubles: &Troubles,
) -> Option<Check> {
    let fresh = |chunk: &&ChunkReport| chunk.listed_ms >= at && !chunk.silent && chunk.announced && chunk.served > 0;
    let first = chunks.iter().find(fresh)?;
    let window = Span { start: at, end: first.listed_ms + PATIENCE_MS };
    let busy = Span { start: at, end: first.listed_ms + DELAY_MS + HEARD_MS };
    let ends_again = troubles.source.iter().any(|span| span.start > at && busy.holds(span.start));
    let elsewhere = troubles.of(&ingest.name).any(|trouble| trouble.span.touches(&busy))
        || troubles.kills.iter().any(|kill| window.holds(*kill));
    if ends_again || elsewhere {
        return None;
    }
    let (what, extra) = match how {
        Comeback::Same => ("the sound is back", 0.0),
        Comeback::Opened => ("the space that opened is heard", LOOKUP),
        Comeback::NewSpace => ("the host's next space is found and heard", NEXT_SPACE),
    };
    let bound = DELAY_MS as f64 / 1000.0 + SOUND_BACK + extra;
    let aired = ingest.connections.iter().find_map(|connection| aired_after(connection, first));
    let seconds = aired.map_or(999.0, |aired| (aired - first.listed_ms as f64) / 1000.0);
    Some(check(format!("{}: {what}", ingest.name), seconds, bound))
}

/// When the start of the chunk would have been heard, by the first second of it or after it that was, in Unix ms.
fn aired_after(connection: &ConnectionReport, chunk: &ChunkReport) -> Option<f64> {
    let from = u32::try_from(chunk.ruler_start.div_ceil(SECOND)).ok()?;
    let second = connection.heard.seconds.iter().find(|second| second.index >= from)?;
    let first_ms = connection.audio.first_ms.into_iter().chain(connection.video.first_ms).min()?;
    let way = second.at_samples / MILLISECOND - f64::from(first_ms);
    let into = (u64::from(second.index) * SECOND - chunk.ruler_start) as f64 / MILLISECOND;
    let aired = connection.first_media_ms? as f64 + way;
    // A later second stands for the chunk's start only where it follows at once; else the wait counts.
    let into = if into < 3500.0 { into } else { 0.0 };
    Some(aired - into)
}
