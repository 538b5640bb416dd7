//! What happened, put together from an incident file's lines: a lane of states for the show and for each output, the
//! recording's gaps, marks, and troubles with their numbers.
//!
//! Places in time come from each process' clock that never steps, behind the wall time at which it began.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::fact::{Begin, EventFact, Fact, Figures, GapFact, Line, OutputFigures, SessionFact};
use super::reader::Read;
use crate::alert::Level;

/// State of every lane while no process carries the show, after a crash.
pub(super) const DOWN: &str = "down";

/// State of every lane while the show is suspended.
pub(super) const SUSPENDED: &str = "suspended";

/// A show from its first line to its last.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Story {
    /// What the last process said of itself.
    pub begin: Begin,
    /// First moment.
    pub from: Timestamp,
    /// Last moment.
    pub to: Timestamp,
    /// Whether the show ended in order; not while it runs, nor after a crash.
    pub is_over: bool,
    /// Times at which a further process went on with the show.
    pub resumed: Vec<Timestamp>,
    /// Sessions, in the order of their finding.
    pub sessions: Vec<SessionFact>,
    /// The show's own lane, then one for each output.
    pub lanes: Vec<Lane>,
    /// Gaps with the place where each became known.
    pub gaps: Vec<(Timestamp, GapFact)>,
    /// When the recording stopped, and when it was written again.
    pub recording_stops: Vec<Span>,
    /// Everything that was told and everything that the slate said, in order.
    pub marks: Vec<Mark>,
    /// Warnings and errors by what they are about.
    pub troubles: Vec<Trouble>,
    /// Figures over all processes.
    pub total: Total,
    /// Lines that are torn, of later versions, or were left out.
    pub missing_lines: u64,
}

/// One row of the timeline.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Lane {
    /// `show`, or an output's name.
    pub name: String,
    /// States, one after the other.
    pub spans: Vec<Span>,
}

/// A state for a while.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Span {
    /// Start.
    pub from: Timestamp,
    /// End.
    pub to: Timestamp,
    /// The state.
    pub state: String,
    /// Why, or what was happening.
    pub why: Option<String>,
}

/// Something at a moment.
#[derive(Debug, Clone, Serialize)]
pub struct Mark {
    /// When.
    pub at: Timestamp,
    /// What was told.
    #[serde(flatten)]
    pub event: EventFact,
}

/// Equal troubles together.
#[derive(Debug, Clone, Serialize)]
pub struct Trouble {
    /// Level.
    pub level: Level,
    /// Code.
    pub code: String,
    /// What it is about.
    pub subject: String,
    /// How often it was reported.
    pub count: u64,
    /// First time.
    pub first: Timestamp,
    /// Last time.
    pub last: Timestamp,
    /// The first message.
    pub message: String,
    /// What the operator could do.
    pub remedy: Option<String>,
}

/// Figures over all processes of a show.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Total {
    /// Every output.
    pub outputs: Vec<OutputFigures>,
    /// The archive, and audio that was late or skipped.
    pub recorded_seconds: f64,
    /// Bytes in the archive.
    pub recorded_bytes: u64,
    /// Gaps in the archive.
    pub gaps: u64,
    /// Audio too late for the air, in ms.
    pub late_ms: u64,
    /// Audio skipped on the air, in ms.
    pub skipped_ms: u64,
}

impl Span {
    /// Length in seconds.
    pub fn seconds(&self) -> f64 {
        self.to.duration_since(self.from).as_secs_f64().max(0.0)
    }
}

impl Lane {
    /// Seconds in each state, the longest first.
    pub fn seconds_by_state(&self) -> Vec<(&str, f64)> {
        let mut sums: BTreeMap<&str, f64> = BTreeMap::new();
        for span in &self.spans {
            *sums.entry(&span.state).or_default() += span.seconds();
        }
        let mut sums: Vec<(&str, f64)> = sums.into_iter().collect();
        sums.sort_by(|a, b| b.1.total_cmp(&a.1));
        sums
    }
}

impl Story {
    /// Puts the lines together. `now` is given while the show runs: its states last until then.
    pub fn of(read: Read, now: Option<Timestamp>) -> Self {
        let missing_lines = read.damaged + read.newer;
        let mut teller = Teller { story: Self { missing_lines, ..Self::default() }, ..Teller::default() };
        for line in read.lines {
            teller.line(line);
        }
        teller.finish(now)
    }

    /// The show's own lane.
    pub fn show_lane(&self) -> Option<&Lane> {
        self.lanes.first()
    }

    /// Seconds from the first moment to the last.
    pub fn seconds(&self) -> f64 {
        self.to.duration_since(self.from).as_secs_f64().max(0.0)
    }
}

#[derive(Default)]
struct Teller {
    story: Story,
    /// Wall time at which the current process began; none before the first.
    began: Option<Timestamp>,
    now: Timestamp,
    /// The state that the process left the show in, if it did so in order.
    ended: Option<String>,
    figures: Figures,
    recording_stopped: Option<(Timestamp, String)>,
    slate: Option<String>,
}

impl Teller {
    fn line(&mut self, line: Line) {
        let Line { at, t, fact, .. } = line;
        if let Fact::Begin(begin) = fact {
            return self.begin(begin, at);
        }
        // A file whose first line is torn still has a beginning.
        let began = *self.began.get_or_insert_with(|| {
            (self.story.from, self.now) = (at, at);
            at.checked_sub(SignedDuration::try_from_secs_f64(t).unwrap_or_default()).unwrap_or(at)
        });
        let place = SignedDuration::try_from_secs_f64(t).ok().and_then(|t| began.checked_add(t).ok()).unwrap_or(at);
        self.now = self.now.max(place);
        self.fact(fact);
    }

