//! One attempt at one address: joins the reader, the body that feeds it, and the pace at which its audio is told.

use std::pin::pin;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use super::hls;
use super::http::{self, BodyEnd};
use super::pacer::Pacer;
use crate::gst::uri::{UriKind, UriOutput, UriReader};
use crate::gst::{BusEvent, FaultKind, GstError};
use crate::media::PcmBlock;
use crate::net::Incoming;
use crate::source::hls::HlsReader;
use crate::source::{SessionInfo, SessionPhase, SourceContext, SourceEnd, SourceError, SourceEvent};

/// A stream that gives nothing for this long is over.
const SILENCE: Duration = Duration::from_secs(10);

/// What a reader that came to its end still holds comes within this.
const LAST_WORDS: Duration = Duration::from_millis(300);

/// Segments of HLS come whole, and may be 10 s long: what is silent for longer than their playlist's own patience is over.
const HLS_SILENCE: Duration = Duration::from_secs(35);

/// A reader that has all bytes of a body reads them within this, or cannot.
const AFTER_BODY: Duration = Duration::from_secs(3);

/// What is told of the session once its first audio is there.
pub(super) struct Fresh<'a> {
    pub(super) id: &'a str,
    pub(super) title: Option<String>,
    /// What errors call the source.
    pub(super) label: String,
}

/// The task that reads a body into the reader.
type Feed = AbortOnDropHandle<Result<BodyEnd, SourceError>>;

/// A running attempt.
pub(super) struct Listening<'a> {
    context: &'a SourceContext,
    reader: UriReader,
    outputs: mpsc::Receiver<UriOutput>,
    feed: Option<Feed>,
    body_end: Option<BodyEnd>,
    kind: UriKind,
    label: String,
    /// What is told before the first audio; none once it was.
    info: Option<SessionInfo>,
    /// Media time of the reader's first sample.
    base: i64,
    /// How long the reader may give nothing.
    silence: Duration,
    pacer: Pacer,
    /// Whether any audio was decoded.
    heard: bool,
    /// When the reader last gave something, or was not asked to.
    last: Instant,
    /// How it came to its end; what was read before is still told.
    over: Option<Result<SourceEnd, SourceError>>,
    /// Whether everything that the reader held was taken.
    dry: bool,
}

impl<'a> Listening<'a> {
    /// Starts a reader of `location`.
    pub(super) async fn start(
        kind: UriKind,
        location: &str,
        fresh: Fresh<'_>,
        context: &'a SourceContext,
    ) -> Result<Self, SourceError> {
        let (sender, outputs) = mpsc::channel(64);
        let label = fresh.label;
        let reader = UriReader::new(kind, location, sender).map_err(|error| not_started(&label, &error))?;
        reader.play().await.map_err(|error| not_started(&label, &error))?;
        let info = SessionInfo {
            id: fresh.id.to_owned(),
            title: fresh.title,
            phase: SessionPhase::Live,
            ..SessionInfo::default()
        };
        let resume = context.resume.as_ref().filter(|resume| resume.session_id == info.id);
        Ok(Self {
            context,
            reader,
            outputs,
            feed: None,
            body_end: None,
            kind,
            label,
            base: resume.map_or(0, |resume| resume.media_time),
            info: Some(info),
            silence: SILENCE,
            pacer: Pacer::default(),
            heard: false,
            last: Instant::now(),
            over: None,
            dry: false,
        })
    }

    /// With `body` as the reader's bytes.
    pub(super) fn fed_by(mut self, body: Incoming) -> Self {
        if let Some(input) = self.reader.input() {
            let label = self.label.clone();
            self.feed = Some(AbortOnDropHandle::new(tokio::spawn(http::feed(body, input, label))));
        }
        self
    }

    /// With the segments of an HLS playlist as the reader's bytes.
    pub(super) fn fed_by_hls(mut self, hls: HlsReader) -> Self {
        self.silence = HLS_SILENCE;
        if let Some(input) = self.reader.input() {
            let (label, events) = (self.label.clone(), self.context.events.clone());
            self.feed = Some(AbortOnDropHandle::new(tokio::spawn(hls::feed(hls, input, label, events))));
        }
        self
    }

    /// Reads until the end.
    pub(super) async fn run(mut self) -> Result<SourceEnd, SourceError> {
        let mut bus = pin!(self.reader.events());
        let token = self.context.token.clone();
        let mut bus_open = true;
        while !(self.dry && self.pacer.is_empty()) {
            let now = Instant::now();
            let room = self.pacer.has_room() && !self.dry;
            if !room {
                self.last = now;
            }
            let due = self.pacer.next_due(now).unwrap_or(now + SILENCE);
            let quiet = self.last + self.patience();
            tokio::select! {
                () = token.cancelled() => {
                    self.over = Some(Ok(SourceEnd::Cancelled));
                    break;
                }
                event = bus.next(), if bus_open => match event {
                    Some(event) => {
                        self.hear_feed_out(&event).await;
                        self.on_bus(event);
                    }
                    None => bus_open = false,
                },
                result = finished(&mut self.feed) => self.on_body(result),
                output = self.outputs.recv(), if room => match output {
                    Some(output) => self.on_output(output).await?,
                    None => self.on_quiet(),
                },
                () = tokio::time::sleep_until(due.into()) => self.tell_due().await?,
                () = tokio::time::sleep_until(quiet.into()), if room => self.on_quiet(),
            }
        }
        self.stop().await
    }

    /// How long to wait for the reader's next word.
    fn patience(&self) -> Duration {
        match (&self.over, self.body_end) {
            (Some(_), _) => LAST_WORDS,
            (None, Some(_)) => AFTER_BODY,
            (None, None) => self.silence,
        }
    }

