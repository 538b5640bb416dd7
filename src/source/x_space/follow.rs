//! Hears one live playlist to its end: segments placed, told, decoded; trouble told and asked about.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use url::Url;

use super::api::XApi;
use super::error::ApiError;
use super::metadata::Metadata;
use super::quiet::{Quiet, Verdict};
use super::segment::{self, Split};
use super::timeline::{Piece, Place, Timeline};
use super::{Reporter, SpaceId, XSpaceSource, lookup};
use crate::config::XApiConfig;
use crate::gst::decode::{AacDecoder, DecoderOutput};
use crate::media::AAC_FRAME_SAMPLES;
use crate::source::hls::playlist::Entry;
use crate::source::hls::tracker::{Progress, Tracker};
use crate::source::hls::{Fetched, HlsEvent, HlsReader, Hole, Trouble};
use crate::source::{MissingSpan, Segment, SessionInfo, SessionPhase, SourceEnd, SourceError, SourceEvent};

/// A decoder that was told that nothing follows hands out what it holds within this.
const DECODER_REST: Duration = Duration::from_millis(500);

/// What X says of a running session.
type Answer = Result<(Metadata, Option<Url>), ApiError>;

/// A question that is on its way.
type Question = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// One hearing of one playlist.
pub(super) struct Follow {
    reporter: Reporter,
    reader: HlsReader,
    url: Url,
    timeline: Timeline,
    decoder: AacDecoder,
    decoded: mpsc::UnboundedReceiver<DecoderOutput>,
    /// Listed and not delivered yet.
    listed: VecDeque<Entry>,
    /// Given up, and not told yet: how long it is shows when the next segment has its place.
    holes: Vec<(Hole, u64)>,
    /// Samples told as missing since the last segment.
    told_missing: u64,
    quiet: Quiet,
    /// Whom to ask about what.
    api: Option<(Arc<XApi>, SpaceId)>,
    question: Option<Question>,
    /// The trouble that was told last.
    told: Option<std::mem::Discriminant<Trouble>>,
    told_error: Option<String>,
    heard: bool,
}

/// Headers of every request at the CDN: it looks at where a listener comes from (yt-dlp issues 5565 and 8029).
pub(super) fn headers(config: &XApiConfig) -> Vec<(&'static str, String)> {
    vec![("referer", config.referer.to_string()), ("origin", config.referer.origin().ascii_serialization())]
}

impl Follow {
    /// Begins to hear `url`; `id` is the Space to ask about, if there is anybody to ask.
    pub(super) async fn begin(
        source: &XSpaceSource,
        reporter: Reporter,
        url: Url,
        id: Option<SpaceId>,
    ) -> Result<Self, SourceError> {
        let resume = reporter.media_resume();
        let progress = resume.map(|resume| Progress {
            last_sequence: resume.last_sequence,
            program_date_time: resume.program_date_time.map(|(date, _)| date),
        });
        let tracker = Tracker::new(progress.as_ref());
        let timeline = Timeline::new(resume);
        let clock = reporter.clock().clone();
        let reader =
            HlsReader::new(source.client.clone(), clock.clone(), url.clone(), headers(&source.config), tracker);
        let (output, decoded) = mpsc::unbounded_channel();
        // Starting a pipeline blocks.
        let decoder = tokio::task::spawn_blocking(move || AacDecoder::new(output)).await;
        let decoder = decoder.map_err(|error| SourceError::operator(format!("the decoder broke: {error}")))?;
        let decoder = decoder.map_err(|error| SourceError::operator(error.to_string()))?;
        Ok(Self {
            quiet: Quiet::new(id.is_some(), source.config.lookup_interval, clock.now()),
            api: id.map(|id| (source.api.clone(), id)),
            reporter,
            reader,
            url,
            timeline,
            decoder,
            decoded,
            listed: VecDeque::new(),
            holes: Vec::new(),
            told_missing: 0,
            question: None,
            told: None,
            told_error: None,
            heard: false,
        })
    }

    /// The session is known to be over: only what is still listed is heard.
    pub(super) fn leftovers(mut self) -> Self {
        self.quiet.leftovers();
        self
    }

    /// Hears the playlist until the session is over.
    pub(super) async fn run(mut self) -> Result<SourceEnd, SourceError> {
        loop {
            let question_due = self.quiet.next_question().filter(|_| self.question.is_none());
            tokio::select! {
                event = self.reader.next() => self.on_event(event).await?,
                Some(output) = self.decoded.recv() => self.on_decoded(output).await?,
                answer = pending(&mut self.question) => self.on_answer(answer).await?,
                () = until(question_due) => self.ask(),
            }
            if self.reader.is_drained() && self.quiet.verdict(self.now()) == Verdict::Over {
                return self.end().await;
            }
        }
    }

    fn now(&self) -> Instant {
        self.reporter.clock().now()
    }