    fn begin(&mut self, begin: Begin, at: Timestamp) {
        if self.began.is_none() {
            self.story.from = at;
            self.now = at;
        } else {
            let between = if self.ended.take().is_some() { SUSPENDED } else { DOWN };
            let names: Vec<String> = self.story.lanes.iter().map(|lane| lane.name.clone()).collect();
            names.into_iter().for_each(|name| self.enter(&name, between, None));
            // A wall clock that stepped back in between does not turn the night around.
            self.now = self.now.max(at);
            self.story.resumed.push(self.now);
            self.add_figures();
        }
        self.began = Some(self.now);
        self.story.begin = begin;
    }

    fn fact(&mut self, fact: Fact) {
        match fact {
            Fact::Event(event) => self.event(event),
            Fact::State { state, words, .. } => self.enter("show", &state, Some(words)),
            Fact::Output { output, state, reason, .. } => self.enter(&format!("output {output}"), &state, reason),
            Fact::Session(session) => self.session(session),
            Fact::Slate { text } if self.slate.as_ref() != Some(&text) => {
                self.slate = Some(text.clone());
                let event = info("slate", "slate", format!("The slate says: {text}"));
                self.story.marks.push(Mark { at: self.now, event });
            }
            Fact::Gap(gap) => self.story.gaps.push((self.now, gap)),
            Fact::Recording { error } => self.recording(error),
            Fact::Figures(figures) => self.figures = figures,
            Fact::LeftOut { lines, .. } => self.story.missing_lines += lines,
            Fact::End { state } => self.ended = Some(state),
            Fact::Begin(_) | Fact::Slate { .. } | Fact::Unknown => {}
        }
    }

    fn enter(&mut self, lane: &str, state: &str, why: Option<String>) {
        let now = self.now;
        let lanes = &mut self.story.lanes;
        let at = lanes.iter().position(|known| known.name == lane).unwrap_or_else(|| {
            // The show's own lane comes first, whatever the file begins with.
            let at = if lane == "show" { 0 } else { lanes.len() };
            lanes.insert(at, Lane { name: lane.to_owned(), spans: Vec::new() });
            at
        });
        let spans = &mut lanes[at].spans;
        if let Some(last) = spans.last_mut() {
            last.to = now;
        }
        let why = why.filter(|why| !why.is_empty());
        spans.push(Span { from: now, to: now, state: state.to_owned(), why });
    }

    fn event(&mut self, event: EventFact) {
        if event.level > Level::Info {
            self.trouble(&event);
        }
        self.story.marks.push(Mark { at: self.now, event });
    }

    fn trouble(&mut self, event: &EventFact) {
        let now = self.now;
        let same = |known: &&mut Trouble| {
            (known.level, &known.code, &known.subject) == (event.level, &event.code, &event.subject)
        };
        match self.story.troubles.iter_mut().find(same) {
            Some(known) => {
                known.count += event.count;
                known.last = now;
            }
            None => self.story.troubles.push(Trouble {
                level: event.level,
                code: event.code.clone(),
                subject: event.subject.clone(),
                count: event.count,
                first: now,
                last: now,
                message: event.message.clone(),
                remedy: event.remedy.clone(),
            }),
        }
    }

    fn session(&mut self, session: SessionFact) {
        match self.story.sessions.iter_mut().find(|known| known.id == session.id) {
            Some(known) => *known = session,
            None => self.story.sessions.push(session),
        }
    }

    fn recording(&mut self, error: Option<String>) {
        match error {
            Some(error) => {
                self.recording_stopped.get_or_insert((self.now, error));
            }
            None => self.end_stop(),
        }
    }

    fn end_stop(&mut self) {
        if let Some((from, why)) = self.recording_stopped.take() {
            let span = Span { from, to: self.now, state: "stopped".to_owned(), why: Some(why) };
            self.story.recording_stops.push(span);
        }
    }

    /// Adds what the process that is over did. What counts over all processes already is not added.
    fn add_figures(&mut self) {
        let figures = std::mem::take(&mut self.figures);
        let total = &mut self.story.total;
        total.late_ms += figures.late_ms;
        total.skipped_ms += figures.skipped_ms;
        total.recorded_seconds = total.recorded_seconds.max(figures.recorded_seconds);
        total.recorded_bytes = total.recorded_bytes.max(figures.recorded_bytes);
        total.gaps = total.gaps.max(figures.gaps);
        for output in figures.outputs {
            match total.outputs.iter_mut().find(|known| known.output == output.output) {
                Some(known) => {
                    known.connections += output.connections;
                    known.failures += output.failures;
                    known.live_seconds += output.live_seconds;
                    known.bytes_out += output.bytes_out;
                    known.dropped_frames += output.dropped_frames;
                }
                None => total.outputs.push(output),
            }
        }
    }

    fn finish(mut self, now: Option<Timestamp>) -> Story {
        self.now = now.map_or(self.now, |now| now.max(self.now));
        self.end_stop();
        self.add_figures();
        let now = self.now;
        for last in self.story.lanes.iter_mut().filter_map(|lane| lane.spans.last_mut()) {
            last.to = now;
        }
        // A state that was left within the same moment is nothing to see.
        for lane in &mut self.story.lanes {
            let last = lane.spans.len().saturating_sub(1);
            let mut index = 0;
            lane.spans.retain(|span| {
                index += 1;
                span.to > span.from || index > last
            });
        }
        Story { to: now, is_over: self.ended.is_some(), ..self.story }
    }
}

fn info(code: &str, subject: &str, message: String) -> EventFact {
    let (level, code, subject) = (Level::Info, code.to_owned(), subject.to_owned());
    EventFact { level, code, subject, message, since: None, doing: None, remedy: None, count: 1 }
}

#[cfg(test)]
#[path = "story_tests.rs"]
pub(super) mod tests;
