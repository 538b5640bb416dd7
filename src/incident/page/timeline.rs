//! The drawn part of the page: a lane for the show, each output and the recording, and marks that lead to what was told.

use jiff::Timestamp;
use maud::{Markup, html};

use super::{class_of, level_name};
use crate::alert::Level;
use crate::incident::story::{Lane, Span, Story};
use crate::incident::words::{clock, many, states, time_of_day, zone};

/// Units of a lane's width.
const WIDTH: f64 = 1000.0;

/// Narrowest thing that is drawn, in units: a break of a second in a night of hours is still seen.
const NARROWEST: f64 = 1.5;

/// Marks nearer than this, in units, are one.
const NEAR: f64 = 9.0;

/// Distances between the ticks of the axis, in seconds.
const TICKS: [f64; 13] = [1.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0, 3600.0, 7200.0, 14400.0];

/// Places in time to places on the page.
struct Scale<'a> {
    story: &'a Story,
}

impl Scale<'_> {
    fn x(&self, at: Timestamp) -> f64 {
        let total = self.story.seconds();
        let seconds = at.duration_since(self.story.from).as_secs_f64();
        if total <= 0.0 { 0.0 } else { (seconds / total * WIDTH).clamp(0.0, WIDTH) }
    }

    /// Start and width, in view and never too narrow to be seen.
    fn stretch(&self, span: &Span) -> (f64, f64) {
        let (from, to) = (self.x(span.from), self.x(span.to));
        let width = (to - from).max(NARROWEST);
        (from.min(WIDTH - width), width)
    }
}

/// The figure with its legend.
pub(super) fn timeline(story: &Story) -> Markup {
    let scale = Scale { story };
    html! {
        section aria-labelledby="timeline" {
            h2 id="timeline" { "Timeline" }
            div.chart {
                @for lane in &story.lanes { (lane_row(&scale, lane)) }
                (recording_row(&scale, story))
                (marks_row(&scale, story))
                (axis(&scale, story))
            }
            ul.legend aria-label="Legend" {
                @for (class, name) in [
                    ("live", "live"), ("waiting", "waiting, connecting"), ("gap", "gap, backoff"), ("down", "process down"),
                    ("ending", "ending"), ("other", "stopped, suspended"),
                ] { li { svg.key aria-hidden="true" viewBox="0 0 20 20" preserveAspectRatio="none" { (bar(class, 0.0, 20.0, 20.0)) } (name) } }
            }
        }
    }
}

/// A state's rectangle: colour, and height too, so that it is told without colours.
fn bar(class: &str, x: f64, width: f64, height: f64) -> Markup {
    let part = match class {
        "live" => 1.0,
        "waiting" | "ending" => 0.55,
        "gap" => 0.3,
        "down" => 0.7,
        _ => 0.15,
    };
    let tall = height * part;
    // What is down hangs from above: no other state does.
    let top = if class == "down" { 0.0 } else { height - tall };
    html! { rect class=(class) x=(number(x)) y=(number(top)) width=(number(width)) height=(number(tall)) {} }
}

fn lane_row(scale: &Scale<'_>, lane: &Lane) -> Markup {
    let zone = zone(scale.story);
    html! {
        div.name { (lane.name) }
        svg.lane role="img" aria-label=(format!("{}: {}", lane.name, states(lane)))
            viewBox="0 0 1000 28" preserveAspectRatio="none" {
            @for span in &lane.spans {
                @let (x, width) = scale.stretch(span);
                g {
                    title { (span_words(span, &time_of_day(span.from, &zone))) }
                    (bar(class_of(&span.state), x, width, 28.0))
                }
            }
        }
    }
}

fn span_words(span: &Span, from: &str) -> String {
    let why = span.why.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
    format!("{from} {} for {}{why}", span.state, clock(span.seconds()))
}

