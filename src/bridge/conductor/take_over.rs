//! The change from one path to another on the air.

use std::time::Instant;

use super::Conductor;
use super::lane::Place;
use super::standby::{AT_ONCE, SILENT, SLACK, WINDOW};
use crate::media::SAMPLE_RATE;
use crate::program::{Layer, Placement};
use crate::session::{Switch, Why};

/// What the program has in hand is replaced from this far ahead: 50 ms.
const JOINT: i64 = SAMPLE_RATE as i64 / 20;

/// The beginning of a silence is looked for in steps of 10 ms, and two frames of AAC lie before it.
const STEP: i64 = SAMPLE_RATE as i64 / 100;
const FRAMES: i64 = 2048;

/// Longest silence at the end of a path that stalled which is not believed: what a source takes for silence before it
/// knows better, and as much again.
const SILENCE_MAX: i64 = SAMPLE_RATE as i64 * 2;

/// A path with pieces needs this much between hearing of one and its turn, beside its length: 0.7 s.
const FETCH: i64 = SAMPLE_RATE as i64 * 7 / 10;

/// Where the audio of the path that takes over goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Joint {
    /// Program sample of its media time zero.
    anchor: i64,
    /// Media time of the first that is heard.
    from: i64,
}

/// What is known of the path that takes over, and of the program. All in samples.
#[derive(Debug, Clone, Copy)]
struct Knows {
    /// Program sample that is heard next.
    now: i64,
    /// First program sample on which nothing lies yet.
    free: i64,
    /// Where its media time zero lies by the sound.
    anchor: Option<i64>,
    /// First and last of what it has in hand, in media time.
    start: i64,
    end: i64,
    /// What it needs between a piece's arrival and its turn.
    needed: i64,
    /// How long after it came its newest audio is heard at least.
    delay: i64,
    /// Whether what was missed is caught up with: by a stream that would be heard later for ever otherwise.
    catches_up: bool,
}

/// Nothing twice, and as little as possible lost: where the sound belongs if that is still to come, otherwise as soon as
/// it can be.
fn joint(knows: Knows) -> Joint {
    let Knows { now, free, anchor, start, end, needed, delay, catches_up } = knows;
    let earliest = free.max(now + AT_ONCE);
    let fits = |anchor: &i64| anchor + end - now >= needed && anchor + start.max(free - anchor) >= now;
    match anchor {
        Some(anchor) if fits(&anchor) => Joint { anchor, from: start.max(earliest - anchor) },
        // What was heard already is not heard again.
        Some(anchor) if !catches_up => {
            let from = start.max(free - anchor);
            Joint { anchor: (earliest - from).max(now + needed - end), from }
        }
        _ if catches_up => {
            let anchor = now + delay - end;
            Joint { anchor, from: start.max(earliest - anchor) }
        }
        // Nothing tells where it belongs: all that it has is heard, the oldest first.
        _ => Joint { anchor: (earliest - start).max(now + needed - end), from: start },
    }
}

