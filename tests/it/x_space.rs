//! The source `x-space` against the simulated space: what was on its tape must come out at its place, whatever fails.

use std::time::{Duration, Instant};

use spacebridge::clock::Clock;
use spacebridge::config::XApiConfig;
use spacebridge::media::SAMPLE_RATE;
use spacebridge::rehearsal::space::control::{SpaceReport, SpaceStarted};
use spacebridge::rehearsal::space::{SpaceArgs, SpaceServer};
use spacebridge::secret::Secret;
use spacebridge::source::x_space::XSpaceSource;
use spacebridge::source::x_space::auth::Auth;
use spacebridge::source::{
    MissingSpan, ResumePoint, Segment, SessionInfo, SessionPhase, Source, SourceContext, SourceEnd, SourceError,
    SourceEvent, SourceFault,
};
use tokio::sync::{SemaphorePermit, mpsc};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::support::turn_to_hear;

/// A simulated space that ends with the test.
pub(crate) struct Stage {
    pub(crate) started: SpaceStarted,
    client: reqwest::Client,
    _guard: tokio_util::sync::DropGuard,
    _turn: SemaphorePermit<'static>,
}

impl Stage {
    pub(crate) async fn open(args: SpaceArgs) -> Self {
        let _turn = turn_to_hear().await;
        let server = SpaceServer::bind(args, Clock::system()).await.expect("a space");
        let started = server.started();
        let token = CancellationToken::new();
        tokio::spawn(server.serve(token.clone().cancelled_owned()));
        Self { started, client: reqwest::Client::new(), _guard: token.drop_guard(), _turn }
    }

    pub(crate) async fn order(&self, body: impl Into<String>) {
        let body: String = body.into();
        let url = format!("{}/control", self.started.guest_base);
        let request = self.client.post(url).header("content-type", "application/json").body(body.clone());
        request.send().await.and_then(reqwest::Response::error_for_status).expect(&body);
    }

    pub(crate) async fn report(&self) -> SpaceReport {
        let url = format!("{}/control/report", self.started.guest_base);
        self.client.get(url).send().await.expect("an answer").json().await.expect("a report")
    }

    pub(crate) fn config(&self) -> XApiConfig {
        XApiConfig {
            api_base: Url::parse(&self.started.api_base).expect("a url"),
            guest_base: Url::parse(&self.started.guest_base).expect("a url"),
            chat_base: Url::parse(&self.started.guest_base).expect("a url"),
            allow_private_addresses: true,
            lookup_interval: Duration::from_secs(1),
            ..XApiConfig::default()
        }
    }

    pub(crate) fn listen(&self) -> Listening {
        Listening::start(&self.started.space_url, &self.config(), None)
    }
}

/// One attempt, and what it told.
pub(crate) struct Listening {
    events: mpsc::Receiver<SourceEvent>,
    running: JoinHandle<Result<SourceEnd, SourceError>>,
    token: CancellationToken,
    pub(crate) heard: Heard,
}

#[derive(Default)]
pub(crate) struct Heard {
    pub(crate) infos: Vec<SessionInfo>,
    pub(crate) segments: Vec<Segment>,
    pub(crate) missing: Vec<MissingSpan>,
    pub(crate) stalled: Vec<String>,
    pub(crate) late: Vec<Segment>,
    pub(crate) edges: Vec<i64>,
    /// Media times of blocks and their lengths.
    pub(crate) audio: Vec<(i64, i64)>,
    pub(crate) undecodable: u64,
    /// Codes of what people were told, in order.
    pub(crate) codes: Vec<&'static str>,
    /// Wall times at which segments arrived, in Unix ms.
    pub(crate) arrived: Vec<i64>,
}

impl Listening {
    pub(crate) fn start(url: &str, config: &XApiConfig, resume: Option<ResumePoint>) -> Self {
        let auth = Auth::LoggedIn { auth_token: Secret::new("a".repeat(40)), ct0: Secret::new("b".repeat(160)) };
        let clock = Clock::system();
        let mut source = XSpaceSource::new(url, config, auth, &clock).expect("a source");
        let (sender, events) = mpsc::channel(64);
        let token = CancellationToken::new();
        let context = SourceContext { resume, ..SourceContext::new(sender, token.clone(), clock) };
        let running = tokio::spawn(async move { source.run(context).await });
        Self { events, running, token, heard: Heard::default() }
    }

