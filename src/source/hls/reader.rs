//! The reader proper: looks at the playlist, starts fetches, hands out what is certain.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;
use url::Url;

use super::HlsEvent;
use super::edges::Edges;
use super::late::{self, Had, LateBook, Wanted};
use super::playlist::{self, MAX_PLAYLIST, Parsed, Playlist};
use super::queue::{Check, Fetch, Looks, Queue, Settled};
use super::tracker::{News, Tracker};
use super::trouble::Trouble;
use crate::clock::Clock;
use crate::net::{Answer, HttpClient, NetError, Request};

/// Largest segment, in bytes: a Space's have 36 KB.
const MAX_SEGMENT: usize = 8 << 20;

/// Time for one attempt at a segment.
const SEGMENT_TIME: Duration = Duration::from_secs(4);

/// Time for a playlist.
const PLAYLIST_TIME: Duration = Duration::from_secs(5);

/// Looks are apart by half a target duration and a little more: looks in step with the listings would see each one
/// equally late for hours and hide how the source's clock runs. Segments of three quarters of the target (a Space's)
/// are to them as the golden section is, so that the looks fall evenly between the listings: 1.5 / 1.0854 = 1.382.
const OUT_OF_STEP: f64 = 1.0854;

/// A playlist that lists nothing new for this many target durations has stalled.
const STALL_TARGETS: u32 = 3;

/// Pause between two looks while nothing new comes: what is listed again must be on its way within 2 s.
const TROUBLE_PAUSE: Duration = Duration::from_secs(1);

/// A look that has no answer for so long is followed by another: a server that hung may answer anew.
const NEXT_LOOK: Duration = Duration::from_millis(1500);

/// Looks on their way at once.
const MAX_LOOKS: u32 = 4;

/// What comes back from the tasks that a reader started.
enum Done {
    /// A look, and when it began.
    Playlist(Instant, Result<Answer, NetError>),
    /// The playlist at another edge.
    Probe(Url, Result<Answer, NetError>),
    Segment {
        sequence: u64,
        result: Result<Answer, NetError>,
    },
    Late {
        wanted: Box<Wanted>,
        failures: u32,
        result: Result<Answer, NetError>,
    },
}

