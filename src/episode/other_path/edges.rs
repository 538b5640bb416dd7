//! Whether what lies before a hole and what lies behind it say the same of where the hole lies in another session.

use std::ops::Range;

use crate::media::SAMPLE_RATE;

/// What lies no further apart is the same place: 10 ms. A speaker's echo of more is heard.
const TOLERANCE: u64 = SAMPLE_RATE as u64 / 100;

/// How far the two may lie apart: 250 ms. A stream that broke is placed by the clock and goes on where its first packets
/// lie; what is between them goes into a pause. Where it is more, one of the paths lost or doubled something.
const APART: u64 = SAMPLE_RATE as u64 / 4;

/// The offset that an edge found, in samples; none where it is not alike anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Edge(pub(super) Option<i64>);

/// Why nothing is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Disagreement {
    #[error("the sound before it is not found there")]
    Before,
    #[error("the sound behind it is not found there")]
    Behind,
    #[error("by the sound it is {0} ms longer or shorter there")]
    Apart(u64),
}

/// The offsets at the edges of a hole of `length` samples; one offset where both find the same place.
pub(super) fn agree(before: Edge, behind: Edge, length: u64) -> Result<Range<i64>, Disagreement> {
    let before = before.0.ok_or(Disagreement::Before)?;
    let behind = behind.0.ok_or(Disagreement::Behind)?;
    let apart = before.abs_diff(behind);
    if apart > APART.min(length / 2) && apart > TOLERANCE {
        return Err(Disagreement::Apart(apart.saturating_mul(1000) / u64::from(SAMPLE_RATE)));
    }
    if apart <= TOLERANCE {
        // In the middle, so that neither joint has all of it.
        let middle = before.saturating_add(behind.saturating_sub(before) / 2);
        return Ok(middle..middle);
    }
    Ok(before..behind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_edges_by_table() {
        const SECOND: u64 = 48_000;
        for (before, behind, length, wanted) in [
            (Some(1000), Some(1000), SECOND, Ok(1000..1000)),
            (Some(1000), Some(1480), SECOND, Ok(1240..1240)),
            (Some(-1480), Some(-1000), 2400, Ok(-1240..-1240)),
            (Some(1000), Some(1481), SECOND, Ok(1000..1481)),
            (Some(-12_000), Some(0), SECOND, Ok(-12_000..0)),
            (Some(1000), Some(13_001), SECOND, Err(Disagreement::Apart(250))),
            (Some(1000), Some(3_401), 4800, Err(Disagreement::Apart(50))),
            (Some(0), Some(-144_000), 10 * SECOND, Err(Disagreement::Apart(3000))),
            (None, Some(0), SECOND, Err(Disagreement::Before)),
            (Some(0), None, SECOND, Err(Disagreement::Behind)),
            (None, None, SECOND, Err(Disagreement::Before)),
        ] {
            assert_eq!(agree(Edge(before), Edge(behind), length), wanted, "{before:?} {behind:?}");
        }
    }
}
