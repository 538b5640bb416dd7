//! Whether what lies before a hole and what lies behind it say the same of where the hole lies in another session.

use crate::media::SAMPLE_RATE;

/// How far the two may lie apart: 10 ms. A speaker's echo of more is heard, and where more is between them one of the
/// paths lost or doubled something of which its times do not tell.
const TOLERANCE: u64 = SAMPLE_RATE as u64 / 100;

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

/// The offset between them that both agree on.
pub(super) fn agree(before: Edge, behind: Edge) -> Result<i64, Disagreement> {
    let before = before.0.ok_or(Disagreement::Before)?;
    let behind = behind.0.ok_or(Disagreement::Behind)?;
    let apart = before.abs_diff(behind);
    if apart > TOLERANCE {
        return Err(Disagreement::Apart(apart.saturating_mul(1000) / u64::from(SAMPLE_RATE)));
    }
    // In the middle, so that neither joint has all of it.
    Ok(before.saturating_add(behind.saturating_sub(before) / 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_edges_by_table() {
        for (before, behind, wanted) in [
            (Some(1000), Some(1000), Ok(1000)),
            (Some(1000), Some(1480), Ok(1240)),
            (Some(-1480), Some(-1000), Ok(-1240)),
            (Some(1000), Some(1481), Err(Disagreement::Apart(10))),
            (Some(0), Some(-144_000), Err(Disagreement::Apart(3000))),
            (None, Some(0), Err(Disagreement::Before)),
            (Some(0), None, Err(Disagreement::Behind)),
            (None, None, Err(Disagreement::Before)),
        ] {
            assert_eq!(agree(Edge(before), Edge(behind)), wanted, "{before:?} {behind:?}");
        }
    }
}