    async fn on_event(&mut self, event: HlsEvent) -> Result<(), SourceError> {
        match event {
            HlsEvent::Listed(entries) => {
                self.on_news();
                self.listed.extend(entries);
                self.tell_edge().await
            }
            HlsEvent::Segment(fetched) => {
                self.on_news();
                self.on_segment(fetched).await
            }
            HlsEvent::Missing(hole) => {
                self.on_hole(hole);
                Ok(())
            }
            HlsEvent::Trouble(trouble) => self.on_trouble(trouble).await,
            HlsEvent::Ended => {
                self.quiet.on_list_end(self.now());
                self.tell_holes(None).await
            }
        }
    }

    fn on_news(&mut self) {
        self.told = None;
        self.quiet.on_news();
    }

    /// Foretells where the end of what is listed will lie.
    async fn tell_edge(&mut self) -> Result<(), SourceError> {
        let mut foretold = self.timeline.clone();
        let mut piece = 0;
        for entry in &self.listed {
            piece = foretold.place(&listed_piece(entry)).duration;
        }
        self.reporter.send(SourceEvent::Edge { end: foretold.end(), piece }).await
    }

    async fn on_segment(&mut self, fetched: Fetched) -> Result<(), SourceError> {
        let Fetched { entry, bytes, listed_at } = fetched;
        self.listed.retain(|listed| listed.sequence > entry.sequence);
        let split = segment::split(&bytes);
        let place = self.timeline.place(&Piece {
            frames: Some(split.duration),
            damaged: split.bad_bytes > 0,
            ticks: split.timestamp,
            ..listed_piece(&entry)
        });
        self.tell_holes(Some(place)).await?;
        self.heard = true;
        let segment = Segment {
            sequence: entry.sequence,
            name: entry.name,
            bytes,
            media_time: place.media_time,
            duration: place.duration,
            program_date_time: entry.program_date_time,
            discontinuity: entry.discontinuity,
            listed_at,
            facts: split.facts.clone(),
        };
        self.reporter.send(SourceEvent::Segment(Box::new(segment))).await?;
        self.decode(split, place).await
    }

    async fn decode(&mut self, split: Split, place: Place) -> Result<(), SourceError> {
        if split.bad_bytes > 0 {
            tracing::debug!(bytes = split.bad_bytes, "Segment holds bytes that are neither frame nor tag.");
        }
        if split.frames.is_empty() {
            let count = place.duration.div_ceil(AAC_FRAME_SAMPLES);
            return self.reporter.send(SourceEvent::DecodeErrors { count }).await;
        }
        for frame in split.frames {
            self.decoder.push(place.media_time + frame.offset as i64, frame.bytes);
        }
        Ok(())
    }

    fn on_hole(&mut self, hole: Hole) {
        self.listed.retain(|listed| listed.sequence > hole.last_sequence);
        let before = self.timeline.lost();
        let listed = hole.entry.as_ref().map(|entry| entry.duration);
        self.timeline.give_up(hole.first_sequence, hole.last_sequence, listed);
        self.holes.push((hole, self.timeline.lost() - before));
    }

    /// Tells what is missing: up to the next segment, or as far as the playlist's durations tell.
    async fn tell_holes(&mut self, next: Option<Place>) -> Result<(), SourceError> {
        let holes = std::mem::take(&mut self.holes);
        let before = if next.is_some() { self.timeline.end_before_last() } else { self.timeline.end() };
        let start = before + self.told_missing as i64;
        let spans = spans(&holes, start, next);
        let told: u64 = spans.iter().map(|span| span.duration).sum();
        self.told_missing = if next.is_some() { 0 } else { self.told_missing + told };
        for span in spans {
            self.reporter.send(SourceEvent::Missing(span)).await?;
        }
        Ok(())
    }

    async fn on_trouble(&mut self, trouble: Trouble) -> Result<(), SourceError> {
        if let Trouble::Refused(words) = &trouble {
            return Err(SourceError::operator(format!("the playlist cannot be read: {words}")));
        }
        self.quiet.on_trouble(&trouble, self.now());
        if self.reader.is_drained() {
            self.tell_holes(None).await?;
        }
        let kind = std::mem::discriminant(&trouble);
        if self.told.replace(kind) == Some(kind) {
            return Ok(());
        }
        let hint = match trouble {
            Trouble::Status(403) => "; X's CDN may want another x.referer or x.user_agent",
            _ => "",
        };
        self.reporter.stalled(format!("{trouble}{hint}")).await
    }

    async fn on_decoded(&mut self, output: DecoderOutput) -> Result<(), SourceError> {
        let event = match output {
            DecoderOutput::Audio(block) => SourceEvent::Audio(block),
            DecoderOutput::Errors { count } => SourceEvent::DecodeErrors { count },
        };
        self.reporter.send(event).await
    }

    fn ask(&mut self) {
        let Some((api, id)) = self.api.clone() else { return };
        self.quiet.on_question(self.now());
        // The host may come back on another edge of the CDN: the address is asked for again only when nothing arrives.
        let again = self.told.is_some();
        self.question = Some(Box::pin(async move {
            let metadata = api.space(&id).await?;
            let url = if again { lookup::stream(&api, &metadata).await.ok().flatten() } else { None };
            Ok((metadata, url))
        }));
    }