    /// Hears until `done`.
    pub(crate) async fn until(&mut self, what: &str, patience: u64, done: impl Fn(&Heard) -> bool) -> &Heard {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(patience);
        while !done(&self.heard) {
            let event = tokio::time::timeout_at(deadline, self.events.recv()).await;
            let event = event.unwrap_or_else(|_| panic!("not within {patience} s: {what}; {:?}", self.heard.stalled));
            match event {
                Some(event) => self.heard.on(event),
                None => panic!("the source ended before: {what}; {:?}", self.heard.stalled),
            }
        }
        &self.heard
    }

    /// Hears for a while, whatever comes.
    pub(crate) async fn hear_for(&mut self, time: Duration) {
        let deadline = tokio::time::Instant::now() + time;
        while let Ok(event) = tokio::time::timeout_at(deadline, self.events.recv()).await {
            self.heard.on(event.expect("the source goes on"));
        }
    }

    /// Hears to the end of the attempt.
    pub(crate) async fn end(mut self, patience: u64) -> (Heard, Result<SourceEnd, SourceError>) {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(patience);
        while let Some(event) = tokio::time::timeout_at(deadline, self.events.recv()).await.expect("an end in time") {
            self.heard.on(event);
        }
        (self.heard, self.running.await.expect("no panic"))
    }

    pub(crate) async fn stop(self) -> (Heard, Result<SourceEnd, SourceError>) {
        self.token.cancel();
        self.end(10).await
    }
}

impl Heard {
    fn on(&mut self, event: SourceEvent) {
        match event {
            SourceEvent::Session(info) => self.infos.push(info),
            SourceEvent::Segment(segment) => {
                self.arrived.push(jiff::Timestamp::now().as_millisecond());
                self.segments.push(*segment);
            }
            SourceEvent::Missing(span) => self.missing.push(span),
            SourceEvent::Stalled { reason } => self.stalled.push(reason),
            SourceEvent::Notice(notice) => {
                self.codes.push(notice.code);
                self.stalled.push(notice.message);
            }
            SourceEvent::Late(segment) => self.late.push(*segment),
            SourceEvent::Edge { end, .. } => self.edges.push(end),
            SourceEvent::Audio(block) => self.audio.push((block.media_time, block.samples.len() as i64)),
            SourceEvent::DecodeErrors { count } => self.undecodable += count,
            SourceEvent::Capture(_) => panic!("a space has segments"),
            SourceEvent::Caption(caption) => panic!("nobody wrote {caption:?}"),
            SourceEvent::Speakers(_) | SourceEvent::Stem(_) => panic!("the listener path has one mix"),
        }
    }

    fn sequences(&self) -> Vec<u64> {
        self.segments.iter().map(|segment| segment.sequence).collect()
    }

    fn audio_end(&self) -> i64 {
        self.audio.iter().map(|(at, length)| at + length).max().unwrap_or(0)
    }
}

