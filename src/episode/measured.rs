//! A session's measurement made whole: what was not measured on the air is measured from what was recorded.
//!
//! Bounded by the decoder: it runs on every core. Reads the recording and adds to its derived data, nothing else.

use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::error::EpisodeError;
use super::progress::Progress;
use super::reel::{self, Reel, ReelEvent};
use crate::gst::decode_frames::{DecodeConfig, FrameDecoder};
use crate::measure::{self, HOP_SAMPLES, HOPS, Measurement, Meter, Second};
use crate::media::{SAMPLE_RATE, StereoSample};
use crate::recording::{Archive, SessionArchive, folder_name};

/// Media that is decoded in one go: 5 minutes. What a stop throws away, and what cores share.
const PIECE: i64 = 300 * SAMPLE_RATE as i64;

/// Decoded before what is wanted, so that decoder and filters have settled: half a second.
const LEAD: i64 = SAMPLE_RATE as i64 / 2;

/// Decoded behind it, since a resampler holds a little back.
const TAIL: i64 = 4096;

/// Segments whose ends differ by less follow each other: rounding.
const ROUNDING: i64 = 1024;

/// Samples that are given to the meter at once.
const BATCH: usize = 48_000;

/// A whole measurement, and what it took.
#[derive(Debug, Clone, Default)]
pub struct Completed {
    /// All that is known.
    pub measurement: Measurement,
    /// Samples that were decoded for it.
    pub decoded: u64,
    /// Frames among them that could not be decoded: silence stands in their place.
    pub undecodable: u64,
}

/// Media times that are kept of a session, in order, neighbours joined.
pub fn kept(session: &SessionArchive) -> Vec<Range<i64>> {
    let mut spans: Vec<Range<i64>> = session.segments.iter().map(|kept| kept.media_time..kept.end()).collect();
    spans.sort_by_key(|span| span.start);
    let mut joined: Vec<Range<i64>> = Vec::new();
    for span in spans {
        match joined.last_mut() {
            Some(last) if span.start <= last.end.saturating_add(ROUNDING) => last.end = last.end.max(span.end),
            _ => joined.push(span),
        }
    }
    joined
}

/// Measures what is kept of `session` and was not measured. What cannot be written beside the recording is measured all
/// the same.
///
/// # Errors
/// When there is no such session, its segments cannot be decoded, or somebody stops it.
pub fn complete(archive: &Archive, session: &str, progress: &Progress) -> Result<Completed, EpisodeError> {
    let found = archive.session(session).ok_or_else(|| EpisodeError::NoSession {
        name: session.to_owned(),
        known: archive.sessions.iter().map(|s| s.info.session.as_str()).collect::<Vec<_>>().join(", "),
    })?;
    let file = measure::file_of(&archive.folder, &folder_name(session));
    let measurement = measure::load(&file).unwrap_or_else(|error| {
        tracing::warn!(%error, "The measurement cannot be read and is made anew.");
        Measurement::default()
    });
    // A stream has no list of what it holds: it is measured as a whole or not at all.
    let stream = found.segments.is_empty() && measurement.is_empty() && !found.captures.is_empty();
    let pieces = if stream { vec![None] } else { pieces(&measurement.unmeasured(&kept(found))) };
    let work = Work {
        archive,
        session,
        progress,
        pieces,
        next: AtomicUsize::new(0),
        done: Mutex::new(Completed { measurement, ..Completed::default() }),
        file,
    };
    progress.plan(work.pieces.iter().flatten().map(|piece| piece.end.abs_diff(piece.start)).sum());
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(work.pieces.len());
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(|| work.run())).collect();
        let ended = running.into_iter().map(|thread| thread.join().map_err(|_| broken())?);
        ended.collect::<Vec<_>>().into_iter().collect::<Result<(), EpisodeError>>()
    })?;
    work.done.into_inner().map_err(|_| broken())
}

fn broken() -> EpisodeError {
    EpisodeError::Unsuitable("the measurement broke; please report this".to_owned())
}

/// Runs of media times in pieces that cores can share.
fn pieces(runs: &[Range<i64>]) -> Vec<Option<Range<i64>>> {
    let cut = |run: &Range<i64>| {
        let (start, end) = (run.start, run.end);
        let count = (end.saturating_sub(start)).div_euclid(PIECE) + 1;
        (0..count).map(move |n| start + n * PIECE..(start + (n + 1) * PIECE).min(end)).filter(|piece| !piece.is_empty())
    };
    runs.iter().flat_map(cut).map(Some).collect()
}

struct Work<'a> {
    archive: &'a Archive,
    session: &'a str,
    progress: &'a Progress,
    /// None is everything.
    pieces: Vec<Option<Range<i64>>>,
    next: AtomicUsize,
    done: Mutex<Completed>,
    file: std::path::PathBuf,
}

