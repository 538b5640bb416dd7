//! What was said, in the platform's words, as a transcript: placed by the broadcaster's clock where segments tell it.
//!
//! Nobody here heard the words: they are the platform's, or those of anybody who wrote in its form.

mod write;

pub use write::{json, webvtt};

use std::fs::File;
use std::ops::Range;
use std::path::Path;

use super::error::EpisodeError;
use crate::media::SAMPLE_RATE;
use crate::recording::{CaptionFact, Fact, scan};
use crate::source::SegmentFact;
use crate::text;

/// A place that the broadcaster's clock tells holds for sound this far from it, in seconds; beyond lies another broadcast.
const NEAR: f64 = 120.0;

/// How long a caption stays: so long for each character, and within these.
const A_CHARACTER: f64 = 0.07;
const SHORTEST: f64 = 1.0;
const LONGEST: f64 = 8.0;

/// Places that are kept at most: five days, one a second.
const MOST_PLACES: usize = 5 * 24 * 3600;

/// Captions of a session by media time.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Captions(Vec<(i64, Option<String>, String)>);

/// A caption in a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Cue {
    /// Start, in seconds of the file.
    pub start: f64,
    /// End, in seconds of the file.
    pub end: f64,
    /// Whose words, where that is known.
    pub speaker: Option<String>,
    /// The words on one line; not escaped for any markup.
    pub text: String,
}

impl Captions {
    /// Captions at the places that `clock` tells: the broadcaster's seconds since 1900 and their media times.
    fn new(facts: Vec<CaptionFact>, mut clock: Vec<(f64, i64)>) -> Self {
        clock.sort_by(|a, b| a.0.total_cmp(&b.0));
        let place =
            |fact: &CaptionFact| fact.ntp_seconds.and_then(|said| found(&clock, said)).unwrap_or(fact.media_time);
        let name = |name: String| Some(text::plain(&name, 60)).filter(|name| !name.is_empty());
        let mut all: Vec<_> = facts
            .into_iter()
            .map(|fact| (place(&fact), fact.speaker.and_then(name), text::plain(&fact.text, 1000)))
            .filter(|(_, _, text)| !text.is_empty())
            .collect();
        all.sort_by_key(|(at, ..)| *at);
        // A chat that is joined again may tell its last words again.
        all.dedup_by(|later, earlier| later.2 == earlier.2 && later.0 - earlier.0 < i64::from(SAMPLE_RATE));
        Self(all)
    }

    /// Those in a file that holds the media times of `range`.
    pub fn cues(&self, range: &Range<i64>) -> Vec<Cue> {
        let seconds = |at: i64| at.saturating_sub(range.start) as f64 / f64::from(SAMPLE_RATE);
        let inside = || self.0.iter().filter(|(at, ..)| range.contains(at));
        let next = inside().skip(1).map(|(at, ..)| seconds(*at)).chain([seconds(range.end)]);
        let cue = |((at, speaker, text), next): (&(i64, Option<String>, String), f64)| {
            let start = seconds(*at);
            let stays = (text.chars().count() as f64 * A_CHARACTER).clamp(SHORTEST, LONGEST);
            Cue { start, end: (start + stays).min(next), speaker: speaker.clone(), text: text.clone() }
        };
        // Two at one place: the first is read with the second.
        inside().zip(next).map(cue).filter(|cue| cue.end > cue.start).collect()
    }
}

/// Media time of the broadcaster's `said`, by the nearest place that is known.
fn found(clock: &[(f64, i64)], said: f64) -> Option<i64> {
    let behind = clock.partition_point(|(at, _)| *at <= said);
    let near = [behind.checked_sub(1), Some(behind)].into_iter().flatten().filter_map(|index| clock.get(index));
    let (at, media_time) = near.min_by(|a, b| (a.0 - said).abs().total_cmp(&(b.0 - said).abs()))?;
    let off = said - at;
    (off.abs() < NEAR).then(|| media_time.saturating_add((off * f64::from(SAMPLE_RATE)) as i64))
}

/// Reads the captions of `session` from the journal of the archive in `folder`.
///
/// # Errors
/// When the journal cannot be read.
pub fn read(folder: &Path, session: &str) -> Result<Captions, EpisodeError> {
    let failed = || EpisodeError::io(format!("the journal in {} cannot be read", folder.display()));
    let mut file = File::open(folder.join("journal.jsonl")).map_err(failed())?;
    let (mut captions, mut clock) = (Vec::new(), Vec::new());
    scan(&mut file, |entry| match entry.fact {
        Fact::Caption(caption) if caption.session == session => captions.push(caption),
        Fact::Segment(segment) if segment.session == session && clock.len() < MOST_PLACES => {
            let facts = segment.facts.into_iter().filter_map(|fact| serde_json::from_value(fact).ok());
            clock.extend(facts.filter_map(|fact| match fact {
                SegmentFact::NtpTime { offset, seconds } if seconds.is_finite() => {
                    Some((seconds, segment.media_time.saturating_add(i64::try_from(offset).ok()?)))
                }
                _ => None,
            }));
        }
        _ => {}
    })
    .map_err(failed())?;
    Ok(Captions::new(captions, clock))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = SAMPLE_RATE as i64;

    fn fact(media_time: i64, ntp_seconds: Option<f64>, text: &str) -> CaptionFact {
        let speaker = Some("al\nice".to_owned());
        CaptionFact { session: "s".into(), media_time, ntp_seconds, speaker, text: text.into() }
    }

    #[test]
    fn captions_lie_where_the_broadcasters_clock_says_and_else_where_they_came() {
        // The clock was set in between: what lies nearest counts.
        let clock = vec![(1000.0, 0), (1010.0, 10 * SECOND), (5000.0, 20 * SECOND)];
        let captions = Captions::new(
            vec![
                fact(99 * SECOND, Some(1002.5), "first"),
                fact(3 * SECOND, None, "where it came"),
                fact(98 * SECOND, Some(4999.0), "third"),
                fact(97 * SECOND, Some(2500.0), "of another broadcast"),
                fact(98 * SECOND, Some(4999.2), "third"),
                fact(1, None, " "),
            ],
            clock,
        );
        let cues = captions.cues(&(2 * SECOND..60 * SECOND));
        let told: Vec<(f64, f64, &str)> = cues.iter().map(|cue| (cue.start, cue.end, &cue.text[..])).collect();
        assert_eq!(told, [(0.5, 1.0, "first"), (1.0, 2.0, "where it came"), (17.0, 18.0, "third")]);
        assert_eq!(cues[0].speaker.as_deref(), Some("al ice"));
        assert!(captions.cues(&(0..0)).is_empty() && Captions::default().cues(&(0..SECOND)).is_empty());
        assert_eq!(captions.cues(&(97 * SECOND..97 * SECOND + 10)).len(), 1, "cut at the file's end");
    }

    proptest::proptest! {
        #[test]
        fn fuzz_captions(facts: Vec<(i64, Option<f64>, String)>, clock: Vec<(f64, i64)>, from: i64, to: i64) {
            let facts = facts.into_iter().map(|(at, ntp, text)| fact(at, ntp, &text)).collect();
            let cues = Captions::new(facts, clock).cues(&(from..to));
            proptest::prop_assert!(cues.windows(2).all(|pair| pair[0].end <= pair[1].start));
            webvtt(&cues);
            json(&cues);
        }
    }
}