    /// The bytes end because their feed did, and it knows why: its reason comes before the reader's.
    async fn hear_feed_out(&mut self, event: &BusEvent) {
        if matches!(event, BusEvent::Eos)
            && self.feed.is_some()
            && let Ok(result) = tokio::time::timeout(LAST_WORDS, finished(&mut self.feed)).await
        {
            self.on_body(result);
        }
    }

    fn on_bus(&mut self, event: BusEvent) {
        match event {
            BusEvent::Eos => {
                let whole = self.kind == UriKind::File || self.body_end == Some(BodyEnd::Whole);
                let end = match (self.heard, whole) {
                    (true, true) => Ok(SourceEnd::SessionEnded),
                    (true, false) => Err(SourceError::transient(format!("{} ended its stream", self.label))),
                    (false, _) => Err(self.unreadable()),
                };
                self.end(end);
            }
            BusEvent::Fault(fault) => {
                // The fault's own words may quote the address.
                tracing::debug!(element = fault.element, kind = ?fault.kind, "Reader failed.");
                let error = self.explain(fault.kind);
                self.end(Err(error));
            }
        }
    }

    fn on_body(&mut self, result: Result<BodyEnd, SourceError>) {
        match result {
            Ok(end) => self.body_end = Some(end),
            Err(error) => self.end(Err(error)),
        }
    }

    async fn on_output(&mut self, output: UriOutput) -> Result<(), SourceError> {
        self.last = Instant::now();
        if let Some(info) = self.info.take() {
            self.tell(SourceEvent::Session(info)).await?;
        }
        match output {
            UriOutput::Capture(bytes) => self.tell(SourceEvent::Capture(bytes)).await,
            UriOutput::Audio(block) => {
                self.heard = true;
                self.pacer.push(PcmBlock { media_time: self.base + block.media_time, ..block });
                Ok(())
            }
        }
    }

    async fn tell_due(&mut self) -> Result<(), SourceError> {
        while let Some(block) = self.pacer.pop(Instant::now()) {
            self.tell(SourceEvent::Audio(block)).await?;
        }
        Ok(())
    }

    async fn tell(&self, event: SourceEvent) -> Result<(), SourceError> {
        self.context.send(event).await
    }

    /// The reader gave nothing for as long as one waits for it.
    fn on_quiet(&mut self) {
        if self.over.is_some() {
            self.dry = true;
        } else if self.kind == UriKind::Bytes && !self.heard {
            // A body that is silent is told by the client: this one has bytes.
            self.end(Err(self.unreadable()));
        } else {
            self.end(Err(self.silent()));
        }
    }

    fn silent(&self) -> SourceError {
        let (label, seconds) = (&self.label, self.silence.as_secs());
        SourceError::transient(match self.heard {
            true => format!("{label} sends nothing any more, for {seconds} s"),
            false => format!(
                "{label} sends nothing that can be played, for {seconds} s; check that it is on the air and the address \
                 is right"
            ),
        })
    }

    /// Notes the first reason for the end.
    fn end(&mut self, end: Result<SourceEnd, SourceError>) {
        if self.over.is_none() {
            self.over = Some(end);
            self.last = Instant::now();
        }
    }

    /// Takes what the reader still holds for the recording, and ends it.
    async fn stop(mut self) -> Result<SourceEnd, SourceError> {
        // Its threads wait for room in the channel: closed, it lets them go.
        self.outputs.close();
        while let Ok(output) = self.outputs.try_recv() {
            if let (UriOutput::Capture(bytes), None) = (output, &self.info) {
                self.tell(SourceEvent::Capture(bytes)).await?;
            }
        }
        drop(self.feed.take());
        if let Err(error) = self.reader.stop().await {
            tracing::warn!(%error, "Reader did not stop.");
        }
        self.over.unwrap_or(Ok(SourceEnd::Cancelled))
    }

    fn explain(&self, kind: FaultKind) -> SourceError {
        let label = &self.label;
        match (kind, self.heard) {
            (FaultKind::Stream, false) => self.unreadable(),
            (FaultKind::Stream, true) => {
                SourceError::transient(format!("{label} went on with something that is no audio of a known kind"))
            }
            (FaultKind::NotAuthorized, _) => SourceError::operator(format!(
                "{label} lets nobody listen without a login or key; use an address that works in a player"
            )),
            (FaultKind::Tls, _) => {
                SourceError::operator(format!("the certificate of {label} is not trusted; use its right host name"))
            }
            (_, _) if self.kind == UriKind::File => SourceError::operator("the file of the source cannot be read"),
            (_, true) => SourceError::transient(format!("the connection to {label} broke")),
            (_, false) => SourceError::transient(format!(
                "{label} cannot be reached, or has nothing on the air at this address; check that it is published"
            )),
        }
    }

    fn unreadable(&self) -> SourceError {
        SourceError::operator(format!(
            "{} holds no audio that can be played; use MP3, AAC, Opus, Vorbis, FLAC or WAV",
            self.label
        ))
    }
}

fn not_started(label: &str, error: &GstError) -> SourceError {
    if error.is_permanent() {
        return SourceError::operator(error.to_string());
    }
    SourceError::transient(format!("{label} cannot be read: its reader did not start"))
}

/// The body's end, once; never, where there is no body.
async fn finished(feed: &mut Option<Feed>) -> Result<BodyEnd, SourceError> {
    let Some(running) = feed else { return std::future::pending().await };
    let result = running.await;
    *feed = None;
    result.unwrap_or_else(|error| Err(SourceError::operator(format!("the source broke: {error}; please report this"))))
}
