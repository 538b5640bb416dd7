//! Fits a text into its room: wraps, shrinks, balances its lines and cuts it, by measuring it as it will be drawn.

use unicode_segmentation::UnicodeSegmentation;

use super::measure::{Hand, Run};

/// Where a text must fit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Room {
    pub(super) width: f32,
    pub(super) lines: usize,
    /// The font size wished for, and the smallest one that is still read from afar.
    pub(super) size: f32,
    pub(super) min_size: f32,
}

/// A text that fits.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Fitted {
    pub(super) lines: Vec<Line>,
    pub(super) size: f32,
    /// Width of the widest line.
    pub(super) width: f32,
}

/// A line that is ready to be drawn.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Line {
    /// From left to right, each with its distance from the line's start.
    pub(super) runs: Vec<(f32, Run)>,
    pub(super) width: f32,
}

/// What a line cannot be broken in.
#[derive(Debug, Clone)]
struct Piece {
    text: String,
    space_before: bool,
    /// Per unit of font size.
    width: f32,
}

/// Fits `text`, drawn with the SVG attributes `style` (no font size among them), into `room`.
pub(super) fn fit(text: &str, style: &str, room: Room) -> Fitted {
    let hand = Hand::new(text, style);
    let missing = text.chars().filter(|c| hand.lacks(*c)).count();
    if missing > 0 {
        tracing::warn!(
            missing,
            "No font has some characters of the slate's text: install a font for them, such as fonts-noto-cjk."
        );
    }
    // A symbol that no font has is left out; a letter stays, as a box, since the text would say something else without.
    let drawable = |cluster: &&str| !cluster.chars().any(|c| hand.lacks(c) && !c.is_alphanumeric());
    let text: String = text.graphemes(true).filter(drawable).collect();
    let text = if missing > 0 { without_empty_names(&text) } else { text };
    let pieces = measured_pieces(&text, &hand, room);
    let (lines, size) = place(&pieces, &hand, room);
    let lines: Vec<Line> = lines.iter().map(|line| drawn(&hand, line, size)).collect();
    Fitted { width: lines.iter().map(|line| line.width).fold(0.0, f32::max), lines, size }
}

/// A name of nothing but symbols that no font has leaves no place in a list.
fn without_empty_names(list: &str) -> String {
    let names: Vec<&str> = list.split(" · ").filter(|name| !name.trim().is_empty()).collect();
    names.join(" · ")
}

fn drawn(hand: &Hand<'_>, line: &str, size: f32) -> Line {
    let (runs, width) = hand.place(line);
    Line { runs: runs.into_iter().map(|(at, run)| (at * size, run)).collect(), width: width * size }
}

/// The lines, and the font size at which they fit.
fn place(pieces: &[Piece], hand: &Hand<'_>, room: Room) -> (Vec<String>, f32) {
    let mut size = room.size;
    loop {
        let lines = wrap(pieces, hand.space, room.width / size).filter(|lines| lines.len() <= room.lines);
        if let Some(lines) = lines {
            let balanced = balance(pieces, hand.space, room.width / size, lines.len()).unwrap_or(lines);
            return (balanced.iter().map(|line| joined(pieces, line)).collect(), size);
        }
        if size <= room.min_size {
            break;
        }
        size = (size - 2.0).max(room.min_size);
    }
    let mut lines = wrap(pieces, hand.space, room.width / size).unwrap_or_default();
    lines.truncate(room.lines);
    let ellipsis = hand.widths(&["…"])[0];
    if let Some(last) = lines.last_mut() {
        while last.len() > 1 && width(pieces, last, hand.space) + ellipsis > room.width / size {
            last.pop();
        }
    }
    let mut lines: Vec<String> = lines.iter().map(|line| joined(pieces, line)).collect();
    if let Some(last) = lines.last_mut() {
        last.push('…');
    }
    (lines, size)
}

fn joined(pieces: &[Piece], line: &[usize]) -> String {
    let spaced = |(at, n): (usize, &usize)| {
        let gap = if at > 0 && pieces[*n].space_before { " " } else { "" };
        format!("{gap}{}", pieces[*n].text)
    };
    line.iter().enumerate().map(spaced).collect()
}

fn measured_pieces(text: &str, hand: &Hand<'_>, room: Room) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = text.split_whitespace().flat_map(pieces_of_word).collect();
    if let Some(first) = pieces.first_mut() {
        first.space_before = false;
    }
    measure_pieces(&mut pieces, hand);
    let too_long = |piece: &Piece| piece.width * room.min_size > room.width;
    if pieces.iter().any(too_long) {
        // Nothing but breaking inside the word helps.
        let breaking = |piece: Piece| if too_long(&piece) { broken(&piece) } else { vec![piece] };
        pieces = pieces.into_iter().flat_map(breaking).collect();
        measure_pieces(&mut pieces, hand);
    }
    pieces
}

/// A word, or its characters where its script is written without spaces.
fn pieces_of_word(word: &str) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    let mut after_ideograph = false;
    for (n, cluster) in word.graphemes(true).enumerate() {
        let ideograph = cluster
            .chars()
            .any(|c| matches!(c, '\u{2e80}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}'));
        // No line begins with a closing mark.
        let closing = cluster.chars().all(|c| "、。，．」』）】〉》！？：；ー々…".contains(c));
        match pieces.last_mut() {
            Some(last) if closing || !(ideograph || after_ideograph) => last.text.push_str(cluster),
            _ => pieces.push(Piece { text: cluster.to_owned(), space_before: n == 0, width: 0.0 }),
        }
        after_ideograph = ideograph;
    }
    pieces
}

