//! A story in lines for a terminal. Makes lines and writes none.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::story::{DOWN, Lane, Mark, Story, Total, Trouble};
use crate::alert::Level;

/// Columns of a lane's bar.
const BAR: usize = 60;

/// Things that happened that are listed; the page has all of them.
const MOST_LINES: usize = 80;

/// The story in words: where, when and how long, the lanes, what happened in order, and the figures.
pub fn summary(story: &Story) -> Vec<String> {
    let zone = zone(story);
    let mut lines = vec![headline(story, &zone)];
    for session in &story.sessions {
        let title = session.title.as_deref().unwrap_or("untitled");
        let host = session.host.as_deref().map(|host| format!(" by {host}")).unwrap_or_default();
        lines.push(format!("space {}: {title}{host}", session.id));
    }
    lines.push(String::new());
    lines.extend(lanes(story));
    lines.push(String::new());
    lines.extend(happenings(story, &zone));
    lines.push(String::new());
    lines.extend(figures(&story.total));
    if story.missing_lines > 0 {
        lines.push(format!("{} of the file are torn, unknown, or were left out.", many(story.missing_lines, "line")));
    }
    lines
}

/// Time zone of the show.
pub(super) fn zone(story: &Story) -> TimeZone {
    TimeZone::get(&story.begin.timezone).unwrap_or(TimeZone::UTC)
}

/// `20:01:02` in `zone`.
pub(super) fn time_of_day(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%H:%M:%S").to_string()
}

