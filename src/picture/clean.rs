//! Makes a stranger's text fit to be drawn: one line, no control or direction characters, bounded.
//!
//! Knows nothing of XML: escaping is the template's business.

use unicode_segmentation::UnicodeSegmentation;

/// Characters, as readers count them, of any text on the slate. Longer ones could not be read in passing.
const MAX_GRAPHEMES: usize = 200;

/// Code points of one character as readers count them. Piles of combining marks would be drawn over everything else;
/// the longest honest ones, families of emoji, have up to ten.
const MAX_CLUSTER: usize = 10;

/// The same for what is no emoji: scripts of India stack up to about six.
const MAX_PLAIN_CLUSTER: usize = 6;

/// Bytes that are looked at, at all.
const MAX_BYTES: usize = 8 * 1024;

/// `text` on one line, without characters that control instead of being read, cut with an ellipsis where too long.
pub(super) fn one_line(text: &str) -> String {
    let end = (0..=MAX_BYTES.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    let readable: String = text[..end].chars().filter_map(readable).collect();
    let spaced = readable.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut line = String::new();
    for (count, cluster) in spaced.graphemes(true).enumerate() {
        if count == MAX_GRAPHEMES {
            return line.trim_end().to_owned() + "…";
        }
        let limit = if cluster.contains('\u{200d}') { MAX_CLUSTER } else { MAX_PLAIN_CLUSTER };
        line.extend(cluster.chars().take(limit));
    }
    line
}

/// The character, a space for what separates, nothing for what only controls.
fn readable(c: char) -> Option<char> {
    match c {
        '\t' | '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}' => Some(' '),
        _ if c.is_control() => None,
        // Direction marks, embeddings, overrides and isolates: text that shows in another order than it is written.
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{206f}' => None,
        // Invisible: soft hyphen, zero-width space, joiners of words, annotation, tags, what XML forbids.
        '\u{ad}' | '\u{200b}' | '\u{2060}'..='\u{2065}' | '\u{feff}' | '\u{fff0}'..='\u{fffb}' => None,
        '\u{fffe}' | '\u{ffff}' | '\u{e0000}'..='\u{e0fff}' => None,
        _ => Some(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn direction_overrides_and_controls_are_gone() {
        assert_eq!(one_line("a\u{202e}b\u{0}c\u{1b}[31m\td\n\ne\u{200b}\u{feff}"), "abc[31m d e");
    }

    #[test]
    fn a_pile_of_combining_marks_stays_on_its_line() {
        let pile: String = std::iter::once('e').chain(std::iter::repeat_n('\u{301}', 500)).collect();
        assert_eq!(one_line(&pile).chars().count(), MAX_PLAIN_CLUSTER);
    }

    #[test]
    fn a_book_for_a_title_is_cut_between_characters() {
        let cut = one_line(&"👩‍👩‍👧‍👦".repeat(5000));
        assert!(cut.ends_with("👦…"), "{cut}");
        assert_eq!(cut.graphemes(true).count(), MAX_GRAPHEMES + 1);
    }
}