impl Conductor {
    /// The path that stands by is heard from now on, instead of `from`.
    pub(super) fn take_over(&mut self, from: usize, switch: Switch) {
        let Switch { to, why } = switch;
        let program = self.handles.program.clone();
        let now = program.now().samples() as i64;
        let old = self.air.placement.as_ref().and_then(Placement::anchor);
        let aligned = self.is_aligned() && self.sources[to].lane.place.is_some();
        self.replace(from, why, now, aligned);
        let free = program.free_from();
        let slot = &self.sources[to];
        let (Some(start), Some(end)) = (slot.lane.reserve.start(), slot.lane.reserve.end()) else { return };
        let continuous = slot.is_continuous();
        let knows = Knows {
            now,
            free,
            anchor: slot.lane.place.map(|place| place.anchor),
            start,
            end: slot.lane.edge.map_or(end, |edge| edge.max(end)),
            needed: if continuous { JOINT } else { slot.lane.piece as i64 + FETCH },
            delay: slot.delay as i64,
            catches_up: continuous && !self.is_aligned(),
        };
        let joint = joint(knows);
        tracing::debug!(from, to, ?why, ?knows, ?joint, "A path takes over.");
        let delay = (joint.anchor + knows.end - now).max(slot.delay as i64).max(0);
        self.air.place_at(Placement::at(joint.anchor, delay as u64, now as u64), joint.anchor + joint.from);
        program.set_lead(delay as u64);
        self.air.tells_edge = slot.lane.edge.is_some();
        let pieces: Vec<_> =
            slot.lane.reserve.pieces(joint.from..end).map(|(at, piece)| (at + joint.anchor, piece.to_vec())).collect();
        let held = (joint.anchor + joint.from - free.max(now)).max(0);
        for (at, piece) in pieces {
            self.air.aired.push(at, &piece);
            if program.write(at, &piece).placed > 0 {
                self.sounds(at, at + piece.len() as i64);
            }
        }
        let lane = &mut self.sources[from].lane;
        let moving = !matches!(why, Why::Stalled(_) | Why::Lost);
        if !moving {
            // It was heard, and what comes after a standstill need not follow on it.
            lane.reserve.clear();
        }
        lane.place =
            old.filter(|_| moving && lane.running.is_some()).map(|anchor| Place { anchor, at: Instant::now() });
        // In any other mode it lies elsewhere now: the paths' own places are found again.
        if joint.anchor != knows.anchor.unwrap_or(joint.anchor) {
            self.sources.iter_mut().for_each(|slot| slot.lane.forget_place());
        }
        self.sources[to].lane.forget_place();
        self.attempts.fail_over(to);
        self.heard = to;
        self.last_error = None;
        self.given_at = self.handles.clock.now();
        if let Some(info) = self.sources[to].lane.info.clone() {
            self.view.info = info;
        }
        self.view.speakers = self.sources[to].lane.speakers.now();
        self.publish_anchor();
        self.tell_switch(from, switch, held);
        self.publish();
    }

    /// Lets go what the path `from` has on the program ahead and what is not to be heard.
    fn replace(&mut self, from: usize, why: Why, now: i64, aligned: bool) {
        let cut = match why {
            Why::Silent => self.sources[from].lane.silent_from.map(|from| self.silence_begins(from, WINDOW)),
            Why::Better | Why::Pinned if !aligned => Some(now),
            // Silence that a dying path was thought to have is not what was said.
            Why::Stalled(_) | Why::Lost if aligned => self.last_silence(),
            _ => None,
        };
        if let Some(cut) = cut {
            let cut = cut.max(now + JOINT);
            self.handles.program.forget_from(cut.max(0) as u64);
            self.air.aired.truncate(cut);
        }
    }

    /// Where a silence of the path on the air really begins that lasts up to `found`, in `most` at most; a codec falls
    /// silent over a frame or two before it.
    fn silence_begins(&self, found: i64, most: i64) -> i64 {
        let is_silent = |from: &i64| self.air.aired.rms(*from..*from + STEP).is_some_and(|rms| rms < SILENT);
        let steps = (1..=most / STEP).map(|count| found - count * STEP).take_while(is_silent);
        steps.last().unwrap_or(found) - FRAMES
    }

    /// Where the silence begins with which the path on the air ends; none where it ends with sound.
    fn last_silence(&self) -> Option<i64> {
        let end = self.air.aired.end()?;
        let begins = self.silence_begins(end, SILENCE_MAX);
        (begins < end - FRAMES).then_some(begins)
    }