/// `0:07`, `12:40`, `1:02:03`.
pub(super) fn clock(seconds: f64) -> String {
    let seconds = if seconds.is_finite() { seconds.max(0.0).round() as u64 } else { 0 };
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

/// `1 line`, `2 lines`, `no lines`.
pub(super) fn many(number: u64, what: &str) -> String {
    match number {
        0 => format!("no {what}s"),
        1 => format!("1 {what}"),
        _ => format!("{number} {what}s"),
    }
}

/// How the show ended, in a sentence.
pub(super) fn ending(story: &Story) -> String {
    let end = match (story.is_over, story.show_lane().and_then(|lane| lane.spans.last())) {
        (true, Some(last)) if last.state == "suspended" => "Suspended, can be resumed.",
        (true, _) => "Ended in order.",
        (false, _) => "Not ended: it runs, or its process died.",
    };
    match story.resumed.len() as u64 {
        0 => end.to_owned(),
        times => format!("{end} Resumed {}.", many(times, "time")),
    }
}

fn headline(story: &Story, zone: &TimeZone) -> String {
    let day = story.from.to_zoned(zone.clone()).strftime("%A, %-d %B %Y").to_string();
    let (from, to) = (time_of_day(story.from, zone), time_of_day(story.to, zone));
    let length = clock(story.seconds());
    let place = if story.begin.timezone.is_empty() { "UTC" } else { &story.begin.timezone };
    format!("{}: {day}, {from} to {to} {place} ({length}). {}", story.begin.show, ending(story))
}

fn lanes(story: &Story) -> Vec<String> {
    let width = story.lanes.iter().map(|lane| lane.name.chars().count()).max().unwrap_or(0).min(24);
    let mut lines = Vec::new();
    for lane in &story.lanes {
        let name: String = lane.name.chars().take(24).collect();
        lines.push(format!("{name:<width$}  {}  {}", bar(story, lane), states(lane)));
    }
    if !story.lanes.is_empty() {
        lines.push(format!("{:width$}  █ live  ▒ waiting, connecting  ░ gap, backoff  × process down  · other", ""));
    }
    lines
}

/// `live 1:20:00, gap 0:20`.
pub(super) fn states(lane: &Lane) -> String {
    let states: Vec<String> =
        lane.seconds_by_state().iter().map(|(state, seconds)| format!("{state} {}", clock(*seconds))).collect();
    states.join(", ")
}

/// One character for each sixtieth of the night: the worst state in it, since a short break is what one looks for.
fn bar(story: &Story, lane: &Lane) -> String {
    let total = story.seconds().max(0.001);
    let mut cells = [(0_u8, ' '); BAR];
    for span in &lane.spans {
        let place = |at: Timestamp| (at.duration_since(story.from).as_secs_f64() / total * BAR as f64).max(0.0);
        let (first, end) = (place(span.from), place(span.to));
        let first = (first as usize).min(BAR - 1);
        let last = (end.ceil() as usize).clamp(first + 1, BAR);
        let sign = sign(&span.state);
        for cell in &mut cells[first..last] {
            *cell = (*cell).max(sign);
        }
    }
    cells.iter().map(|(_, sign)| sign).collect()
}

/// How bad a state is, and its sign.
fn sign(state: &str) -> (u8, char) {
    match state {
        "live" => (2, '█'),
        "waiting" | "starting" | "connecting" => (3, '▒'),
        "gap" | "backoff" => (4, '░'),
        DOWN => (5, '×'),
        _ => (1, '·'),
    }
}

/// What happened, in order: the show's states, outputs that broke, troubles, and news.
fn happenings(story: &Story, zone: &TimeZone) -> Vec<String> {
    let mut all: Vec<(Timestamp, String)> = Vec::new();
    for lane in &story.lanes {
        // Where the process is down, all of them are: the show's own line says it.
        for span in lane.spans.iter().filter(|span| span.state != DOWN || lane.name == "show") {
            let why = span.why.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
            let text = format!("{} {} for {}{why}", lane.name, span.state, clock(span.seconds()));
            all.push((span.from, text));
        }
    }
    all.extend(story.recording_stops.iter().map(|stop| {
        let why = stop.why.as_deref().unwrap_or_default();
        (stop.from, format!("recording stopped for {}: {why}", clock(stop.seconds())))
    }));
    all.extend(story.gaps.iter().map(|(at, gap)| {
        let seconds = gap.end_seconds - gap.start_seconds;
        (*at, format!("recording: a gap of {seconds:.1} s is known: {}", gap.cause))
    }));
    all.extend(story.troubles.iter().map(|trouble| (trouble.first, trouble_line(trouble, zone))));
    all.extend(story.marks.iter().filter(|mark| mark.event.level == Level::Info).map(news));
    all.sort_by_key(|(at, _)| *at);
    let left_out = all.len().saturating_sub(MOST_LINES);
    let mut lines: Vec<String> =
        all.iter().take(MOST_LINES).map(|(at, text)| format!("{}  {text}", time_of_day(*at, zone))).collect();
    if left_out > 0 {
        lines.push(format!("… and {} more: `--html FILE` has them all.", left_out));
    }
    lines
}

fn news(mark: &Mark) -> (Timestamp, String) {
    (mark.at, format!("{}: {}", mark.event.subject, mark.event.message))
}

fn trouble_line(trouble: &Trouble, zone: &TimeZone) -> String {
    let Trouble { level, subject, message, count, last, remedy, .. } = trouble;
    let level = if *level == Level::Error { "ERROR" } else { "warning" };
    let times = if *count > 1 { format!(" ({count} times until {})", time_of_day(*last, zone)) } else { String::new() };
    let remedy = remedy.as_ref().map(|remedy| format!(" -> {remedy}")).unwrap_or_default();
    format!("{level} {subject}: {message}{times}{remedy}")
}

fn figures(total: &Total) -> Vec<String> {
    let mut lines: Vec<String> = total
        .outputs
        .iter()
        .map(|output| {
            let (connections, failures) = (many(output.connections, "connection"), many(output.failures, "failure"));
            let dropped = match output.dropped_frames {
                0 => String::new(),
                frames => format!(", {} dropped", many(frames, "frame")),
            };
            let (live, sent) = (clock(output.live_seconds), amount(output.bytes_out));
            format!("output {}: live {live}, {connections}, {failures}, {sent} sent{dropped}", output.output)
        })
        .collect();
    let gaps = many(total.gaps, "gap");
    let (kept, size) = (clock(total.recorded_seconds), amount(total.recorded_bytes));
    lines.push(format!("recording: {kept}, {size}, {gaps}"));
    if total.late_ms + total.skipped_ms > 0 {
        let seconds = |ms: u64| ms as f64 / 1000.0;
        let (late, skipped) = (seconds(total.late_ms), seconds(total.skipped_ms));
        lines.push(format!("on the air: {late:.1} s came too late, {skipped:.1} s were skipped; both are recorded"));
    }
    lines
}

/// `34.2 MB`, `2.1 GB`.
pub(super) fn amount(bytes: u64) -> String {
    let (unit, name) = if bytes < 1_000_000_000 { (1e6, "MB") } else { (1e9, "GB") };
    format!("{:.1} {name}", bytes as f64 / unit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::incident::story::tests::a_night;

    #[test]
    fn the_morning_after_reads_what_happened_when_and_how_often() {
        let lines = summary(&a_night());
        let text = lines.join("\n");
        for expected in [
            "night: Wednesday, 12 August 2026, 20:00:00 to 21:00:00 UTC (1:00:00). Ended in order. Resumed 1 time.",
            "space 1Ypk: The title by host",
            "show            ▒▒▒▒▒",
            "20:40:00  show live for 10:00: On the air.",
            "output rumble backoff for 5:00: The server hung up.",
            "warning source: Answer 503. (120 times until 20:30:00) -> Wait.",
            "recording: a gap of 2.5 s is known: answered 404",
            "show down for 0:11",
            "output youtube: live 54:00, 2 connections, no failures, 3.0 MB sent",
        ] {
            assert!(text.contains(expected), "{expected:?} is not in\n{text}");
        }
    }

    #[test]
    fn a_short_break_is_seen_in_the_bar_of_a_long_night() {
        let story = a_night();
        let bar = bar(&story, &story.lanes[0]);
        assert_eq!(bar.chars().count(), BAR);
        assert!(bar.contains('×') && bar.contains('█') && bar.starts_with('▒'), "{bar}");
    }
}
