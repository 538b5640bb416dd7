//! Hostile text made safe: titles, names and handles that a space says about itself.
//!
//! Whatever goes to a terminal, a log line, a file's tags or the slate passes through [`plain`]. It knows nothing of
//! markup: who writes SVG or JSON escapes for that format as well.

use unicode_segmentation::UnicodeSegmentation;

/// `text` on one line, without control characters and without characters that reorder or hide others, of at most
/// `max_chars` characters. What is longer is cut between graphemes and ends with `…`.
pub fn plain(text: &str, max_chars: usize) -> String {
    // A hostile text may be megabytes long: only so much of it is looked at that the answer can be told.
    let considered = text.chars().take(max_chars.saturating_mul(8).saturating_add(1024));
    let mut cleaned = String::new();
    let mut pending_space = false;
    for character in considered {
        if character.is_whitespace() || character.is_control() {
            pending_space = !cleaned.is_empty();
        } else if !is_invisible(character) {
            if std::mem::take(&mut pending_space) {
                cleaned.push(' ');
            }
            cleaned.push(character);
        }
    }
    cut(&cleaned, max_chars)
}

fn cut(text: &str, max_chars: usize) -> String {
    if text.chars().count() <= max_chars {
        return text.to_owned();
    }
    let room = max_chars.saturating_sub(1);
    let mut used = 0;
    let mut kept = String::new();
    for grapheme in text.graphemes(true) {
        used += grapheme.chars().count();
        if used > room {
            break;
        }
        kept.push_str(grapheme);
    }
    if max_chars > 0 {
        kept.truncate(kept.trim_end().len());
        kept.push('…');
    }
    kept
}

/// Characters without a picture of their own that can reorder, hide or fake what stands beside them. The zero-width
/// joiner and the variation selectors stay: emoji and several scripts are made with them.
fn is_invisible(character: char) -> bool {
    matches!(character,
        '\u{00AD}' | '\u{061C}' | '\u{115F}' | '\u{1160}' | '\u{180E}' | '\u{200B}' | '\u{200E}' | '\u{200F}'
        | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{3164}' | '\u{FEFF}' | '\u{FFA0}'
        | '\u{FFF0}'..='\u{FFFB}' | '\u{E0000}'..='\u{E007F}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_hostile_title_cannot_steer_a_terminal_or_add_a_line() {
        for (text, expected) in [
            ("Friday night", "Friday night"),
            ("  two\r\nlines\t and \u{2028}more ", "two lines and more"),
            ("\u{1b}[2Jgone\u{7}", "[2Jgone"),
            ("abc\u{202E}fdp.exe", "abcfdp.exe"),
            ("a\u{200B}b\u{FEFF}c\u{2066}d", "abcd"),
            ("\u{9b}31mred", "31mred"),
            ("<b>&amp;</b>", "<b>&amp;</b>"),
            ("👩\u{200D}🚀 club", "👩\u{200D}🚀 club"),
            ("", ""),
            ("\n\n", ""),
        ] {
            assert_eq!(plain(text, 40), expected, "{text:?}");
        }
    }

    #[test]
    fn a_long_title_is_cut_between_graphemes() {
        assert_eq!(plain("abcdef", 4), "abc…");
        assert_eq!(plain("ab cdef", 4), "ab…");
        // An astronaut is three characters and one picture: it stays whole or goes.
        assert_eq!(plain("ab👩\u{200D}🚀cd", 5), "ab…");
        assert_eq!(plain("abc", 0), "");
        assert_eq!(plain(&"e\u{301}".repeat(5), 6), "e\u{301}e\u{301}…");
    }

    #[test]
    fn a_title_of_megabytes_is_not_copied() {
        assert_eq!(plain(&"x".repeat(4 << 20), 10).chars().count(), 10);
        assert_eq!(plain(&" ".repeat(4 << 20), 10), "");
    }

    proptest! {
        #[test]
        fn fuzz_plain_text(text in any::<String>(), max in 0_usize..60) {
            let cleaned = plain(&text, max);
            prop_assert!(cleaned.chars().count() <= max);
            prop_assert!(!cleaned.chars().any(|c| c.is_control() || is_invisible(c)));
        }
    }
}
