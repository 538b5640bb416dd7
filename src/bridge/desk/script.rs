//! What the slate says and from when on. Pure.
//!
//! What is happening is told as it will be heard, seconds or, with a public delay, a minute before. It is kept here until
//! its picture is due, so that what changes at once (a title, the clock, the operator's own words) waits for nothing, and
//! a change of the delay moves what lies behind it.

use crate::media::ProgramTime;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Cue {
    /// This is happening.
    Say { line: String, live: bool },
    /// A cut begins.
    MomentBegins,
    /// A cut is over.
    MomentEnds,
}

/// What the slate says now, and next.
#[derive(Debug)]
pub(super) struct Script {
    line: String,
    live: bool,
    /// Cuts that are on the air.
    moments: u32,
    /// By their time.
    cues: Vec<(ProgramTime, Cue)>,
}

impl Script {
    /// A script that begins with `line`.
    pub(super) fn new(line: String) -> Self {
        Self { line, live: false, moments: 0, cues: Vec::new() }
    }

    /// What is happening, and whether space audio is on the air.
    pub(super) fn said(&self) -> (&str, bool) {
        (&self.line, self.live)
    }

    /// Whether a cut is on the air.
    pub(super) fn is_moment(&self) -> bool {
        self.moments > 0
    }

    /// From `at` on this is happening, but not before what was told earlier.
    pub(super) fn say(&mut self, line: &str, live: bool, at: ProgramTime) {
        let last = self.cues.iter().rev().find_map(|(at, cue)| match cue {
            Cue::Say { line, live } => Some((*at, line.as_str(), *live)),
            _ => None,
        });
        let (from, before) = match last {
            Some((from, line, live)) => (from, (line, live)),
            None => (ProgramTime::ZERO, self.said()),
        };
        if before != (line, live) {
            self.add(at.max(from), Cue::Say { line: line.to_owned(), live });
        }
    }

    /// Whatever was to be told is not: the show is over.
    pub(super) fn forget(&mut self) {
        self.cues.clear();
        self.moments = 0;
    }

    /// What was cut would have been heard from `from` to `to`.
    pub(super) fn moment(&mut self, from: ProgramTime, to: ProgramTime) {
        // From the picture on that the cut begins in, to the first whole one behind it.
        self.add(from.grid_floor(), Cue::MomentBegins);
        self.add(to, Cue::MomentEnds);
    }

    /// Everything from `joint` on comes `by` samples later, or earlier.
    pub(super) fn shift(&mut self, joint: ProgramTime, by: i64) {
        for (at, _) in self.cues.iter_mut().filter(|(at, _)| *at >= joint) {
            *at = ProgramTime::from_samples(at.samples().saturating_add_signed(by)).max(joint);
        }
    }

    /// Goes on to the next change, if it comes no later than `until`; its time.
    pub(super) fn next(&mut self, until: ProgramTime) -> Option<ProgramTime> {
        if self.cues.first()?.0 > until {
            return None;
        }
        let (at, cue) = self.cues.remove(0);
        match cue {
            Cue::Say { line, live } => (self.line, self.live) = (line, live),
            Cue::MomentBegins => self.moments += 1,
            Cue::MomentEnds => self.moments = self.moments.saturating_sub(1),
        }
        Some(at)
    }

    fn add(&mut self, at: ProgramTime, cue: Cue) {
        let place = self.cues.partition_point(|(other, _)| *other <= at);
        self.cues.insert(place, (at, cue));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::SAMPLE_RATE;

    fn at(seconds: u64) -> ProgramTime {
        ProgramTime::from_samples(seconds * u64::from(SAMPLE_RATE))
    }

    /// Every change up to the end: when, and what the slate says.
    fn play(script: &mut Script) -> Vec<(u64, String)> {
        let mut seen = Vec::new();
        while let Some(at) = script.next(ProgramTime::from_samples(u64::MAX)) {
            let line = if script.is_moment() { "one moment" } else { script.said().0 };
            seen.push((at.samples() / u64::from(SAMPLE_RATE), line.to_owned()));
        }
        seen
    }

    #[test]
    fn what_lies_ahead_is_told_in_its_order_and_once() {
        let mut script = Script::new("connecting".into());
        script.say("connecting", false, at(1));
        script.say("live", true, at(60));
        // A new look at the session says the same again, long before it is heard.
        script.say("live", true, at(20));
        script.say("gap", false, at(50));
        assert_eq!(script.next(at(59)), None);
        assert_eq!(play(&mut script), [(60, "live".into()), (60, "gap".into())]);
    }

    #[test]
    fn an_end_does_not_wait_for_what_is_held_back() {
        let mut script = Script::new("connecting".into());
        script.say("live", true, at(60));
        script.moment(at(61), at(65));
        script.forget();
        script.say("ended", false, at(10));
        assert_eq!(play(&mut script), [(10, "ended".into())]);
    }

    #[test]
    fn a_cut_is_covered_by_whole_pictures_and_what_happens_within_is_told_behind() {
        let mut script = Script::new("live".into());
        script.say("gap", false, at(33));
        script.moment(at(31), at(37));
        script.moment(at(36), at(41));
        let seen = play(&mut script);
        let moment = |at: u64| (at, "one moment".to_owned());
        assert_eq!(seen, [moment(30), moment(33), moment(36), moment(37), (41, "gap".into())]);
    }

    #[test]
    fn a_change_of_the_delay_moves_what_lies_behind_its_joint() {
        let mut script = Script::new("live".into());
        script.say("gap", false, at(10));
        script.say("live", true, at(30));
        script.shift(at(20), 5 * i64::from(SAMPLE_RATE));
        script.shift(at(21), -60 * i64::from(SAMPLE_RATE));
        assert_eq!(play(&mut script), [(10, "gap".into()), (21, "live".into())]);
    }
}