impl Work<'_> {
    fn run(&self) -> Result<(), EpisodeError> {
        while let Some(piece) = self.pieces.get(self.next.fetch_add(1, Ordering::Relaxed)) {
            let (seconds, heard) = self.measure(piece.as_ref())?;
            let mut done = self.done.lock().map_err(|_| broken())?;
            if let Err(error) = measure::append(&self.file, &seconds) {
                tracing::debug!(%error, "The measurement is not kept.");
            }
            seconds.into_iter().for_each(|(number, second)| done.measurement.add(number, second));
            done.decoded += heard.decoded;
            done.undecodable += heard.undecodable;
        }
        Ok(())
    }

    fn measure(&self, piece: Option<&Range<i64>>) -> Result<(Vec<(i64, Second)>, Ear), EpisodeError> {
        let range = piece.map_or_else(reel::Range::default, |piece| reel::Range {
            start: Some(piece.start - LEAD),
            end: Some(piece.end + TAIL),
        });
        let mut ear = Ear::default();
        for event in Reel::open(self.archive, self.session, range)? {
            match event? {
                ReelEvent::Part { config, origin } => {
                    let config = DecodeConfig {
                        sample_rate: config.sample_rate,
                        channels: config.channels,
                        asc: bytes::Bytes::copy_from_slice(&config.specific_config()),
                    };
                    ear.begin(&config, origin)?;
                }
                ReelEvent::Frame(frame) => {
                    self.progress.check()?;
                    ear.hear(frame)?;
                }
                ReelEvent::Pcm { .. } | ReelEvent::Foreign(_) => {}
            }
        }
        ear.end()?;
        let seconds = ear.meter.take().into_iter();
        let seconds = match piece {
            Some(piece) => seconds.filter_map(|(number, second)| within(number, second, piece)).collect(),
            None => seconds.collect(),
        };
        self.progress.advance(piece.map_or(0, |piece| piece.end.abs_diff(piece.start)));
        Ok((seconds, ear))
    }
}

/// The hops of a second that begin in `piece`; none where there are none.
fn within(number: i64, mut second: Second, piece: &Range<i64>) -> Option<(i64, Second)> {
    for (place, hop) in second.hops.iter_mut().enumerate() {
        if !piece.contains(&((number * HOPS as i64 + place as i64) * HOP_SAMPLES)) {
            *hop = None;
        }
    }
    second.hops.iter().any(Option::is_some).then_some((number, second))
}

/// Decodes parts one after the other into a meter.
#[derive(Debug, Default)]
struct Ear {
    decoder: Option<FrameDecoder>,
    /// Media time of the first of `samples`.
    at: i64,
    samples: Vec<StereoSample>,
    meter: Meter,
    decoded: u64,
    undecodable: u64,
}

impl Ear {
    fn begin(&mut self, config: &DecodeConfig, origin: i64) -> Result<(), EpisodeError> {
        self.end()?;
        self.decoder = Some(FrameDecoder::start(config)?);
        self.at = origin;
        Ok(())
    }

    fn hear(&mut self, frame: bytes::Bytes) -> Result<(), EpisodeError> {
        let Some(decoder) = &mut self.decoder else { return Ok(()) };
        decoder.push(frame)?;
        decoder.pull(&mut self.samples)?;
        if self.samples.len() >= BATCH {
            self.pass_on();
        }
        Ok(())
    }

    fn pass_on(&mut self) {
        self.meter.add(self.at, &self.samples);
        self.at += self.samples.len() as i64;
        self.decoded += self.samples.len() as u64;
        self.samples.clear();
    }

    fn end(&mut self) -> Result<(), EpisodeError> {
        let Some(mut decoder) = self.decoder.take() else { return Ok(()) };
        decoder.finish()?;
        while decoder.pull(&mut self.samples)? {
            if self.samples.len() >= BATCH {
                self.pass_on();
            }
        }
        self.pass_on();
        self.undecodable += decoder.lost();
        self.meter.end();
        Ok(())
    }
}

#[cfg(test)]
#[expect(clippy::single_range_in_vec_init, reason = "spans are lists of ranges")]
mod tests {
    use super::*;
    use crate::recording::SegmentFact;

    fn segment(media_time: i64, duration: u64) -> SegmentFact {
        let json = serde_json::json!({
            "session": "s", "sequence": 1, "name": "n", "file": "f", "bytes": 1, "sha256": "", "media_time": media_time,
            "duration": duration, "listed_at": "2026-01-02T19:00:00Z",
        });
        serde_json::from_value(json).expect("a segment")
    }

    #[test]
    fn segments_that_touch_are_one_span_in_whatever_order_they_came() {
        let mut session = SessionArchive::default();
        session.segments = vec![segment(200_000, 100), segment(0, 50_000), segment(50_010, 1000), segment(-500, 100)];
        assert_eq!(kept(&session), [-500..51_010, 200_000..200_100]);
        assert!(kept(&SessionArchive::default()).is_empty());
    }

    #[test]
    fn pieces_cover_a_run_once() {
        for length in [1, PIECE - 1, PIECE, PIECE + 1, 5 * PIECE + 7] {
            let pieces: Vec<_> = pieces(&[-77..length - 77]).into_iter().flatten().collect();
            assert_eq!(pieces.iter().map(|piece| piece.end - piece.start).sum::<i64>(), length);
            assert!(pieces.windows(2).all(|pair| pair[0].end == pair[1].start));
            assert_eq!((pieces[0].start, pieces[pieces.len() - 1].end), (-77, length - 77));
        }
        assert!(pieces(&[]).is_empty());
    }
}
