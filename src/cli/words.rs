//! What statuses look like in words, safe for a terminal.
//!
//! Titles, names and errors come from strangers: whatever is printed goes through [`clean`] or [`fit`].

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

use crate::status::{OutputState, OutputStatus, ShowState, SourceStatus};

/// `text` without anything that could move the cursor, change colours, reverse the line or hide: control characters
/// become spaces, invisible and direction-changing ones vanish.
pub(super) fn clean(text: &str) -> String {
    text.chars()
        .filter(|character| !is_invisible(*character))
        .map(|character| if character.is_control() || is_line_break(character) { ' ' } else { character })
        .collect()
}

fn is_invisible(character: char) -> bool {
    matches!(character,
        '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

fn is_line_break(character: char) -> bool {
    matches!(character, '\u{2028}' | '\u{2029}')
}

/// `text` cleaned and cut to `columns` of a terminal, between characters as people see them.
pub(super) fn fit(text: &str, columns: usize) -> String {
    let text = clean(text);
    if text.width() <= columns {
        return text;
    }
    let mut cut = String::new();
    let mut used = 0;
    for grapheme in text.graphemes(true) {
        used += grapheme.width();
        // One column is for the sign that something is missing.
        if used >= columns {
            break;
        }
        cut.push_str(grapheme);
    }
    if columns > 0 {
        cut.push('…');
    }
    cut
}

/// `0:07`, `12:40`, `1:02:03`.
pub(super) fn clock(seconds: u64) -> String {
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

/// Whole seconds of a length that may be anything.
pub(super) fn whole(seconds: f64) -> u64 {
    if seconds.is_finite() { seconds.max(0.0) as u64 } else { 0 }
}

/// `90 B`, `812 kB`, `34.2 MB`, `1.9 GB`.
pub(super) fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{} kB", bytes / 1000),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

/// `1 gap`, `2 gaps`, `no gaps`.
pub(super) fn count(number: u64, one: &str, many: &str) -> String {
    match number {
        0 => format!("no {many}"),
        1 => format!("1 {one}"),
        _ => format!("{number} {many}"),
    }
}

/// Where a show stands, in a word.
pub(super) fn show_state(state: ShowState) -> &'static str {
    match state {
        ShowState::Starting => "STARTING",
        ShowState::Waiting => "WAITING",
        ShowState::Live => "LIVE",
        ShowState::Gap => "GAP",
        ShowState::Ending => "ENDING",
        ShowState::Suspended => "SUSPENDED",
        ShowState::Ended => "ENDED",
    }
}

/// Where an output stands, in words.
pub(super) fn output_state(output: &OutputStatus) -> String {
    if let (OutputState::Backoff, Some(seconds)) = (output.state, output.budget.next_in_seconds) {
        return format!("budget {}", clock(seconds));
    }
    let rejected = matches!(output.fault.as_deref(), Some("output.rejected" | "output.dismissed"));
    match (output.state, output.retry_in_seconds) {
        (OutputState::Backoff, Some(seconds)) if rejected => format!("rejected {seconds} s"),
        (OutputState::Stopped, _) => "stopped".to_owned(),
        (OutputState::Connecting, _) => "connecting".to_owned(),
        (OutputState::Live, _) => "live".to_owned(),
        (OutputState::Backoff, Some(seconds)) => format!("again in {seconds} s"),
        (OutputState::Backoff, None) => "waiting".to_owned(),
    }
}

/// Where a source stands, in words.
pub(super) fn source_state(source: &SourceStatus) -> &'static str {
    match (source.active, source.connected, source.healthy) {
        (true, true, true) => "on the air",
        (true, true, false) => "no sound",
        (true, false, _) => "being tried",
        (false, false, _) => "not connected",
        (false, true, false) => "standing by, no sound",
        (false, true, true) if source.aligned => "standing by, aligned",
        (false, true, true) => "standing by",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_hostile_title_cannot_move_the_cursor_or_turn_the_line() {
        assert_eq!(clean("a\x1b[2Jb\u{9b}31mc\r\nd\u{202e}e\u{200b}f"), "a [2Jb 31mc  def");
    }

    #[test]
    fn a_long_title_is_cut_between_characters() {
        assert_eq!(fit("日本語の題名", 7), "日本語…");
        assert_eq!(fit("short", 5), "short");
        assert_eq!(fit("anything", 0), "");
    }

    #[test]
    fn an_output_that_waits_says_for_what() {
        let mut output = crate::cli::view::tests::a_status().outputs.remove(1);
        let mut says = |fault: Option<&str>, budget: Option<u64>, retry: u64| {
            output.fault = fault.map(str::to_owned);
            (output.budget.next_in_seconds, output.retry_in_seconds) = (budget, Some(retry));
            output_state(&output)
        };
        assert_eq!(says(Some("output.refused"), None, 12), "again in 12 s");
        assert_eq!(says(Some("output.rejected"), None, 60), "rejected 60 s");
        assert_eq!(says(Some("output.rejected"), Some(272), 272), "budget 4:32");
        assert_eq!(says(None, Some(3540), 3540), "budget 59:00");
    }

    #[test]
    fn lengths_and_sizes_read_well() {
        assert_eq!([clock(7), clock(760), clock(3723)], ["0:07", "12:40", "1:02:03"]);
        assert_eq!([size(90), size(812_000), size(34_200_000)], ["90 B", "812 kB", "34.2 MB"]);
        assert_eq!(size(1_900_000_000), "1.9 GB");
        assert_eq!(whole(f64::NAN), 0);
    }

    proptest! {
        #[test]
        fn fuzz_terminal_text(text in any::<String>(), columns in 0usize..80) {
            let fitted = fit(&text, columns);
            prop_assert!(fitted.width() <= columns, "{:?}", fitted);
            prop_assert!(!fitted.chars().any(char::is_control));
        }
    }
}
