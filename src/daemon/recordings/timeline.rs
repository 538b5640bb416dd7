//! A show's recording on one axis of time: what is missing, what was had afterwards, what was named, which output was away.
//!
//! Seconds count from the recording's first moment. What the journal tells in media time is placed by the playlist's own
//! clock where it has one, else by when it was found.

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::incident::Story;
use crate::media::SAMPLE_RATE;
use crate::recording::{Archive, Origin, SessionArchive};
use crate::text::plain;

/// Entries of one kind at most: more cannot be seen.
const MOST: usize = 2000;

/// Longest cause that is told, in characters.
const CAUSE_MAX: usize = 200;

/// Pieces closer to each other than this are one, in seconds.
const JOINED: f64 = 0.05;

/// An interval.
#[derive(Debug, Clone, Default, PartialEq, Serialize, ToSchema)]
pub struct Interval {
    /// Start, in seconds.
    pub start_seconds: f64,
    /// End, in seconds; none while it lasts.
    pub end_seconds: Option<f64>,
    /// Why; hostile text.
    pub cause: String,
}

/// An output that was away.
#[derive(Debug, Clone, Default, PartialEq, Serialize, ToSchema)]
pub struct Outage {
    /// The output's name.
    pub output: String,
    /// When and why.
    #[serde(flatten)]
    pub interval: Interval,
}

/// A place that was named.
#[derive(Debug, Clone, Default, PartialEq, Serialize, ToSchema)]
pub struct NamedPlace {
    /// The place, in seconds.
    pub seconds: f64,
    /// The operator's words.
    pub title: String,
}

/// A session on the axis.
#[derive(Debug, Clone, Default, PartialEq, Serialize, ToSchema)]
pub struct SessionSpan {
    /// The session's id.
    pub session: String,
    /// Title; hostile text.
    pub title: Option<String>,
    /// Start, in seconds.
    pub start_seconds: f64,
    /// End of what is kept, in seconds.
    pub end_seconds: f64,
}

/// See the module.
#[derive(Debug, Clone, Default, PartialEq, Serialize, ToSchema)]
pub struct Timeline {
    /// The first moment.
    pub start: Option<Timestamp>,
    /// Length of the axis, in seconds.
    pub seconds: f64,
    /// Sessions, in order.
    pub sessions: Vec<SessionSpan>,
    /// What is missing.
    pub gaps: Vec<Interval>,
    /// What was not heard live and was had afterwards.
    pub repairs: Vec<Interval>,
    /// What was named.
    pub marks: Vec<NamedPlace>,
    /// Outputs that had been live and were away.
    pub outages: Vec<Outage>,
    /// Every output that there was.
    pub outputs: Vec<String>,
}

/// Puts a recording and the story of its show on one axis. `now` is given while it is written.
pub fn draw(archive: &Archive, story: &Story, now: Option<Timestamp>) -> Timeline {
    // What is kept may lie before the recording's own beginning: a window that was listed, or a replay.
    let begins = archive.sessions.iter().filter_map(|session| moment(session, first_of(session)));
    let start = begins.chain([archive.started_at.unwrap_or(story.from)]).min().unwrap_or(story.from);
    let at = |time: Timestamp| time.duration_since(start).as_secs_f64();
    let mut timeline = Timeline { start: Some(start), ..Timeline::default() };
    for session in &archive.sessions {
        let zero = at(moment(session, 0).unwrap_or(start));
        timeline.take(session, zero);
    }
    timeline.outages = outages(story, &at);
    let lanes = story.lanes.iter().skip(1).map(|lane| lane.name.clone());
    timeline.outputs = lanes.collect();
    let last = now.or(archive.ended_at).map_or(0.0, at);
    let heard = timeline.sessions.iter().fold(0.0_f64, |end, session| end.max(session.end_seconds));
    timeline.seconds = last.max(heard).max(at(story.to)).max(0.0);
    timeline
}

/// Media time of the first thing that is kept.
fn first_of(session: &SessionArchive) -> i64 {
    session.segments.iter().map(|segment| segment.media_time).min().unwrap_or(0)
}

/// When a media time of the session was.
fn moment(session: &SessionArchive, media: i64) -> Option<Timestamp> {
    let dated = session.segments.iter().find_map(|segment| Some((segment.program_date_time?, segment.media_time)));
    let (time, known) = match dated {
        Some(dated) => dated,
        None => (session.found_at.or(session.info.started_at)?, 0),
    };
    let seconds = media.saturating_sub(known) as f64 / f64::from(SAMPLE_RATE);
    time.checked_add(jiff::SignedDuration::try_from_secs_f64(seconds).ok()?).ok()
}

