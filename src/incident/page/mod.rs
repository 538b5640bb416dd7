//! A story as one HTML page: no script, nothing loaded from anywhere, light and dark, for a screen and for paper.
//!
//! Every text goes through maud's escaping; the timeline is drawn once for the eye and told once more in tables.

mod tables;
mod timeline;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::story::Story;
use super::words::{amount, clock, ending, many, time_of_day, zone};
use crate::alert::Level;

/// The page's only style sheet: part of the program, no text of a stranger's.
const STYLE: &str = include_str!("style.css");

/// The page.
pub fn page(story: &Story) -> String {
    let title = format!("{}: what happened", story.begin.show);
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header { (head(story)) }
                main {
                    (cards(story))
                    (timeline::timeline(story))
                    (tables::troubles(story))
                    (tables::outputs(story))
                    (tables::states(story))
                    (tables::gaps(story))
                    (tables::events(story))
                }
                footer { p { (foot(story)) } }
            }
        }
    }
    .into_string()
}

fn head(story: &Story) -> Markup {
    let zone = zone(story);
    let day = story.from.to_zoned(zone.clone()).strftime("%A, %-d %B %Y").to_string();
    let place = if story.begin.timezone.is_empty() { "UTC" } else { &story.begin.timezone };
    html! {
        h1 { (story.begin.show) }
        p.when {
            (day) ", " (time_of_day(story.from, &zone)) " to " (time_of_day(story.to, &zone)) " " (place)
            " (" (clock(story.seconds())) "). " (ending(story))
        }
        @for session in &story.sessions {
            p.session {
                "Space " code { (session.id) } ": " (session.title.as_deref().unwrap_or("untitled"))
                @if let Some(host) = &session.host { " by " (host) }
            }
        }
    }
}

/// The night in five figures.
fn cards(story: &Story) -> Markup {
    let seconds_in = |state: &str| {
        let lane = story.show_lane().map(|lane| lane.seconds_by_state()).unwrap_or_default();
        lane.iter().find(|(known, _)| *known == state).map_or(0.0, |(_, seconds)| *seconds)
    };
    let count = |level: Level| -> u64 {
        story.troubles.iter().filter(|trouble| trouble.level == level).map(|trouble| trouble.count).sum()
    };
    let breaks: u64 = story.total.outputs.iter().map(|output| output.connections.saturating_sub(1)).sum();
    let (errors, warnings) = (count(Level::Error), count(Level::Warning));
    html! {
        dl.cards {
            div { dt { "Live" } dd { (clock(seconds_in("live"))) } }
            div { dt { "Waiting" } dd { (clock(seconds_in("waiting"))) } }
            div { dt { "In gaps" } dd { (clock(seconds_in("gap"))) } }
            div { dt { "Reconnects" } dd { (breaks) } }
            div { dt { "Recorded" } dd { (clock(story.total.recorded_seconds)) small { (amount(story.total.recorded_bytes)) ", " (many(story.total.gaps, "gap")) } } }
            div { dt { "Told" } dd { (many(errors, "error")) small { (many(warnings, "warning")) } } }
        }
    }
}

fn foot(story: &Story) -> String {
    let lines = match story.missing_lines {
        0 => String::new(),
        lines => format!(" {} of it are torn, unknown, or were left out.", many(lines, "line")),
    };
    let version = if story.begin.version.is_empty() { "?" } else { &story.begin.version };
    format!("Drawn by spacebridge from the show's incident file, written by version {version}.{lines}")
}

/// The class of a state's colour and shape.
fn class_of(state: &str) -> &'static str {
    match state {
        "live" => "live",
        "waiting" | "starting" | "connecting" => "waiting",
        "gap" | "backoff" | "held" | "holding" => "gap",
        "down" => "down",
        "ending" | "ended" => "ending",
        _ => "other",
    }
}

fn level_name(level: Level) -> &'static str {
    level.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::incident::story::tests::a_night;

    #[test]
    fn a_hostile_title_is_text_and_nothing_is_loaded_from_anywhere() {
        let mut night = a_night();
        night.sessions[0].title = Some("<script>alert(1)</script>\" onload=\"x".into());
        night.troubles[0].message = "<img src=x>".into();
        let page = page(&night);
        for bad in ["<script", "<img", " onload=\"x", "<link", "@import", "href=\"http", "<b>the", "url("] {
            assert!(!page.contains(bad), "{bad} is in the page");
        }
        assert!(page.contains("&lt;script&gt;alert(1)"));
    }

    #[test]
    fn everything_that_is_drawn_is_told_in_words_too() {
        let page = page(&a_night());
        for expected in [
            "<h1>night</h1>",
            "role=\"img\"",
            "aria-label=\"show: waiting 40:00, live 19:39",
            "<caption>",
            "scope=\"col\"",
            "The server hung up.",
            "Asks again in 10 s.",
            "119 times",
            "href=\"#e",
            "down",
        ] {
            assert!(page.contains(expected), "{expected} is not in the page");
        }
    }

    #[test]
    fn a_show_of_no_length_divides_by_nothing() {
        assert!(!page(&Story::default()).contains("NaN"));
    }
}