fn broken(piece: &Piece) -> Vec<Piece> {
    let part = |(n, cluster): (usize, &str)| Piece {
        text: cluster.to_owned(),
        space_before: n == 0 && piece.space_before,
        width: 0.0,
    };
    piece.text.graphemes(true).enumerate().map(part).collect()
}

fn measure_pieces(pieces: &mut [Piece], hand: &Hand<'_>) {
    let texts: Vec<&str> = pieces.iter().map(|piece| piece.text.as_str()).collect();
    let widths = hand.widths(&texts);
    for (piece, width) in pieces.iter_mut().zip(widths) {
        piece.width = width;
    }
}

/// Pieces per line, or none where a piece alone is too wide.
fn wrap(pieces: &[Piece], space: f32, room: f32) -> Option<Vec<Vec<usize>>> {
    let mut lines: Vec<Vec<usize>> = Vec::new();
    let mut used = 0.0;
    for (n, piece) in pieces.iter().enumerate() {
        if piece.width > room {
            return None;
        }
        let gap = if piece.space_before { space } else { 0.0 };
        match lines.last_mut() {
            Some(line) if used + gap + piece.width <= room => {
                line.push(n);
                used += gap + piece.width;
            }
            _ => {
                lines.push(vec![n]);
                used = piece.width;
            }
        }
    }
    Some(lines)
}

/// The same number of lines, as equal as they can be: no word is left alone on the last one.
fn balance(pieces: &[Piece], space: f32, room: f32, count: usize) -> Option<Vec<Vec<usize>>> {
    let (mut low, mut high) = (room / count.max(1) as f32 / 2.0, room);
    for _ in 0..12 {
        let middle = (low + high) / 2.0;
        match wrap(pieces, space, middle) {
            Some(lines) if lines.len() <= count => high = middle,
            _ => low = middle,
        }
    }
    wrap(pieces, space, high)
}

fn width(pieces: &[Piece], line: &[usize], space: f32) -> f32 {
    let gaps = line.iter().skip(1).filter(|n| pieces[**n].space_before).count();
    line.iter().map(|n| pieces[*n].width).sum::<f32>() + gaps as f32 * space
}

#[cfg(test)]
mod tests {
    use super::*;

    const STYLE: &str = "font-family='Inter Display' font-weight='700'";
    const ROOM: Room = Room { width: 600.0, lines: 3, size: 60.0, min_size: 36.0 };

    fn texts(fitted: &Fitted) -> Vec<String> {
        let text = |line: &Line| line.runs.iter().map(|(_, run)| run.text.as_str()).collect::<Vec<_>>().join("|");
        fitted.lines.iter().map(text).collect()
    }

    #[test]
    fn no_title_is_drawn_outside_its_room() {
        let titles = [
            "Short",
            "Friday night: what the new telescope saw, and what it did not",
            "a very long title that nobody would read to its end, since it goes on and on about everything that anybody \
             could ever want to talk about on a Friday night with friends",
            "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft",
            "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
            "これは長いタイトルです、とても長いので三行に分かれるはずですが、どうでしょうか。これは長いタイトルです",
            "مساء الجمعة: حديث طويل عن كل شيء وعن لا شيء",
            "<b> 🚀🔥 שלום עולם مرحبا 世界の皆さん 👩‍👩‍👧‍👦 and on and on",
        ];
        for title in titles {
            let fitted = fit(title, STYLE, ROOM);
            assert!((1..=3).contains(&fitted.lines.len()), "{title}: {fitted:?}");
            assert!(fitted.width <= ROOM.width + 2.0 && fitted.width > 50.0, "{title}: {fitted:?}");
        }
    }

    #[test]
    fn a_word_is_shrunk_before_it_is_broken() {
        let fitted = fit("Donaudampfschifffahrt", STYLE, ROOM);
        assert_eq!(texts(&fitted), ["Donaudampfschifffahrt"]);
        assert!(fitted.size < 60.0);
    }

    #[test]
    fn lines_are_balanced_and_no_word_is_left_alone() {
        let fitted = fit("What the new telescope saw tonight", STYLE, ROOM);
        assert_eq!(fitted.lines.len(), 2, "{fitted:?}");
        assert!(texts(&fitted)[1].split(' ').count() > 1, "{fitted:?}");
    }

    #[test]
    fn mixed_scripts_keep_their_fonts_and_their_order() {
        let fitted = fit("Talk: שלום مرحبا (live)", STYLE, Room { lines: 1, ..ROOM });
        assert_eq!(texts(&fitted), ["Talk:|مرحبا|שלום|(live)"]);
        let families: Vec<bool> = fitted.lines[0].runs.iter().map(|(_, run)| run.family.is_some()).collect();
        assert_eq!(families, [false, true, true, false], "{fitted:?}");
    }

    #[test]
    fn an_empty_text_has_no_line() {
        assert!(fit("", STYLE, ROOM).lines.is_empty());
    }

    #[test]
    fn a_name_of_which_nothing_can_be_drawn_leaves_no_dot_behind() {
        for list in ["Ann · Bob", " · Ann · Bob", "Ann ·  · Bob", "Ann · Bob · ", " ·  · Ann ·  ·  · Bob ·  · "]
        {
            assert_eq!(without_empty_names(list), "Ann · Bob");
        }
        assert_eq!(without_empty_names(" ·  · "), "");
    }
}