    async fn on_answer(&mut self, answer: Answer) -> Result<(), SourceError> {
        self.question = None;
        match answer {
            Ok((metadata, url)) => {
                self.told_error = None;
                self.quiet.on_state(metadata.state);
                if let Some(url) = url.filter(|url| *url != self.url) {
                    tracing::info!(host = url.host_str(), "Playlist moved.");
                    self.reader.set_url(url.clone());
                    self.url = url;
                }
                self.tell_session(&metadata).await
            }
            Err(error) => {
                self.quiet.on_error(&error, self.now());
                let words = error.to_string();
                if self.told_error.replace(words.clone()) == Some(words.clone()) {
                    return Ok(());
                }
                self.reporter.stalled(format!("{words}; the playlist that is known is read on")).await
            }
        }
    }

    /// The platform's word that it is over counts only with the playlist's: until then the session goes on.
    async fn tell_session(&mut self, metadata: &Metadata) -> Result<(), SourceError> {
        let said = metadata.session(&self.reporter.info.id);
        let phase = if said.phase == SessionPhase::Ended { SessionPhase::Live } else { said.phase };
        let playlist_url = Some(self.url.to_string());
        self.reporter.session(SessionInfo { phase, playlist_url, ..said }).await
    }

    async fn end(mut self) -> Result<SourceEnd, SourceError> {
        self.tell_holes(None).await?;
        if !self.heard && self.api.is_none() && self.reporter.resume.is_none() {
            return Err(SourceError::gone(
                "the playlist is not there: the Space has not begun or is over; copy the address anew while the Space is live",
            ));
        }
        self.decoder.finish();
        while let Ok(Some(output)) = tokio::time::timeout(DECODER_REST, self.decoded.recv()).await {
            self.on_decoded(output).await?;
        }
        let known = self.reporter.known();
        self.reporter.session(SessionInfo { phase: SessionPhase::Ended, ..known }).await?;
        Ok(SourceEnd::SessionEnded)
    }
}

fn listed_piece(entry: &Entry) -> Piece {
    Piece {
        sequence: entry.sequence,
        date: entry.program_date_time,
        discontinuity: entry.discontinuity,
        listed: entry.duration,
        ..Piece::default()
    }
}

/// Missing spans one after the other from `start`; the last one reaches to `next`, whose place is certain.
fn spans(holes: &[(Hole, u64)], start: i64, next: Option<Place>) -> Vec<MissingSpan> {
    let mut at = start;
    let mut spans = Vec::with_capacity(holes.len());
    for (index, (hole, estimate)) in holes.iter().enumerate() {
        let left = next.map(|next| (next.media_time - at).max(0) as u64);
        let is_last = index + 1 == holes.len();
        let duration = left.map_or(*estimate, |left| if is_last { left } else { left.min(*estimate) });
        // Numbers that were skipped without any time between hide no audio.
        if duration > 0 || hole.entry.is_some() {
            spans.push(MissingSpan {
                first_sequence: hole.first_sequence,
                last_sequence: hole.last_sequence,
                names: hole.entry.iter().map(|entry| entry.name.clone()).collect(),
                media_time: at,
                duration,
                cause: hole.cause.clone(),
            });
        }
        at += duration as i64;
    }
    spans
}

async fn pending(question: &mut Option<Question>) -> Answer {
    match question {
        Some(question) => question.await,
        None => std::future::pending().await,
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hole(first: u64, last: u64, entry: Option<Entry>) -> Hole {
        Hole { first_sequence: first, last_sequence: last, entry, cause: "test".into() }
    }

    fn entry(sequence: u64) -> Option<Entry> {
        let name = format!("chunk_{sequence}");
        Some(Entry { sequence, url: None, name, duration: 100, program_date_time: None, discontinuity: false })
    }

    #[test]
    fn missing_spans_fill_the_hole_to_the_sample() {
        let holes = [(hole(5, 5, entry(5)), 100), (hole(6, 9, None), 400)];
        let next = Some(Place { media_time: 1512, duration: 9 });
        let told: Vec<_> = spans(&holes, 1000, next).iter().map(|span| (span.media_time, span.duration)).collect();
        assert_eq!(told, [(1000, 100), (1100, 412)]);
        let estimated: Vec<_> = spans(&holes, 1000, None).iter().map(|span| (span.media_time, span.duration)).collect();
        assert_eq!(estimated, [(1000, 100), (1100, 400)]);
    }

    #[test]
    fn numbers_that_hide_no_audio_are_not_told_as_missing() {
        let next = Some(Place { media_time: 1000, duration: 9 });
        assert!(spans(&[(hole(6, 9, None), 400)], 1000, next).is_empty());
        assert_eq!(spans(&[(hole(6, 6, entry(6)), 400)], 1000, next)[0].duration, 0);
    }
}
