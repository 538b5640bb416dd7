//! The show in plain lines: one per change, and one that sums up every ten seconds. It makes lines and writes none.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::words::{clean, clock, count, output_state, show_state, size, whole};
use crate::alert::{Event, Level};
use crate::status::{OutputState, OutputStatus, ShowState, ShowStatus};
use crate::supervisor::Notice;

/// Pause between two lines that sum up.
const SUM_UP: Duration = Duration::from_secs(10);

/// What has been said already.
#[derive(Debug)]
pub(super) struct Plain {
    zone: TimeZone,
    words: String,
    outputs: Vec<(String, OutputState)>,
    summed_up: Option<Instant>,
}

impl Plain {
    /// Times of day are of `zone`.
    pub(super) fn new(zone: TimeZone) -> Self {
        Self { zone, words: String::new(), outputs: Vec::new(), summed_up: None }
    }

    /// The lines for a status at `now`, whose wall time is `at`.
    pub(super) fn status(&mut self, status: &ShowStatus, now: Instant, at: Timestamp) -> Vec<String> {
        let mut said = Vec::new();
        let words = format!("{}: {}", show_state(status.state).to_lowercase(), clean(&status.words));
        // A repair counts seconds and segments for half an hour: what it does is said when that changes.
        let is_count = status.state == ShowState::Ending && beginning(&words) == beginning(&self.words);
        if words != self.words && !is_count {
            said.push(words.clone());
            self.words = words;
        }
        for output in &status.outputs {
            said.extend(self.output(output));
        }
        if self.summed_up.is_none_or(|before| now.duration_since(before) >= SUM_UP) {
            // The first status has said everything in the lines above.
            if self.summed_up.replace(now).is_some() {
                said.push(sum_up(status));
            }
        }
        said.iter().map(|line| self.stamped(at, line)).collect()
    }

    fn output(&mut self, output: &OutputStatus) -> Option<String> {
        let known = self.outputs.iter_mut().find(|(name, _)| *name == output.name);
        match known {
            Some((_, state)) if *state == output.state => return None,
            Some((_, state)) => *state = output.state,
            None => self.outputs.push((output.name.clone(), output.state)),
        }
        let why = match (&output.last_error, output.state) {
            (Some(error), OutputState::Backoff | OutputState::Stopped) => format!(": {}", clean(error)),
            _ => String::new(),
        };
        Some(format!("output {}: {}{why}", clean(&output.name), output_state(output)))
    }

    /// The line for an event; none where the status says the same.
    pub(super) fn event(&self, event: &Event) -> Option<String> {
        if event.level == Level::Info && event.subject.starts_with("output ") {
            return None;
        }
        let level = match event.level {
            Level::Info => "",
            Level::Warning => "warning: ",
            Level::Error => "ERROR: ",
        };
        let remedy = event.remedy.as_ref().map(|remedy| format!(" -> {}", clean(remedy))).unwrap_or_default();
        let line = format!("{level}{}: {}{remedy}", clean(&event.subject), clean(&event.message));
        Some(self.stamped(event.at, &line))
    }

    /// The lines for what the supervisor did.
    pub(super) fn notice(&self, notice: &Notice, at: Timestamp) -> Vec<String> {
        notice_lines(notice).iter().map(|line| self.stamped(at, line)).collect()
    }

    fn stamped(&self, at: Timestamp, line: &str) -> String {
        format!("{} {line}", time_of_day(at, &self.zone))
    }
}

/// `20:01:02` in `zone`.
pub(super) fn time_of_day(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%H:%M:%S").to_string()
}

/// What the supervisor did, in lines; nothing of a start that went well, for the show speaks for itself then.
pub(super) fn notice_lines(notice: &Notice) -> Vec<String> {
    match notice {
        Notice::Started { .. } => Vec::new(),
        Notice::TimeUp => vec!["The bridge did not finish in time and is stopped.".to_owned()],
        Notice::Died { how, last_lines, again_in } => {
            let next = match again_in {
                Some(pause) if pause.is_zero() => "it is started again".to_owned(),
                Some(pause) => format!("it is started again in {:.1} s", pause.as_secs_f32()),
                None => "it is not started again".to_owned(),
            };
            let mut lines = vec![format!("ERROR: The bridge process ended ({how}); {next}. Its last lines:")];
            lines.extend(last_lines.iter().map(|line| format!("  | {}", clean(line))));
            lines
        }
    }
}

/// What a sentence is about: its first letters.
fn beginning(text: &str) -> String {
    text.chars().filter(|c| c.is_alphabetic()).take(24).collect()
}

fn sum_up(status: &ShowStatus) -> String {
    let outputs: Vec<String> = status
        .outputs
        .iter()
        .map(|output| {
            let rate =
                if output.state == OutputState::Live { format!(" {} kbit/s", output.kbps) } else { String::new() };
            format!("{} {}{rate}", clean(&output.name), output_state(output))
        })
        .collect();
    let mut parts = vec![
        format!("{} {}", show_state(status.state).to_lowercase(), clock(whole(status.program.seconds))),
        format!("sound {:.1} LUFS", status.program.short_term_lufs),
    ];
    parts.extend((!outputs.is_empty()).then(|| outputs.join(", ")));
    let recording = &status.recording;
    if recording.folder.is_some() {
        let gaps = count(recording.gaps.len() as u64, "gap", "gaps");
        parts.push(format!("recorded {}, {}, {gaps}", clock(whole(recording.seconds)), size(recording.bytes)));
    }
    parts.join(" | ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::view::tests::{a_status, an_event};

    fn plain() -> Plain {
        Plain::new(TimeZone::UTC)
    }

    #[test]
    fn a_line_is_said_once_and_a_sum_every_ten_seconds() {
        let (mut plain, mut status, start) = (plain(), a_status(), Instant::now());
        let at = Timestamp::UNIX_EPOCH;
        assert_eq!(plain.status(&status, start, at).len(), 3);
        assert_eq!(plain.status(&status, start + Duration::from_secs(9), at), [""; 0]);
        assert_eq!(plain.status(&status, start + Duration::from_secs(10), at).len(), 1);
        status.outputs[1].state = OutputState::Live;
        let said = plain.status(&status, start + Duration::from_secs(11), at);
        assert_eq!(said, ["00:00:00 output rumble: live"]);
    }

    #[test]
    fn a_repair_that_counts_seconds_says_a_line_for_each_thing_it_does() {
        let (mut plain, mut status, start) = (plain(), a_status(), Instant::now());
        plain.status(&status, start, Timestamp::UNIX_EPOCH);
        status.state = ShowState::Ending;
        let mut said = Vec::new();
        for words in [
            "Looking in the replay for 57 s that are missing.",
            "Looking in the replay for 57 s that are missing; next look in 9 s.",
            "Looking in the replay for 57 s that are missing; next look in 8 s.",
            "Fetching what is missing from the replay: 1 of 20 segments.",
            "Fetching what is missing from the replay: 7 of 20 segments.",
        ] {
            status.words = words.to_owned();
            said.extend(plain.status(&status, start, Timestamp::UNIX_EPOCH));
        }
        assert_eq!(said.len(), 2, "{said:?}");
    }

    #[test]
    fn an_event_is_one_line_with_its_remedy_whatever_is_in_it() {
        let event = Event { message: "It broke\n\x1b[2J.".into(), ..an_event() };
        assert_eq!(
            plain().event(&event).unwrap(),
            "20:01:02 warning: output rumble: It broke  [2J. -> Check the stream key."
        );
    }
}