    fn tell_switch(&self, from: usize, Switch { to, why }: Switch, held: i64) {
        let (old, new) = (self.sources[from].name(), self.sources[to].name());
        let seconds = held as f64 / f64::from(SAMPLE_RATE);
        let after = if held > JOINT { format!(", after {seconds:.1} s without sound") } else { String::new() };
        let message = match why {
            Why::Stalled(quiet) => {
                format!("{old} has given nothing for {:.1} s; {new} is heard instead{after}", quiet.as_secs_f64())
            }
            Why::Silent => format!("{old} is silent where {new} has sound; {new} is heard instead{after}"),
            Why::Lost => format!("{old} was lost; {new} is heard instead{after}"),
            Why::Better => format!("{new} is well again and is heard instead of {old}{after}"),
            Why::Pinned => format!("{new} is heard instead of {old}, as the operator wants{after}"),
        };
        let message = crate::text::plain(&message, 300);
        self.sources[to].archive.state("failover", &message);
        match why {
            Why::Better | Why::Pinned => self.handles.events.info("source.switched", "source", message),
            _ => self.handles.events.warning("source.switched", "source", message, None),
        }
    }

    /// Everything from here on is heard `by` samples later, so that a path that stands by comes in time.
    pub(super) fn put_later(&mut self, by: i64) {
        let now = self.handles.program.now().samples();
        let Some(placement) = &mut self.air.placement else { return };
        placement.put_later(by, now);
        self.air.aired.clear();
        self.fill_from = self.handles.program.free_from() + by;
        self.sources.iter_mut().for_each(|slot| slot.lane.shift(by));
        self.publish_anchor();
        let seconds = by as f64 / f64::from(SAMPLE_RATE);
        let message = format!(
            "The program goes out {seconds:.1} s later from now on: the path that stands by needs {:.0} s to take over \
             without a loss",
            SLACK as f64 / f64::from(SAMPLE_RATE)
        );
        self.handles.events.info("program.aligned", "program", message);
    }
}

impl super::air::Air {
    /// Another path is heard, from program sample `audible` on.
    fn place_at(&mut self, placement: Placement, audible: i64) {
        self.audible_from = audible - placement.anchor().unwrap_or(0);
        self.placement = Some(placement);
        self.layer = Layer::default();
        self.aired.truncate(audible);
    }
}

#[cfg(test)]
mod way_back;

#[cfg(test)]
mod tests {
    use super::*;

    const S: i64 = SAMPLE_RATE as i64;

    /// The program stands at 1000 s and what lies ahead ends at 1005 s; the path has 30 s in hand.
    fn knows() -> Knows {
        Knows {
            now: 1000 * S,
            free: 1005 * S,
            anchor: Some(980 * S),
            start: 0,
            end: 30 * S,
            needed: 4 * S,
            delay: 6 * S,
            catches_up: false,
        }
    }

    #[test]
    fn a_path_that_lies_beside_goes_on_where_the_other_stopped() {
        assert_eq!(joint(knows()), Joint { anchor: 980 * S, from: 25 * S });
        // Nothing ahead any more: from now on, where it belongs.
        let late = joint(Knows { free: 1000 * S, ..knows() });
        assert_eq!(late, Joint { anchor: 980 * S, from: 20 * S + AT_ONCE });
    }

    #[test]
    fn a_path_that_lags_is_waited_for_and_says_nothing_twice() {
        // What was heard up to 1000 s was its second 40, which it has not got yet.
        let lagging = Knows { free: 1000 * S, anchor: Some(960 * S), ..knows() };
        let joint = joint(lagging);
        assert_eq!(joint.from, 40 * S);
        assert_eq!(joint.anchor + joint.from, 1014 * S, "its newest is heard 4 s after it came");
    }

    #[test]
    fn a_path_of_which_nothing_is_known_is_heard_from_its_oldest_on() {
        let joint = joint(Knows { anchor: None, free: 990 * S, ..knows() });
        assert_eq!(joint, Joint { anchor: 1000 * S + AT_ONCE, from: 0 });
    }

    #[test]
    fn a_stream_in_haste_is_heard_at_its_own_delay() {
        let stream = Knows { anchor: None, free: 1000 * S, needed: JOINT, delay: S / 2, catches_up: true, ..knows() };
        assert_eq!(joint(stream).anchor + 30 * S, 1000 * S + S / 2);
    }
}