/// Every segment's media time is its place on the tape, counted from the first one's, to the sample.
async fn assert_in_place(stage: &Stage, heard: &Heard) {
    let report = stage.report().await;
    let on_tape = |sequence: u64| {
        report.chunks.iter().find(|chunk| chunk.sequence == sequence).expect("a listed chunk").ruler_start as i64
    };
    let zero = on_tape(heard.segments[0].sequence) - heard.segments[0].media_time;
    for segment in &heard.segments {
        assert_eq!(segment.media_time, on_tape(segment.sequence) - zero, "segment {}", segment.sequence);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn joining_a_running_space_starts_inside_its_window_at_once() {
    let stage = Stage::open(SpaceArgs { first_sequence: 1704, ..SpaceArgs::default() }).await;
    let began = Instant::now();
    let mut listening = stage.listen();
    listening.until("the window", 5, |heard| heard.segments.len() >= 4 && heard.audio_end() > 9 * 48_000).await;
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    listening.until("two more", 12, |heard| heard.segments.len() >= 6 && heard.audio_end() > 15 * 48_000).await;
    let (heard, end) = listening.stop().await;
    assert_eq!(end.expect("no error"), SourceEnd::Cancelled);
    let first = heard.sequences()[0];
    assert_eq!(heard.sequences(), (first..first + heard.segments.len() as u64).collect::<Vec<_>>());
    assert_in_place(&stage, &heard).await;
    // Sound without a hole, and an edge that was foretold.
    assert!(heard.audio.windows(2).all(|pair| pair[0].0 + pair[0].1 == pair[1].0), "{:?}", heard.audio);
    let window_end: i64 = heard.segments[..4].iter().map(|segment| segment.duration as i64).sum();
    assert!((heard.edges[0] - window_end).abs() < 100, "{} {window_end}", heard.edges[0]);
    assert!(heard.missing.is_empty() && heard.undecodable == 0);
    let info = heard.infos.last().expect("a session");
    assert_eq!((info.phase, info.host.as_deref()), (SessionPhase::Live, Some("rehearsal")));
    assert_eq!(info.playlist_url.as_deref(), Some(stage.started.playlist_url.as_str()));
    assert!(heard.segments.iter().all(|segment| !segment.facts.is_empty()));
    // Half the target duration of 4 s between two looks.
    let report = stage.report().await;
    assert!(report.poll_intervals_ms.iter().all(|ms| *ms >= 1900), "{:?}", report.poll_intervals_ms);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_segment_shifts_nothing_and_a_failing_one_is_not_lost() {
    let stage = Stage::open(SpaceArgs { running_for_seconds: 7, ..SpaceArgs::default() }).await;
    stage.order(r#"{"do":"fail_chunks","fault":{"kind":"status","status":404},"sequences":[2]}"#).await;
    let mut listening = stage.listen();
    listening.until("the hole", 20, |heard| heard.sequences().contains(&3)).await;
    stage.order(r#"{"do":"heal"}"#).await;
    stage.order(r#"{"do":"fail_chunks","fault":{"kind":"truncated"},"times":1}"#).await;
    listening.until("what is behind it", 20, |heard| heard.segments.len() >= 4).await;
    let (heard, _) = listening.stop().await;
    assert_in_place(&stage, &heard).await;
    let [span] = &heard.missing[..] else { panic!("{:?}", heard.missing) };
    assert_eq!((span.first_sequence, span.last_sequence, span.names.len()), (2, 2, 1));
    assert!(span.cause.contains("404"), "{}", span.cause);
    let before = heard.segments.iter().find(|segment| segment.sequence == 1).expect("the one before");
    let after = heard.segments.iter().find(|segment| segment.sequence == 3).expect("the one after");
    assert_eq!(span.media_time, before.media_time + before.duration as i64);
    assert_eq!(span.media_time + span.duration as i64, after.media_time);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_who_drops_out_and_returns_leaves_a_hole_of_its_true_length() {
    let stage = Stage::open(SpaceArgs { running_for_seconds: 13, ..SpaceArgs::default() }).await;
    let mut listening = stage.listen();
    listening.until("the window", 10, |heard| heard.segments.len() >= 4).await;
    stage.order(r#"{"do":"host_drop"}"#).await;
    listening.until("the silence", 10, |heard| heard.stalled.iter().any(|reason| reason.contains("404"))).await;
    let until_drop = listening.heard.segments.len();
    stage.order(r#"{"do":"host_return"}"#).await;
    listening.until("the return", 25, |heard| heard.segments.len() >= until_drop + 2).await;
    let (heard, _) = listening.stop().await;
    assert!(heard.segments.iter().any(|segment| segment.discontinuity));
    let report = stage.report().await;
    let on_tape = |segment: &Segment| {
        report.chunks.iter().find(|chunk| chunk.sequence == segment.sequence).expect("a chunk").ruler_start as i64
    };
    let first = &heard.segments[0];
    for segment in &heard.segments {
        // Dates are written in milliseconds: behind a break they are all there is.
        let off = (segment.media_time - first.media_time) - (on_tape(segment) - on_tape(first));
        assert!(off.abs() <= 1024, "segment {} is {off} samples off", segment.sequence);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_space_is_found_and_everything_listed_is_delivered() {
    let stage = Stage::open(SpaceArgs { running_for_seconds: 13, ..SpaceArgs::default() }).await;
    let mut listening = stage.listen();
    listening.until("the window", 10, |heard| heard.segments.len() >= 4).await;
    stage.order(r#"{"do":"end"}"#).await;
    let (heard, end) = listening.end(20).await;
    assert_eq!(end.expect("no error"), SourceEnd::SessionEnded);
    assert_eq!(heard.infos.last().map(|info| info.phase), Some(SessionPhase::Ended));
    // All that was decoded came out.
    let last = heard.segments.last().expect("a segment");
    let lacking = last.media_time + last.duration as i64 - heard.audio_end();
    assert!(lacking < 4096, "{lacking} samples of the end are lacking");
    let gone = Listening::start(&stage.started.space_url, &stage.config(), None).end(10).await.1.expect_err("over");
    assert!(gone.class == SourceFault::Gone && gone.message.contains("ended"), "{gone}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_announced_space_is_waited_for_and_heard_from_its_first_segment() {
    let stage =
        Stage::open(SpaceArgs { not_started: true, scheduled_in_seconds: Some(30), ..SpaceArgs::default() }).await;
    let mut listening = stage.listen();
    listening.until("the announcement", 10, |heard| !heard.infos.is_empty()).await;
    assert_eq!(listening.heard.infos[0].phase, SessionPhase::Waiting);
    assert!(listening.heard.infos[0].scheduled_start.is_some());
    stage.order(r#"{"do":"start"}"#).await;
    listening.until("the start", 20, |heard| heard.audio_end() > i64::from(SAMPLE_RATE)).await;
    let (heard, _) = listening.stop().await;
    assert_eq!(heard.segments[0].media_time, 0);
    assert!(heard.missing.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_api_does_not_silence_a_known_playlist() {
    let stage = Stage::open(SpaceArgs { running_for_seconds: 13, ..SpaceArgs::default() }).await;
    let mut listening = stage.listen();
    listening.until("the window", 10, |heard| heard.segments.len() >= 4).await;
    let (heard, _) = listening.stop().await;
    let last = heard.segments.last().expect("a segment");
    let resume = ResumePoint {
        session_id: stage.started.space_id.clone(),
        last_sequence: last.sequence,
        media_time: last.media_time + last.duration as i64,
        program_date_time: last.program_date_time.map(|date| (date, last.media_time)),
        playlist_url: heard.infos.last().and_then(|info| info.playlist_url.clone()),
        missing: Vec::new(),
    };
    for order in [
        r#"{"do":"fail_api","fault":{"kind":"status","status":401}}"#,
        r#"{"do":"fail_api","fault":{"kind":"stale_query_id"}}"#,
    ] {
        stage.order(order).await;
        let mut resumed = Listening::start(&stage.started.space_url, &stage.config(), Some(resume.clone()));
        resumed.until("what is new", 15, |heard| !heard.segments.is_empty()).await;
        let (mut after, _) = resumed.stop().await;
        assert_eq!(after.segments[0].sequence, resume.last_sequence + 1);
        assert_eq!(after.segments[0].media_time, resume.media_time);
        after.segments.insert(0, last.clone());
        assert_in_place(&stage, &after).await;
        let error = stage.listen().end(10).await.1.expect_err("nothing is known");
        assert_eq!(error.class, SourceFault::Operator, "{error}");
    }
    // A pasted playlist needs no API at all.
    let mut pasted = Listening::start(&stage.started.playlist_url, &XApiConfig::default(), None);
    pasted.until("the window", 10, |heard| heard.segments.len() >= 4).await;
    assert!(pasted.heard.infos[0].id.starts_with("playlist-"));
}

#[tokio::test(flavor = "multi_thread")]
async fn undecodable_frames_and_junk_cost_only_themselves() {
    let stage = Stage::open(SpaceArgs { running_for_seconds: 13, ..SpaceArgs::default() }).await;
    stage.order(r#"{"do":"fail_chunks","fault":{"kind":"undecodable"},"sequences":[2]}"#).await;
    stage.order(r#"{"do":"fail_chunks","fault":{"kind":"junk"},"sequences":[1]}"#).await;
    let mut listening = stage.listen();
    listening.until("what is behind", 15, |heard| heard.audio_end() > 14 * 48_000).await;
    listening.until("the report of lost frames", 15, |heard| heard.undecodable > 0).await;
    let (heard, _) = listening.stop().await;
    assert_in_place(&stage, &heard).await;
    assert!(heard.missing.is_empty() && heard.undecodable <= 141, "{}", heard.undecodable);
}