impl Timeline {
    fn take(&mut self, session: &SessionArchive, zero: f64) {
        let seconds = |media: i64| zero + media as f64 / f64::from(SAMPLE_RATE);
        let captured: f64 = session.captures.iter().filter_map(|capture| capture.seconds).sum();
        self.sessions.push(SessionSpan {
            session: session.info.session.clone(),
            title: session.info.title.as_deref().map(|title| plain(title, CAUSE_MAX)),
            start_seconds: seconds(first_of(session)),
            end_seconds: session.end().map_or(zero + captured, seconds),
        });
        let gaps = session.gap_list().into_iter().map(|gap| Interval {
            start_seconds: zero + gap.start_seconds,
            end_seconds: Some(zero + gap.end_seconds),
            cause: plain(&gap.cause, CAUSE_MAX),
        });
        self.gaps.extend(gaps.take(MOST.saturating_sub(self.gaps.len())));
        let mut had: Vec<_> = session.segments.iter().filter(|segment| !segment.origin.is_live()).collect();
        had.sort_by_key(|segment| segment.media_time);
        for segment in had {
            let is_full = self.repairs.len() >= MOST;
            let cause = if segment.origin == Origin::Replay { "from the replay" } else { "from the list so far" };
            let (from, to) = (seconds(segment.media_time), seconds(segment.end()));
            match self.repairs.last_mut() {
                Some(last) if last.cause == cause && last.end_seconds.is_some_and(|end| from - end < JOINED) => {
                    last.end_seconds = Some(to);
                }
                _ if !is_full => {
                    self.repairs.push(Interval { start_seconds: from, end_seconds: Some(to), cause: cause.to_owned() });
                }
                _ => {}
            }
        }
        let marks = session.marks.iter();
        self.marks.extend(
            marks
                .take(MOST)
                .map(|mark| NamedPlace { seconds: seconds(mark.media_time), title: plain(&mark.title, CAUSE_MAX) }),
        );
    }
}

/// Where an output that had been live was not, until it was stopped or the show was over.
fn outages(story: &Story, at: &impl Fn(Timestamp) -> f64) -> Vec<Outage> {
    let mut found = Vec::new();
    for lane in story.lanes.iter().skip(1) {
        let lived = lane.spans.iter().skip_while(|span| span.state != "live");
        for span in lived.filter(|span| !["live", "stopped", "ended"].contains(&span.state.as_str())) {
            let cause = plain(span.why.as_deref().unwrap_or(&span.state), CAUSE_MAX);
            let (start_seconds, end, is_full) = (at(span.from), at(span.to), found.len() >= MOST);
            let last = found.last_mut().filter(|last: &&mut Outage| last.output == lane.name);
            match last {
                Some(last) if last.interval.end_seconds.is_some_and(|before| start_seconds - before < JOINED) => {
                    last.interval.end_seconds = Some(end);
                }
                _ if !is_full => found.push(Outage {
                    output: lane.name.clone(),
                    interval: Interval { start_seconds, end_seconds: Some(end), cause },
                }),
                _ => {}
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::incident::{Lane, Span};

    #[test]
    fn an_output_is_away_only_after_it_was_live_and_until_it_is_stopped() {
        let at = |second: i64| Timestamp::from_second(1_780_000_000 + second).expect("a time");
        let span = |from, to, state: &str, why: Option<&str>| Span {
            from: at(from),
            to: at(to),
            state: state.to_owned(),
            why: why.map(str::to_owned),
        };
        let spans = vec![
            span(0, 2, "connecting", None),
            span(2, 60, "live", None),
            span(60, 65, "backoff", Some("the server hung up")),
            span(65, 66, "connecting", None),
            span(66, 90, "live", None),
            span(90, 99, "stopped", None),
        ];
        let lanes = vec![Lane::default(), Lane { name: "youtube".to_owned(), spans }];
        let story = Story { lanes, from: at(0), to: at(99), ..Story::default() };
        let archive = Archive { started_at: Some(at(-10)), ended_at: Some(at(100)), ..Archive::default() };
        let drawn = draw(&archive, &story, None);
        let interval =
            Interval { start_seconds: 70.0, end_seconds: Some(76.0), cause: "the server hung up".to_owned() };
        assert_eq!(drawn.outages, [Outage { output: "youtube".to_owned(), interval }]);
        assert_eq!((drawn.seconds, drawn.outputs), (110.0, vec!["youtube".to_owned()]));
    }
}
