//! A tidy list of chapters as text: Podcasting 2.0 JSON, lines for a YouTube description, Vorbis comments.

use serde::Serialize;

use super::Chapter;
use crate::text::plain;

/// Largest description of a YouTube video, in bytes (YouTube Data API, `videos`: `snippet.description`).
const DESCRIPTION_BYTES: usize = 5000;

/// YouTube takes lines for chapters only from three on.
const YOUTUBE_LEAST: usize = 3;

/// Shortest chapter that YouTube takes, in seconds.
const YOUTUBE_APART: u64 = 10;

/// Titles in a description that would become too long are cut to so many characters.
const SHORT_TITLE: usize = 40;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Json<'a> {
    version: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<&'a str>,
    chapters: Vec<JsonChapter<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct JsonChapter<'a> {
    start_time: f64,
    title: &'a str,
}

/// A JSON chapters file as Podcasting 2.0 defines it (version 1.2), served as `application/json+chapters`.
pub fn podcast_json(chapters: &[Chapter], title: Option<&str>) -> String {
    let chapters = chapters.iter().map(|c| JsonChapter { start_time: c.start, title: &c.title }).collect();
    let file = Json { version: "1.2.0", title, chapters };
    let text = serde_json::to_string_pretty(&file).expect("numbers and texts are JSON");
    text + "\n"
}

/// `CHAPTER000=00:00:00.000`, `CHAPTER000NAME=Start` and so on: what players of Opus and FLAC files read.
pub fn vorbis_comments(chapters: &[Chapter]) -> Vec<String> {
    let comments = |(index, chapter): (usize, &Chapter)| {
        let millis = chapter.millis();
        let (hours, minutes) = (millis / 3_600_000, millis / 60_000 % 60);
        let (seconds, rest) = (millis / 1000 % 60, millis % 1000);
        let place = format!("CHAPTER{index:03}={hours:02}:{minutes:02}:{seconds:02}.{rest:03}");
        [place, format!("CHAPTER{index:03}NAME={}", chapter.title)]
    };
    chapters.iter().enumerate().flat_map(comments).collect()
}

/// Lines for the description of a video.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct YouTube {
    /// One line for each chapter; empty where YouTube would take none.
    pub lines: String,
    /// What was left out, and why.
    pub notes: Vec<String>,
}

/// Lines that YouTube takes for chapters of a video of `duration` seconds, with room for `description` before them.
pub fn youtube(chapters: &[Chapter], duration: f64, description: &str) -> YouTube {
    let mut notes = Vec::new();
    let mut kept = apart(chapters, duration, &mut notes);
    // A blank line stands between the description and the chapters.
    let used = if description.is_empty() { 0 } else { description.len() + 2 };
    let room = DESCRIPTION_BYTES.saturating_sub(used);
    let length = |lines: &[(u64, String)]| lines.iter().map(|line| written(line).len() + 1).sum::<usize>();
    if length(&kept) > room {
        kept.iter_mut().for_each(|(_, title)| *title = plain(title, SHORT_TITLE));
        notes.push(format!("Titles in the lines for YouTube are cut: a description has {DESCRIPTION_BYTES} bytes."));
    }
    let whole = kept.len();
    while length(&kept) > room {
        kept.pop();
    }
    if kept.len() < whole {
        let (left_out, were) =
            (whole - kept.len(), if whole - kept.len() == 1 { "chapter is" } else { "chapters are" });
        notes.push(format!("The last {left_out} {were} not in the lines for YouTube: there is no room for more."));
    }
    if kept.len() < YOUTUBE_LEAST {
        notes.push(format!(
            "There are no lines for YouTube: it wants at least {YOUTUBE_LEAST} chapters of at least {YOUTUBE_APART} s each."
        ));
        return YouTube { lines: String::new(), notes };
    }
    YouTube { lines: kept.iter().map(|line| written(line) + "\n").collect(), notes }
}

/// The chapters that are long enough, in whole seconds, with titles that a description may hold.
fn apart(chapters: &[Chapter], duration: f64, notes: &mut Vec<String>) -> Vec<(u64, String)> {
    let mut kept: Vec<(u64, String)> = Vec::new();
    for chapter in chapters {
        let at = chapter.start.max(0.0) as u64;
        // The list's first one is where the video begins, and so are those that share its second.
        let at = if kept.is_empty() { 0 } else { at };
        let is_long = (at + YOUTUBE_APART) as f64 <= duration;
        let is_apart = kept.last().is_none_or(|(last, _)| at >= last + YOUTUBE_APART);
        let title = plain(&chapter.title.replace(['<', '>'], ""), super::LONGEST_TITLE);
        if is_long && is_apart {
            kept.push((at, if title.is_empty() { format!("Chapter {}", kept.len() + 1) } else { title }));
        } else {
            notes.push(format!(
                "{title:?} at {at} s is not in the lines for YouTube: chapters there last 10 s or more."
            ));
        }
    }
    kept
}

fn written((at, title): &(u64, String)) -> String {
    let (hours, minutes, seconds) = (at / 3600, at / 60 % 60, at % 60);
    match hours {
        0 => format!("{minutes}:{seconds:02} {title}"),
        _ => format!("{hours}:{minutes:02}:{seconds:02} {title}"),
    }
}
