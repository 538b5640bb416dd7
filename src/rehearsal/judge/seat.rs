//! What is different where the bridge had a speaker's seat: no list tells what it was shown, and its delay is judged.

use super::{MILLISECOND, rounded};
use crate::rehearsal::ingest::IngestReport;
use crate::rehearsal::space::SpaceReport;
use crate::rehearsal::verdict::{Check, Mark};

/// From its seat to what it hears the bridge may take so long, in ms.
const SEATED_MS: i64 = 4000;
/// Longest median way of the sound, from a mouth to an ingest on this machine, in s.
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

/// How long the sound was on its way, of the second in the middle.
pub(super) fn delay(ingest: &IngestReport, space: &SpaceReport) -> Option<Check> {
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
    let middle = ways.get(ways.len() / 2)? / 1000.0;
    let what = format!("{}: from a speaker's mouth to the ingest, half of the time", ingest.name);
    let verdict = Mark::of(middle <= DELAY);
    Some(Check { what, measured_seconds: rounded(middle), bound_seconds: DELAY, verdict })
}
