//! Hears one live playlist to its end: segments placed, told, decoded; trouble told and asked about.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use url::Url;

use self::chat::Chat;
use self::ear::Ear;
use self::hearing::Hearing;
use self::words::Words;
use super::api::XApi;
use super::chat::ChatFact;
use super::error::ApiError;
use super::metadata::Metadata;
use super::quiet::{Quiet, Verdict};
use super::segment::{self, Split};
use super::timeline::{Piece, Place, Timeline};
use super::{Reporter, SpaceId, XSpaceSource, lookup};
use crate::config::XApiConfig;
use crate::gst::decode::DecoderOutput;
use crate::media::AAC_FRAME_SAMPLES;
use crate::source::hls::edges::Edges;
use crate::source::hls::late::{Had, LateBook, Wanted};
use crate::source::hls::playlist::Entry;
use crate::source::hls::tracker::{Progress, Tracker};
use crate::source::hls::{Fetched, HlsEvent, HlsReader, Hole, Trouble};
use crate::source::{Notice, Segment, SessionInfo, SessionPhase, SourceEnd, SourceError, SourceEvent};

mod chat;
mod ear;
mod hearing;
mod holes;
mod words;

/// How often the time alone may change something.
const TICK: Duration = Duration::from_millis(250);

/// How long segments that are missing at the end of a session are still tried.
const LATE_PATIENCE: Duration = Duration::from_secs(120);

/// What X says of a running session, and where its playlist is if that was asked.
type Answer = Result<(Metadata, Option<Url>), ApiError>;