/// Gaps where they became known, and stretches in which nothing was kept.
fn recording_row(scale: &Scale<'_>, story: &Story) -> Markup {
    let zone = zone(story);
    let label = format!(
        "recording: {}, stopped {}",
        many(story.gaps.len() as u64, "gap"),
        many(story.recording_stops.len() as u64, "time")
    );
    html! {
        div.name { "recording" }
        svg.lane role="img" aria-label=(label) viewBox="0 0 1000 28" preserveAspectRatio="none" {
            rect.kept x="0" y="22" width="1000" height="6" {}
            @for (at, gap) in &story.gaps {
                // The gap ended when it became known, or a little before.
                @let seconds = (gap.end_seconds - gap.start_seconds).max(0.0);
                @let known = scale.x(*at);
                @let width = (seconds / story.seconds().max(0.001) * WIDTH).clamp(NARROWEST, known.max(NARROWEST));
                g {
                    title { (time_of_day(*at, &zone)) " a gap of " (format!("{seconds:.1}")) " s: " (gap.cause) }
                    rect.lost x=(number(known - width)) y="4" width=(number(width)) height="24" {}
                }
            }
            @for stop in &story.recording_stops {
                @let (x, width) = scale.stretch(stop);
                g {
                    title { (span_words(stop, &time_of_day(stop.from, &zone))) }
                    rect.lost x=(number(x)) y="4" width=(number(width)) height="24" {}
                }
            }
        }
    }
}

/// Warnings and errors that lie near each other.
struct Cluster {
    x: f64,
    level: Level,
    count: usize,
    /// Index of the first one in the table of what was told.
    first: usize,
    words: String,
}

fn clusters(scale: &Scale<'_>, story: &Story) -> Vec<Cluster> {
    let mut clusters: Vec<Cluster> = Vec::new();
    for (index, mark) in story.marks.iter().enumerate().filter(|(_, mark)| mark.event.level > Level::Info) {
        let x = scale.x(mark.at);
        match clusters.last_mut() {
            Some(last) if x - last.x < NEAR => {
                last.count += 1;
                if mark.event.level > last.level {
                    last.level = mark.event.level;
                    last.words.clone_from(&mark.event.message);
                }
            }
            _ => clusters.push(Cluster {
                x,
                level: mark.event.level,
                count: 1,
                first: index,
                words: mark.event.message.clone(),
            }),
        }
    }
    clusters
}

fn marks_row(scale: &Scale<'_>, story: &Story) -> Markup {
    let zone = zone(story);
    html! {
        div.name { "told" }
        div.marks {
            @for cluster in clusters(scale, story) {
                @let at = time_of_day(story.marks[cluster.first].at, &zone);
                @let more = if cluster.count > 1 { format!(" and {} more", cluster.count - 1) } else { String::new() };
                @let words = format!("{at} {}: {}{more}", level_name(cluster.level), cluster.words);
                a class=(level_name(cluster.level)) href=(format!("#e{}", cluster.first))
                    style=(format!("left:{}%", number(cluster.x / 10.0))) title=(words) aria-label=(words) {}
            }
        }
    }
}

fn axis(scale: &Scale<'_>, story: &Story) -> Markup {
    let zone = zone(story);
    let total = story.seconds();
    let step = TICKS.into_iter().find(|step| total / step <= 8.0).unwrap_or(28_800.0);
    let first = story.from.as_second();
    // Ticks lie on round times of day.
    let offset = zone.to_offset(story.from).seconds();
    let start = ((first + i64::from(offset)) as f64 / step).ceil() * step - f64::from(offset);
    let ticks = (0..12).map(|index| start + f64::from(index) * step);
    let ticks = ticks.filter_map(|second| Timestamp::from_second(second as i64).ok()).filter(|at| *at <= story.to);
    let format = if step < 60.0 { "%H:%M:%S" } else { "%H:%M" };
    html! {
        div.name {}
        div.axis aria-hidden="true" {
            @for at in ticks {
                span style=(format!("left:{}%", number(scale.x(at) / 10.0))) {
                    (at.to_zoned(zone.clone()).strftime(format).to_string())
                }
            }
        }
    }
}

/// A coordinate with as many digits as can be seen.
fn number(value: f64) -> String {
    format!("{:.2}", if value.is_finite() { value } else { 0.0 })
}
