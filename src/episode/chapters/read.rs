//! A chapters file as an operator or another program wrote it: lines as in a YouTube description, or Podcasting 2.0 JSON.

use serde::Deserialize;

use super::{Chapter, MOST};

/// Largest chapters file that is looked at, in bytes.
pub const LARGEST_FILE: u64 = 1 << 20;

/// Longest time of a chapter, in seconds: a hundred hours.
const LATEST: f64 = 360_000.0;

/// Why a chapters file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChapterError {
    /// A line is none.
    #[error(
        "line {line} is no chapter ({text:?}): write each as \"1:23:45 Title\" or \"3:21 Title\", on a line of its own"
    )]
    Line {
        /// Its number, from 1.
        line: usize,
        /// Its beginning.
        text: String,
    },
    /// It is JSON, but no list of chapters.
    #[error("line {line} is not as in a JSON chapters file (Podcasting 2.0, version 1.2): {reason}")]
    Json {
        /// Its number, from 1.
        line: usize,
        /// The parser's words.
        reason: String,
    },
    /// A chapter of a JSON file has a time that cannot be.
    #[error("chapter {number} begins at {start} s, which is no place in a file")]
    Time {
        /// Its number, from 1.
        number: usize,
        /// What it says.
        start: String,
    },
    /// More than anybody shows.
    #[error("more than {MOST} chapters: leave some out")]
    TooMany,
    /// There is none in it.
    #[error("there is no chapter in it")]
    Empty,
}

/// The chapters that `text` lists, in its order.
///
/// # Errors
/// When a line is no chapter, by its number, or when there is none.
pub fn parse(text: &str) -> Result<Vec<Chapter>, ChapterError> {
    let text = text.trim_start_matches('\u{FEFF}');
    let chapters = if text.trim_start().starts_with('{') { json(text)? } else { lines(text)? };
    match chapters.len() {
        0 => Err(ChapterError::Empty),
        count if count > MOST => Err(ChapterError::TooMany),
        _ => Ok(chapters),
    }
}

fn lines(text: &str) -> Result<Vec<Chapter>, ChapterError> {
    let mut chapters = Vec::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let found = chapter(line.trim());
        let begin = || crate::text::plain(line, 40);
        chapters.push(found.ok_or_else(|| ChapterError::Line { line: number + 1, text: begin() })?);
        if chapters.len() > MOST {
            break;
        }
    }
    Ok(chapters)
}

fn chapter(line: &str) -> Option<Chapter> {
    let (time, title) = line.split_once(char::is_whitespace)?;
    // "0:00 - Title" is common too.
    let whole = title.trim();
    let title = whole.trim_start_matches(['-', '–', '—', ':']).trim();
    let title = if title.is_empty() { whole } else { title };
    let start = seconds(time)?;
    (!title.is_empty()).then(|| Chapter::new(start, title))
}

/// `M:SS`, `MM:SS` or `H:MM:SS`; the seconds may have a fraction.
fn seconds(text: &str) -> Option<f64> {
    let (minutes, seconds) = text.rsplit_once(':')?;
    let (hours, minutes) = minutes.split_once(':').map_or((None, minutes), |(hours, minutes)| (Some(hours), minutes));
    let number = |digits: &str| {
        let plain = !digits.is_empty() && digits.len() <= 4 && digits.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| digits.parse::<u32>().ok()).flatten()
    };
    let (whole, fraction) = seconds.split_once('.').unwrap_or((seconds, "0"));
    if whole.len() != 2 || fraction.len() > 6 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let fraction: f64 = format!("0.{fraction}").parse().ok()?;
    let (hours, minutes, whole) = (hours.map_or(Some(0), number)?, number(minutes)?, number(whole)?);
    let is_time = whole < 60 && (minutes < 60 || text.matches(':').count() == 1);
    let total = f64::from(hours) * 3600.0 + f64::from(minutes) * 60.0 + f64::from(whole) + fraction;
    (is_time && total <= LATEST).then_some(total)
}

#[derive(Deserialize)]
struct JsonChapters {
    chapters: Vec<JsonChapter>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct JsonChapter {
    start_time: f64,
    #[serde(default)]
    title: String,
    /// False for one that is not to be listed, such as a change of picture.
    #[serde(default = "listed")]
    toc: bool,
}

fn listed() -> bool {
    true
}

fn json(text: &str) -> Result<Vec<Chapter>, ChapterError> {
    let read: JsonChapters = serde_json::from_str(text)
        .map_err(|error| ChapterError::Json { line: error.line(), reason: error.to_string() })?;
    let mut chapters = Vec::new();
    for (index, chapter) in read.chapters.into_iter().enumerate() {
        if !(0.0..=LATEST).contains(&chapter.start_time) {
            return Err(ChapterError::Time { number: index + 1, start: chapter.start_time.to_string() });
        }
        if chapter.toc {
            chapters.push(Chapter::new(chapter.start_time, chapter.title));
        }
    }
    Ok(chapters)
}
