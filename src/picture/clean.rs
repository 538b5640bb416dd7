//! Makes a stranger's text fit to be drawn: one line, no control or direction characters, bounded.
//!
//! Knows nothing of XML: escaping is the template's business.

use unicode_segmentation::UnicodeSegmentation;

use crate::text;

/// Characters, as readers count them, of any text on the slate. Longer ones could not be read in passing.
const MAX_GRAPHEMES: usize = 200;

/// Code points of one character as readers count them. Piles of combining marks would be drawn over everything else;
/// the longest honest ones, families of emoji, have up to ten.
const MAX_CLUSTER: usize = 10;

/// The same for what is no emoji: scripts of India stack up to about six.
const MAX_PLAIN_CLUSTER: usize = 6;

/// `text` on one line, without characters that control instead of being read, cut with an ellipsis where too long.
pub(super) fn one_line(text: &str) -> String {
    // What XML cannot hold at all would stop the drawing.
    let plain = text::plain(text, MAX_GRAPHEMES * MAX_CLUSTER).replace(['\u{fffe}', '\u{ffff}'], "");
    let mut line = String::new();
    for (count, cluster) in plain.graphemes(true).enumerate() {
        if count == MAX_GRAPHEMES {
            return line.trim_end().to_owned() + "…";
        }
        let limit = if cluster.contains('\u{200d}') { MAX_CLUSTER } else { MAX_PLAIN_CLUSTER };
        line.extend(cluster.chars().take(limit));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn direction_overrides_and_controls_are_gone() {
        assert_eq!(one_line("a\u{202e}b\u{0}c\u{1b}[31m\td\n\ne\u{200b}\u{feff}"), "ab c [31m d e");
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