/// A question that is on its way.
type Question = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// One hearing of one playlist.
pub(super) struct Follow {
    reporter: Reporter,
    reader: HlsReader,
    /// Where the playlist is read.
    url: Url,
    /// Where X said last that it is.
    said_url: Url,
    timeline: Timeline,
    ear: Ear,
    hearing: Hearing,
    /// Listed and not delivered yet.
    listed: VecDeque<Entry>,
    /// Given up, and not told yet: how long it is shows when the next segment has its place.
    holes: Vec<(Hole, u64)>,
    /// Samples told as missing since the last segment.
    told_missing: u64,
    quiet: Quiet,
    words: Words,
    /// Whom to ask about what.
    api: Option<(Arc<XApi>, SpaceId)>,
    question: Option<Question>,
    /// The Space's chat, once it can be read.
    chat: Option<Chat>,
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
        let timeline = Timeline::new(resume);
        let clock = reporter.clock().clone();
        reporter.want_missing();
        let tracker = Tracker::new(progress.as_ref());
        let reader =
            HlsReader::new(source.client.clone(), clock.clone(), url.clone(), headers(&source.config), tracker)
                .with_edges(Edges::new(&source.config.edges))
                .with_check(segment::looks)
                .with_late(reporter.memory.late.clone());
        let mut quiet = Quiet::new(id.is_some(), source.config.lookup_interval, clock.now());
        if reporter.known().title.is_none() {
            quiet.ask_now(clock.now());
        }
        Ok(Self {
            quiet,
            api: id.map(|id| (source.api.clone(), id)),
            reporter,
            reader,
            said_url: url.clone(),
            url,
            timeline,
            ear: Ear::begin().await?,
            hearing: Hearing::default(),
            listed: VecDeque::new(),
            holes: Vec::new(),
            told_missing: 0,
            words: Words::default(),
            question: None,
            chat: None,
            heard: false,
        })
    }

    /// X says that the session is over: only what is still listed is heard.
    pub(super) fn leftovers(mut self) -> Self {
        self.quiet.leftovers(self.now());
        self
    }

    /// Hears the playlist until the session is over.
    pub(super) async fn run(mut self) -> Result<SourceEnd, SourceError> {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let question_due = self.quiet.next_question().filter(|_| self.question.is_none());
            tokio::select! {
                event = self.reader.next() => self.on_event(event).await?,
                output = self.ear.next() => self.on_decoded(output).await?,
                answer = pending(&mut self.question) => self.on_answer(answer).await?,
                fact = chat::heard(&mut self.chat) => self.on_chat(fact).await?,
                () = until(question_due) => self.ask(),
                _ = tick.tick() => self.on_tick().await?,
            }
            if self.reader.is_drained() && self.quiet.verdict(self.now()) == Verdict::Over {
                return self.end().await;
            }
        }
    }

    fn now(&self) -> Instant {
        self.reporter.clock().now()
    }

    fn late(&self) -> MutexGuard<'_, LateBook> {
        self.reporter.memory.late.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn on_event(&mut self, event: HlsEvent) -> Result<(), SourceError> {
        match event {
            HlsEvent::Listed(entries) => {
                self.quiet.on_news();
                let back = self.words.on_news(self.now());
                self.reporter.notice(back).await?;
                self.listed.extend(entries);
                self.tell_edge().await
            }
            HlsEvent::Segment(fetched) => self.on_segment(fetched).await,
            HlsEvent::Missing(hole) => {
                self.on_hole(hole);
                Ok(())
            }
            HlsEvent::Late(had) => self.on_late(*had).await,
            HlsEvent::Moved(url) => self.on_moved(url, "the playlist's own edge gives nothing new").await,
            HlsEvent::Trouble(trouble) => self.on_trouble(trouble).await,
            HlsEvent::Ended => {
                self.quiet.on_list_end(self.now());
                self.words.on_list_end(self.now());
                self.tell_holes(None).await
            }
        }
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
        self.late().had(&entry.name);
        let split = segment::split(&bytes);
        let place = self.timeline.place(&Piece {
            frames: Some(split.duration),
            rest: split.rest,
            damaged: split.bad_bytes > 0,
            ticks: split.timestamp,
            ..listed_piece(&entry)
        });
        self.tell_holes(Some(place)).await?;
        self.heard = true;
        self.hearing.on_segment(self.now());
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
            self.ear.push(place.media_time + frame.offset as i64, frame.bytes);
        }
        Ok(())
    }

    async fn on_trouble(&mut self, trouble: Trouble) -> Result<(), SourceError> {
        if let Trouble::Refused(words) = &trouble {
            return Err(SourceError::operator(format!("the playlist cannot be read: {words}")));
        }
        self.quiet.on_trouble(&trouble, self.now());
        self.words.on_trouble(&trouble, self.now());
        if self.reader.is_drained() {
            self.tell_holes(None).await?;
        }
        Ok(())
    }

    async fn on_decoded(&mut self, output: DecoderOutput) -> Result<(), SourceError> {
        let event = match output {
            DecoderOutput::Audio(block) => {
                let notice = self.hearing.on_block(&block);
                self.reporter.notice(notice).await?;
                SourceEvent::Audio(block)
            }
            DecoderOutput::Errors { count } => SourceEvent::DecodeErrors { count },
        };
        self.reporter.send(event).await
    }

    async fn on_chat(&mut self, fact: ChatFact) -> Result<(), SourceError> {
        match fact {
            ChatFact::SpaceEnded => {}
            ChatFact::Caption(caption) => return self.reporter.send(SourceEvent::Caption(caption)).await,
            fact => {
                tracing::debug!(?fact, "Chat told something.");
                return Ok(());
            }
        }
        self.quiet.on_chat_end(self.now());
        let message = "the chat says that the Space is over; it is heard on until the playlist or X says so too";
        self.reporter.notice(Some(Notice::info("source.chat_ended", message))).await
    }

    async fn on_tick(&mut self) -> Result<(), SourceError> {
        if let (Some((api, _)), None) = (&self.api, &self.chat) {
            self.chat = Chat::join(api);
        }
        let now = self.now();
        let unsure = self.question.is_some() && !self.words.is_told();
        let trouble = self.words.on_tick(self.quiet.is_told_alive() && !unsure, now);
        self.reporter.notice(trouble).await?;
        let mute = self.hearing.on_tick(now);
        self.reporter.notice(mute).await?;
        let replaced = self.ear.tend(now).await?;
        self.reporter.notice(replaced).await
    }

    fn ask(&mut self) {
        let Some((api, id)) = self.api.clone() else { return };
        self.quiet.on_question(self.now());
        // The host may come back on another edge of the CDN: the address is asked for again only when nothing arrives.
        let again = self.quiet.is_quiet();
        self.question = Some(Box::pin(async move {
            let metadata = api.space(&id).await?;
            let url = if again { lookup::stream(&api, &metadata).await.ok().flatten() } else { None };
            Ok((metadata, url))
        }));
    }

    async fn on_answer(&mut self, answer: Answer) -> Result<(), SourceError> {
        self.question = None;
        let now = self.now();
        match answer {
            Ok((metadata, url)) => {
                self.reporter.api_well().await?;
                self.quiet.on_state(metadata.state, now);
                // X may go on naming an edge that was left for good reason: only a new word counts.
                if let Some(url) = url.filter(|url| *url != self.said_url) {
                    self.said_url = url.clone();
                    self.reader.set_url(url.clone());
                    self.on_moved(url, "X names another address").await?;
                }
                self.tell_session(&metadata).await
            }
            Err(error) => {
                self.quiet.on_error(&error, now);
                self.reporter.api_trouble(&error).await
            }
        }
    }

    async fn on_moved(&mut self, url: Url, why: &str) -> Result<(), SourceError> {
        let host = crate::text::plain(url.host_str().unwrap_or_default(), 100);
        self.url = url;
        self.reporter.remember(&self.url);
        let message = format!("{why}: the Space is now read from {host}");
        self.reporter.notice(Some(Notice::info("source.moved", message))).await?;
        let known = SessionInfo { playlist_url: Some(self.url.to_string()), ..self.reporter.known() };
        self.reporter.session(known).await
    }

    /// The platform's word that it is over counts only with another: until then the session goes on.
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
        while let Some(output) = self.ear.last().await {
            self.on_decoded(output).await?;
        }
        self.last_late().await?;
        let known = self.reporter.known();
        self.reporter.session(SessionInfo { phase: SessionPhase::Ended, ..known }).await?;
        Ok(SourceEnd::SessionEnded)
    }

    /// What is still missing is tried once more at once, and as long as a server does not answer at all.
    async fn last_late(&mut self) -> Result<(), SourceError> {
        let now = tokio::time::Instant::now();
        self.late().hurry(now);
        while let Ok(Some(had)) = tokio::time::timeout_at(now + LATE_PATIENCE, self.reader.next_late()).await {
            self.on_late(had).await?;
        }
        Ok(())
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
