//! One segment of the past: fetched as the live ones are, tried again while it is damaged, at other edges too.

use std::time::Duration;

use bytes::Bytes;

use super::{Miss, SpacePast};
use crate::media::AAC_FRAME_SAMPLES;
use crate::source::hls::Looks;
use crate::source::past::{PastEntry, PastSegment};
use crate::source::x_space::segment;
use crate::source::{SourceError, SourceFault};

/// Largest segment, in bytes: a Space's have 36 KB.
const MAX_SEGMENT: usize = 8 << 20;

/// Time for one attempt: nobody waits for it on the air, and some CDNs give 100 KB/s.
const SEGMENT_TIME: Duration = Duration::from_secs(15);

/// Attempts, unless there are more edges.
const TRIES: usize = 4;

/// Edges, or times at the only one, that must say that there is no such segment.
const REFUSALS: usize = 2;

/// Pause before the second attempt; doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(300);

impl SpacePast {
    /// Fetches what `entry` lists. A segment that stays damaged is given as it is.
    pub(super) async fn segment(&self, entry: &PastEntry) -> Result<PastSegment, SourceError> {
        let places = self.edges.everywhere(&entry.url);
        let mut refusals = 0;
        let mut best: Option<PastSegment> = None;
        let mut error = SourceError::transient("the segment cannot be had");
        for attempt in 0..TRIES.max(places.len()) {
            if attempt > 0 {
                tokio::time::sleep(pause(attempt)).await;
            }
            match self.get(&places[attempt % places.len()], MAX_SEGMENT, SEGMENT_TIME).await {
                Ok(answer) => match heard(answer.body, entry.duration) {
                    Some(segment) if segment.whole => return Ok(segment),
                    Some(segment) if best.as_ref().is_none_or(|best| best.duration < segment.duration) => {
                        best = Some(segment);
                    }
                    Some(_) => {}
                    None => error = SourceError::transient("the segment answered with something else than audio"),
                },
                Err(Miss::Absent) => {
                    refusals += 1;
                    if refusals >= REFUSALS.max(places.len()) {
                        return best.ok_or_else(|| SourceError::gone("the CDN does not hold the segment any more"));
                    }
                }
                Err(Miss::Failed(failed)) => match failed.class {
                    SourceFault::Transient => error = failed,
                    _ => return Err(failed),
                },
            }
        }
        best.ok_or(error)
    }
}

/// Spread, so that fetches that failed together do not come back together.
fn pause(attempt: usize) -> Duration {
    let doubled = FIRST_PAUSE.saturating_mul(1 << (attempt - 1).min(4));
    doubled.mul_f64(0.5 + 0.5 * fastrand::f64())
}

/// What the bytes of a segment hold that is listed with `listed` samples; none if they are no audio.
fn heard(bytes: Bytes, listed: u64) -> Option<PastSegment> {
    let looks = segment::looks(&bytes, listed);
    if looks == Looks::Foreign {
        return None;
    }
    let split = segment::split(&bytes);
    // A list that tells whole frames tells them exactly.
    let is_exact = listed.is_multiple_of(AAC_FRAME_SAMPLES);
    let is_short = is_exact && split.duration + AAC_FRAME_SAMPLES / 2 < listed;
    Some(PastSegment { whole: looks == Looks::Whole && !is_short, duration: split.duration, facts: split.facts, bytes })
}

#[cfg(test)]
mod tests {
    use super::super::super::segment::tests::frame;
    use super::*;

    fn frames(count: usize) -> Bytes {
        (0..count).flat_map(|_| frame(200, 3)).collect::<Vec<u8>>().into()
    }

    #[test]
    fn a_segment_that_lacks_one_frame_is_not_whole_where_the_list_tells_frames() {
        let whole = heard(frames(141), 141 * 1024).expect("audio");
        assert_eq!((whole.whole, whole.duration), (true, 141 * 1024));
        let short = heard(frames(140), 141 * 1024).expect("audio");
        assert_eq!((short.whole, short.duration), (false, 140 * 1024));
        // A list of whole seconds cannot tell.
        assert!(heard(frames(140), 3 * 48_000).expect("audio").whole);
        assert!(!heard(frames(120), 3 * 48_000).expect("audio").whole);
        // More than was listed lacks nothing.
        assert!(heard(frames(150), 141 * 1024).expect("audio").whole);
        let torn = frames(141).slice(..141 * 207 - 9);
        assert!(!heard(torn, 0).expect("audio").whole);
    }

    #[test]
    fn a_page_is_no_segment_and_junk_is_one_that_is_not_whole() {
        assert_eq!(heard(Bytes::from_static(b" <html>busy</html>"), 1024), None);
        assert_eq!(heard(Bytes::new(), 1024), None);
        let junk = heard(Bytes::from_static(&[7; 500]), 1024).expect("bytes");
        assert_eq!((junk.whole, junk.duration), (false, 0));
    }

    #[test]
    fn pauses_grow_and_stay_short() {
        for attempt in 1..20 {
            assert!(pause(attempt) <= FIRST_PAUSE * 16);
        }
        assert!(pause(3) >= FIRST_PAUSE * 2);
    }
}
