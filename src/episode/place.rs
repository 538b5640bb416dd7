//! Where a frame belongs in a file, as arithmetic.

/// What to do so that the next frame lies at its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Placing {
    /// Silent frames to put before it; 0 when it follows.
    Fill(u64),
    /// Frames that are in the file already and must not be there twice.
    Drop(u64),
    /// It is too far away for one file.
    Apart,
}

/// Where a frame belongs whose place is `expected` frames from the file's start, when `written` are in the file.
/// Less than `slack` frames are rounding.
pub(super) fn place(expected: i64, written: u64, slack: u64, longest: u64) -> Placing {
    let ahead = expected.saturating_sub_unsigned(written);
    match u64::try_from(ahead) {
        Ok(missing) if missing > longest => Placing::Apart,
        Ok(missing) if missing >= slack => Placing::Fill(missing),
        Ok(_) => Placing::Fill(0),
        // A frame or two too many is rounding on the source's side too.
        Err(_) if ahead >= -2 => Placing::Fill(0),
        Err(_) => Placing::Drop(ahead.unsigned_abs()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_find_their_place_by_table() {
        for (expected, written, slack, wanted) in [
            (0, 0, 1, Placing::Fill(0)),
            (141, 141, 1, Placing::Fill(0)),
            (142, 141, 1, Placing::Fill(1)),
            (142, 141, 2, Placing::Fill(0)),
            (143, 141, 2, Placing::Fill(2)),
            (139, 141, 1, Placing::Fill(0)),
            (138, 141, 1, Placing::Drop(3)),
            (-5, 1, 1, Placing::Drop(6)),
            (1141, 141, 1, Placing::Fill(1000)),
            (1142, 141, 1, Placing::Apart),
        ] {
            assert_eq!(place(expected, written, slack, 1000), wanted, "{expected} after {written}");
        }
    }
}