/// Follows one playlist.
#[derive(Debug)]
pub struct HlsReader {
    client: HttpClient,
    clock: Clock,
    url: Url,
    headers: Vec<(&'static str, String)>,
    tracker: Tracker,
    queue: Queue,
    edges: Edges,
    late: Arc<Mutex<LateBook>>,
    /// Looks into a segment's bytes.
    check: Check,
    jobs: JoinSet<Done>,
    /// What is told before anything else.
    told: VecDeque<HlsEvent>,
    /// When the playlist is looked at next; none while enough looks are on their way.
    next_look: Option<Instant>,
    last_look: Instant,
    /// When the newest look began that was answered with a list.
    last_good: Instant,
    looks: u32,
    /// No look before this: the server said so.
    not_before: Instant,
    /// Refusals for too many requests in a row.
    refusals: u32,
    interval: Duration,
    target: Duration,
    last_news: Instant,
    /// A segment's address, for those of which only the name is known.
    listed: Url,
    ended: bool,
}

impl HlsReader {
    /// A reader of the playlist at `url` that sends `headers` with every request.
    pub fn new(
        client: HttpClient,
        clock: Clock,
        url: Url,
        headers: Vec<(&'static str, String)>,
        tracker: Tracker,
    ) -> Self {
        let now = Instant::now();
        Self {
            client,
            clock,
            listed: url.clone(),
            url,
            headers,
            tracker,
            queue: Queue::default(),
            edges: Edges::default(),
            late: Arc::default(),
            check: |_, _| Looks::Whole,
            jobs: JoinSet::new(),
            told: VecDeque::new(),
            next_look: Some(now),
            last_look: now,
            last_good: now,
            looks: 0,
            not_before: now,
            refusals: 0,
            interval: Duration::from_secs(2),
            target: Duration::from_secs(4),
            last_news: now,
            ended: false,
        }
    }

    /// Asks other edges when the playlist's own gives nothing new.
    #[must_use]
    pub fn with_edges(mut self, edges: Edges) -> Self {
        self.edges = edges;
        self
    }

    /// Looks into every segment by `check`.
    #[must_use]
    pub fn with_check(mut self, check: Check) -> Self {
        self.check = check;
        self
    }

    /// Fetches what stands in `book` whenever nothing else is to be fetched.
    #[must_use]
    pub fn with_late(mut self, book: Arc<Mutex<LateBook>>) -> Self {
        self.late = book;
        self
    }

    /// Goes on with another address of the same audio, such as another edge of the CDN.
    pub fn set_url(&mut self, url: Url) {
        self.edges.add(&self.url);
        self.url = url;
        let now = Instant::now();
        (self.not_before, self.next_look) = (now, Some(now));
    }

    /// Whether everything that was listed is delivered.
    pub fn is_drained(&self) -> bool {
        self.queue.is_empty() && self.told.is_empty()
    }

    /// The next thing that happens. Safe to drop while it waits: nothing is lost.
    pub async fn next(&mut self) -> HlsEvent {
        loop {
            if let Some(event) = self.take_event() {
                return event;
            }
            self.start_fetches();
            let late = if self.queue.is_empty() { self.start_late() } else { None };
            // Far away when there is nothing to wait for: the other branches wake us.
            let far = Instant::now() + Duration::from_secs(3600);
            let look = self.next_look.unwrap_or(far);
            let settle = self.queue.next_deadline().unwrap_or(far).min(late.unwrap_or(far));
            tokio::select! {
                Some(done) = self.jobs.join_next() => if let Ok(done) = done { self.on_done(done) },
                () = tokio::time::sleep_until(look) => self.look(),
                () = tokio::time::sleep_until(settle) => {}
            }
        }
    }

    /// The next segment that was wanted late, without looking at the playlist any more; none when no more can be hoped
    /// for. Safe to drop while it waits.
    pub async fn next_late(&mut self) -> Option<Had> {
        loop {
            while let Some(event) = self.told.pop_front() {
                if let HlsEvent::Late(had) = event {
                    return Some(*had);
                }
            }
            let due = self.start_late();
            if self.book().is_hopeless() {
                return None;
            }
            let due = due.unwrap_or_else(|| Instant::now() + SEGMENT_TIME);
            tokio::select! {
                Some(done) = self.jobs.join_next() => if let Ok(done @ Done::Late { .. }) = done { self.on_done(done) },
                () = tokio::time::sleep_until(due) => {}
            }
        }
    }

    fn take_event(&mut self) -> Option<HlsEvent> {
        if let Some(event) = self.told.pop_front() {
            return Some(event);
        }
        match self.queue.settle(Instant::now()) {
            Some(Settled::Ready(fetched)) => return Some(HlsEvent::Segment(fetched)),
            Some(Settled::Hole(hole)) => return Some(HlsEvent::Missing(hole)),
            None => {}
        }
        (self.queue.is_empty() && std::mem::take(&mut self.ended)).then_some(HlsEvent::Ended)
    }

    fn start_fetches(&mut self) {
        for Fetch { entry, attempt } in self.queue.due(Instant::now()) {
            let sequence = entry.sequence;
            let Some(url) = entry.url else {
                self.queue.on_failure(sequence, NetError::BadUrl.to_string(), true, Instant::now());
                continue;
            };
            let request = self.request(self.edges.segment(&url, attempt), MAX_SEGMENT, SEGMENT_TIME);
            let client = self.client.clone();
            self.jobs.spawn(async move { Done::Segment { sequence, result: client.send(request).await } });
        }
    }

    /// Starts what is due of the late ones; when the next one is.
    fn start_late(&mut self) -> Option<Instant> {
        let due = self.book().due(Instant::now());
        for (wanted, failures) in due {
            let name = wanted.span.names.first().cloned().unwrap_or_default();
            let Some(url) = wanted.url.clone().or_else(|| late::beside(&self.listed, &name)) else {
                self.book().had(&name);
                continue;
            };
            let request = self.request(self.edges.segment(&url, failures), MAX_SEGMENT, SEGMENT_TIME);
            let (client, wanted) = (self.client.clone(), Box::new(wanted));
            self.jobs.spawn(async move { Done::Late { wanted, failures, result: client.send(request).await } });
        }
        self.book().next_due()
    }

    fn book(&self) -> MutexGuard<'_, LateBook> {
        self.late.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn look(&mut self) {
        let now = Instant::now();
        self.last_look = now;
        self.looks += 1;
        self.next_look = (self.looks < MAX_LOOKS).then_some(now + NEXT_LOOK);
        let request = self.request(self.url.clone(), MAX_PLAYLIST, PLAYLIST_TIME);
        let client = self.client.clone();
        self.jobs.spawn(async move { Done::Playlist(now, client.send(request).await) });
    }

    fn request(&self, url: Url, max_bytes: usize, time_limit: Duration) -> Request {
        Request { headers: self.headers.clone(), ..Request::get(url, max_bytes, time_limit) }
    }

    fn on_done(&mut self, done: Done) {
        let now = Instant::now();
        match done {
            Done::Playlist(began, result) => self.on_look_done(began, result, now),
            Done::Probe(url, result) => self.on_probe(url, result, now),
            Done::Segment { sequence, result } => match result {
                Ok(answer) if (200..300).contains(&answer.status) => {
                    let looks = (self.check)(&answer.body, self.queue.listed(sequence));
                    self.queue.on_bytes(sequence, answer.body, looks, now);
                }
                Ok(answer) => {
                    let cause = format!("the segment answered {}", answer.status);
                    self.queue.on_failure(sequence, cause, false, now);
                }
                Err(error) => self.queue.on_failure(sequence, error.to_string(), error.is_permanent(), now),
            },
            Done::Late { wanted, failures, result } => self.on_late(*wanted, failures, result, now),
        }
    }

    fn on_late(&mut self, wanted: Wanted, failures: u32, result: Result<Answer, NetError>, now: Instant) {
        let name = wanted.span.names.first().cloned().unwrap_or_default();
        let listed = wanted.span.duration;
        match late::judge(result, |bytes| (self.check)(bytes, listed), failures) {
            Ok(bytes) => {
                self.book().had(&name);
                self.told.push_back(HlsEvent::Late(Box::new(Had { wanted, bytes })));
            }
            Err(refused) => self.book().failed(&name, refused, now),
        }
    }

    fn on_look_done(&mut self, began: Instant, result: Result<Answer, NetError>, now: Instant) {
        self.looks = self.looks.saturating_sub(1);
        // One that hung tells nothing new once a later one was answered.
        if began < self.last_good && result.is_err() {
            return;
        }
        if result.as_ref().is_ok_and(|answer| (200..300).contains(&answer.status)) {
            self.last_good = self.last_good.max(began);
        }
        self.next_look = None;
        let trouble = self.on_look(result, now);
        self.refusals = if matches!(trouble, Some(Trouble::Limited(_))) { self.refusals + 1 } else { 0 };
        let pause = self.pause(trouble.as_ref(), now);
        // RFC 8216, 6.3.4: no sooner than half a target duration after the last look, as long as all is well.
        if let Some(Trouble::Limited(wait)) = trouble {
            self.not_before = now + wait;
        }
        self.next_look.get_or_insert(now.max(self.last_look + pause).max(self.not_before));
        if trouble.as_ref().is_none_or(Trouble::asks_for_another_edge) {
            self.probe(now);
        }
        self.told.extend(trouble.map(HlsEvent::Trouble));
    }

    /// How long after a look the next one is.
    fn pause(&self, trouble: Option<&Trouble>, now: Instant) -> Duration {
        let is_quiet = now - self.last_news >= self.target * 3 / 2;
        match trouble {
            None if !is_quiet => self.interval.mul_f64(OUT_OF_STEP),
            // Many bridges lose the same edge at the same moment.
            _ => self.interval.min(TROUBLE_PAUSE.mul_f64(0.8 + 0.2 * fastrand::f64())),
        }
    }

    /// Asks another edge, if the own one has given nothing new for long enough.
    fn probe(&mut self, now: Instant) {
        let Some(url) = self.edges.playlist(&self.url, now - self.last_news, self.target, now) else { return };
        let request = self.request(url.clone(), MAX_PLAYLIST, PLAYLIST_TIME);
        let client = self.client.clone();
        self.jobs.spawn(async move { Done::Probe(url, client.send(request).await) });
    }

    /// The first edge with something new is followed.
    fn on_probe(&mut self, url: Url, result: Result<Answer, NetError>, now: Instant) {
        let Ok(answer) = result else { return };
        if Trouble::of_status(&answer, 0).is_some() {
            return;
        }
        let Ok(Parsed::Media(playlist)) = playlist::parse(&answer.body, &answer.url) else { return };
        let is_new = !self.tracker.clone().on_playlist(&playlist).entries.is_empty();
        // Meanwhile the own edge may have come back.
        if is_new && url != self.url && now - self.last_news >= self.target {
            self.set_url(url.clone());
            self.told.push_back(HlsEvent::Moved(url));
            self.on_playlist(&playlist, now);
        }
    }

    fn on_look(&mut self, result: Result<Answer, NetError>, now: Instant) -> Option<Trouble> {
        let answer = match result {
            Ok(answer) => answer,
            Err(error) => return Some(error.into()),
        };
        if let Some(trouble) = Trouble::of_status(&answer, self.refusals) {
            return Some(trouble);
        }
        match playlist::parse(&answer.body, &answer.url) {
            Ok(Parsed::Media(playlist)) => self.on_playlist(&playlist, now),
            Ok(Parsed::Master(url)) if url != self.url => {
                self.url = url;
                self.next_look = Some(now);
                None
            }
            Ok(Parsed::Master(_)) => Some(Trouble::Refused("the playlist leads to itself".to_owned())),
            Err(error) => Some(error.into()),
        }
    }

    fn on_playlist(&mut self, playlist: &Playlist, now: Instant) -> Option<Trouble> {
        self.target = playlist.target;
        self.interval = (playlist.target / 2).clamp(Duration::from_millis(500), Duration::from_secs(10));
        let News { skipped, entries } = self.tracker.on_playlist(playlist);
        self.ended = playlist.ended;
        let Some(newest) = entries.last() else {
            let quiet = now - self.last_news;
            if playlist.cut {
                return Some(Trouble::Cut);
            }
            return (!playlist.ended && quiet >= self.target * STALL_TARGETS).then_some(Trouble::Unchanged(quiet));
        };
        self.listed = newest.url.clone().unwrap_or_else(|| self.listed.clone());
        self.last_news = now;
        if let Some((first, last)) = skipped {
            self.queue.skip(first, last);
        }
        self.queue.list(&entries, self.clock.wall(), now);
        self.told.push_back(HlsEvent::Listed(entries));
        None
    }
}
