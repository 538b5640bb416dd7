//! Speakers' lanes of the picture: who gets one, and what of it is coloured.

use crate::episode::speakers::{Turn, totals};

/// Lanes at most; the last one is everybody else's where there are more speakers.
const MOST: usize = 6;

const COLOURS: [&str; MOST] = ["#ff9f6b", "#9d8cff", "#6cc4ff", "#ff7fc1", "#a5d86b", "#9aa3b5"];

/// One speaker's lane, or that of all others.
#[derive(Debug)]
pub(super) struct Lane<'a> {
    pub(super) name: String,
    pub(super) colour: &'static str,
    pub(super) seconds: f64,
    pub(super) turns: Vec<&'a Turn>,
}

/// Lanes of those who talk most.
pub(super) fn lanes(turns: &[Turn]) -> Vec<Lane<'_>> {
    let totals = totals(turns);
    let own = if totals.len() > MOST { MOST - 1 } else { totals.len() };
    let mut lanes: Vec<Lane<'_>> = totals[..own]
        .iter()
        .zip(COLOURS)
        .map(|((handle, seconds), colour)| {
            let turns = turns.iter().filter(|turn| turn.handle == *handle).collect::<Vec<_>>();
            let host = turns.first().is_some_and(|turn| turn.host && turn.handle != "host");
            let name = if host { format!("{handle} (host)") } else { (*handle).to_owned() };
            Lane { name, colour, seconds: *seconds, turns }
        })
        .collect();
    let others = &totals[own..];
    if !others.is_empty() {
        let is_other = |turn: &&Turn| others.iter().any(|(handle, _)| *handle == turn.handle);
        lanes.push(Lane {
            name: format!("{} others", others.len()),
            colour: COLOURS[MOST - 1],
            seconds: others.iter().map(|(_, seconds)| seconds).sum(),
            turns: turns.iter().filter(is_other).collect(),
        });
    }
    lanes
}

/// Places on the line joined where less than half a pixel parts them, each at least one pixel wide, so that no more of
/// them are drawn than there are pixels and none is too small to be seen.
pub(super) fn covered(mut places: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
    places.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut joined: Vec<(f64, f64)> = Vec::new();
    for (start, end) in places {
        let end = end.max(start + 1.0);
        match joined.last_mut() {
            Some(last) if start - last.1 < 0.5 => last.1 = last.1.max(end),
            _ => joined.push((start, end)),
        }
    }
    joined
}
