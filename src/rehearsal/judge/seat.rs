//! What is different where the bridge had a speaker's seat: no list tells what it was shown, and its delay is judged.

use super::MILLISECOND;
use crate::rehearsal::ingest::IngestReport;
use crate::rehearsal::space::SpaceReport;
use crate::rehearsal::verdict::{Check, Mark};

/// From its seat to what it hears the bridge may take so long, in ms.
const SEATED_MS: i64 = 4000;
/// Longest way of the sound, from a mouth to an ingest on this machine, in s.
const DELAY: f64 = 1.0;

/// Marks what was said in the room, from `seated_ms` on, as what the bridge was shown and got.
pub fn heard_from_the_seat(space: &mut SpaceReport, seated_ms: i64) {
    let started_ms = space.sound_started_ms;
    let earlier = space.earlier.iter_mut().flat_map(|space| space.chunks.iter_mut());
    for chunk in earlier.chain(&mut space.chunks) {
        let said_ms = started_ms + (chunk.ruler_start as f64 / MILLISECOND) as i64;
        chunk.announced = said_ms >= seated_ms + SEATED_MS;
        chunk.served = u32::from(chunk.announced);
    }
}

/// How long the sound was on its way: of the second in the middle, and of the one that only a twentieth took longer.
pub(super) fn delays(ingest: &IngestReport, space: &SpaceReport) -> Vec<Check> {
    let ways = ways(ingest, space);
    let check = |share: f64, which: &str| {
        let measured = *ways.get((ways.len() as f64 * share) as usize)? / 1000.0;
        let what = format!("{}: from a speaker's mouth to the ingest, {which}", ingest.name);
        let measured_seconds = (measured * 1000.0).round() / 1000.0;
        Some(Check { what, measured_seconds, bound_seconds: DELAY, verdict: Mark::of(measured <= DELAY) })
    };
    check(0.5, "half of the time").into_iter().chain(check(0.95, "19 times of 20")).collect()
}

/// How long each second was on its way, in ms, sorted.
fn ways(ingest: &IngestReport, space: &SpaceReport) -> Vec<f64> {
    let ways = ingest.connections.iter().flat_map(|connection| {
        let first_ms = connection.audio.first_ms.into_iter().chain(connection.video.first_ms).min();
        let began = connection.first_media_ms.zip(first_ms);
        connection.heard.seconds.iter().filter_map(move |second| {
            let (arrived_ms, first_ms) = began?;
            let aired = arrived_ms as f64 + second.at_samples / MILLISECOND - f64::from(first_ms);
            Some(aired - (space.sound_started_ms as f64 + f64::from(second.index) * 1000.0))
        })
    });
    let mut ways: Vec<f64> = ways.collect();
    ways.sort_by(f64::total_cmp);
    ways
}
