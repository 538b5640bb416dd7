//! The told part of the page: everything that is drawn, and more, in tables.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use maud::{Markup, html};

use super::level_name;
use crate::alert::Level;
use crate::incident::story::Story;
use crate::incident::words::{amount, clock, time_of_day, zone};

/// Rows of the long tables: a page that a browser opens at once.
const MOST_ROWS: usize = 3000;

/// A section with a table, or nothing where there is no row. A wide one scrolls within itself, by keyboard too.
fn section(id: &str, title: &str, caption: &str, columns: &[&str], rows: &[Markup]) -> Markup {
    html! {
        @if !rows.is_empty() {
            section aria-labelledby=(id) {
                h2 id=(id) { (title) }
                div.wide role="region" tabindex="0" aria-labelledby=(id) {
                    table {
                        caption { (caption) }
                        thead { tr { @for column in columns { th scope="col" { (column) } } } }
                        tbody { @for row in rows.iter().take(MOST_ROWS) { (row) } }
                    }
                }
                @if rows.len() > MOST_ROWS { p { (rows.len() - MOST_ROWS) " more are in the incident file." } }
            }
        }
    }
}

fn time(at: Timestamp, zone: &TimeZone) -> Markup {
    html! { time datetime=(at.to_string()) { (time_of_day(at, zone)) } }
}

fn badge(level: Level) -> Markup {
    html! { span class=(format!("badge {}", level_name(level))) { (level_name(level)) } }
}

/// Warnings and errors, equal ones together, the worst first.
pub(super) fn troubles(story: &Story) -> Markup {
    let zone = zone(story);
    let mut troubles: Vec<_> = story.troubles.iter().collect();
    troubles.sort_by_key(|trouble| (std::cmp::Reverse(trouble.level), trouble.first));
    let rows: Vec<Markup> = troubles
        .into_iter()
        .map(|trouble| {
            html! {
                tr {
                    td { (badge(trouble.level)) }
                    td { (trouble.subject) }
                    td { (trouble.message) @if let Some(remedy) = &trouble.remedy { p.remedy { "What to do: " (remedy) } } }
                    td.number { (trouble.count) }
                    td { (time(trouble.first, &zone)) }
                    td { (time(trouble.last, &zone)) }
                    td { code { (trouble.code) } }
                }
            }
        })
        .collect();
    let columns = ["Level", "What about", "What happened first", "Times", "First", "Last", "Code"];
    section("troubles", "Troubles", "Warnings and errors, equal ones together", &columns, &rows)
}

/// The figures of each output.
pub(super) fn outputs(story: &Story) -> Markup {
    let rows: Vec<Markup> = story
        .total
        .outputs
        .iter()
        .map(|output| {
            html! {
                tr {
                    th scope="row" { (output.output) }
                    td.number { (clock(output.live_seconds)) }
                    td.number { (output.connections) }
                    td.number { (output.failures) }
                    td.number { (amount(output.bytes_out)) }
                    td.number { (output.dropped_frames) }
                }
            }
        })
        .collect();
    let columns = ["Output", "Live", "Connections", "Failures", "Sent", "Frames dropped"];
    section("outputs", "Outputs", "How each output did", &columns, &rows)
}

/// The lanes of the timeline as rows.
pub(super) fn states(story: &Story) -> Markup {
    let zone = zone(story);
    let spans = story.lanes.iter().flat_map(|lane| lane.spans.iter().map(|span| (lane.name.as_str(), span)));
    let stops = story.recording_stops.iter().map(|span| ("recording", span));
    let mut all: Vec<_> = spans.chain(stops).collect();
    all.sort_by_key(|(_, span)| span.from);
    let rows: Vec<Markup> = all
        .into_iter()
        .map(|(lane, span)| {
            html! {
                tr {
                    td { (time(span.from, &zone)) }
                    td { (lane) }
                    td.word { (span.state) }
                    td.number { (clock(span.seconds())) }
                    td { (span.why.as_deref().unwrap_or_default()) }
                }
            }
        })
        .collect();
    let columns = ["From", "What", "State", "For", "Why"];
    section("states", "States", "The timeline's lanes, row by row", &columns, &rows)
}

/// The recording's gaps.
pub(super) fn gaps(story: &Story) -> Markup {
    let zone = zone(story);
    let rows: Vec<Markup> = story
        .gaps
        .iter()
        .map(|(at, gap)| {
            html! {
                tr {
                    td { (time(*at, &zone)) }
                    td { code { (gap.session) } }
                    td.number { (clock(gap.start_seconds)) }
                    td.number { (format!("{:.1} s", gap.end_seconds - gap.start_seconds)) }
                    td { (gap.cause) }
                }
            }
        })
        .collect();
    let columns = ["Known at", "Session", "At its", "Length", "Cause"];
    section("gaps", "Gaps of the recording", "What the source did not give", &columns, &rows)
}

/// Everything that was told, in order.
pub(super) fn events(story: &Story) -> Markup {
    let zone = zone(story);
    let rows: Vec<Markup> = story
        .marks
        .iter()
        .enumerate()
        .map(|(index, mark)| {
            let event = &mark.event;
            html! {
                tr id=(format!("e{index}")) {
                    td { (time(mark.at, &zone)) }
                    td { (badge(event.level)) }
                    td { (event.subject) }
                    td {
                        (event.message)
                        @if let Some(doing) = &event.doing { p.doing { "The bridge: " (doing) } }
                        @if let Some(remedy) = &event.remedy { p.remedy { "What to do: " (remedy) } }
                    }
                    td { @if let Some(since) = event.since { "since " (time(since, &zone)) } }
                    td.number { @if event.count > 1 { (event.count) " times" } }
                }
            }
        })
        .collect();
    let columns = ["At", "Level", "What about", "What happened", "Since", "Stands for"];
    section("events", "Everything that was told", "Events in order", &columns, &rows)
}
