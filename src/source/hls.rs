//! Our own HLS reader: follows a live playlist, fetches what is new at once and in parallel, delivers it in order.
//!
//! It knows no platform and no codec, and decides nothing about the session: trouble is told, and reading goes on
//! until the owner stops. Every playlist and segment is bounded in bytes and time.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use tokio::task::JoinSet;
use tokio::time::Instant;
use url::Url;

use crate::clock::Clock;
use crate::net::{Answer, HttpClient, NetError, Request};
use playlist::{Entry, MAX_PLAYLIST, Parsed, Playlist};
use queue::{Queue, Settled};
use tracker::{News, Tracker};

pub mod playlist;
mod queue;
pub mod tracker;

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

/// What a reader tells, in order.
#[derive(Debug, Clone, PartialEq)]
pub enum HlsEvent {
    /// Entries are listed that were not before; they are on their way.
    Listed(Vec<Entry>),
    /// The next segment.
    Segment(Fetched),
    /// The next segments, which could not be had.
    Missing(Hole),
    /// Nothing new for now. Told again at every look at the playlist until it is over.
    Trouble(Trouble),
    /// The playlist says that nothing follows, and everything was delivered. Reading goes on if asked for more.
    Ended,
}

/// A segment as received.
#[derive(Debug, Clone, PartialEq)]
pub struct Fetched {
    /// What was listed.
    pub entry: Entry,
    /// Its bytes.
    pub bytes: Bytes,
    /// Wall time of the playlist that listed it first.
    pub listed_at: Timestamp,
}

/// Segments that could not be had.
#[derive(Debug, Clone, PartialEq)]
pub struct Hole {
    /// First sequence number.
    pub first_sequence: u64,
    /// Last sequence number.
    pub last_sequence: u64,
    /// What was listed of it: the entry that could not be fetched, or nothing.
    pub entry: Option<Entry>,
    /// Why, in words.
    pub cause: String,
}

/// Why there is nothing new.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// The playlist answers 404: not started, ended, or the host is away.
    NotFound,
    /// The playlist answers another status.
    Status(u16),
    /// The playlist lists nothing new since this long.
    Unchanged(Duration),
    /// No answer, or none that can be read: in words.
    Failed(String),
    /// An address that may not be asked, or a playlist of a kind that is not supported: in words.
    Refused(String),
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotFound => f.write_str("the playlist answers 404"),
            Self::Status(status) => write!(f, "the playlist answers {status}"),
            Self::Unchanged(time) => write!(f, "the playlist has not changed for {} s", time.as_secs()),
            Self::Failed(words) | Self::Refused(words) => write!(f, "the playlist cannot be had: {words}"),
        }
    }
}

/// What comes back from the tasks that a reader started.
enum Done {
    Playlist(Result<Answer, NetError>),
    Segment { sequence: u64, result: Result<Answer, NetError> },
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
    jobs: JoinSet<Done>,
    /// What is told before anything else.
    told: VecDeque<HlsEvent>,
    /// When the playlist is looked at next; none while a look is on its way.
    next_look: Option<Instant>,
    last_look: Instant,
    interval: Duration,
    target: Duration,
    last_news: Instant,
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
            url,
            headers,
            tracker,
            queue: Queue::default(),
            jobs: JoinSet::new(),
            told: VecDeque::new(),
            next_look: Some(now),
            last_look: now,
            interval: Duration::from_secs(2),
            target: Duration::from_secs(4),
            last_news: now,
            ended: false,
        }
    }

    /// Goes on with another address of the same audio, such as another edge of the CDN.
    pub fn set_url(&mut self, url: Url) {
        self.url = url;
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
            // Far away when there is nothing to wait for: the other branches wake us.
            let far = Instant::now() + Duration::from_secs(3600);
            let look = self.next_look.unwrap_or(far);
            let settle = self.queue.next_deadline().unwrap_or(far);
            tokio::select! {
                Some(done) = self.jobs.join_next() => if let Ok(done) = done { self.on_done(done) },
                () = tokio::time::sleep_until(look) => self.look(),
                () = tokio::time::sleep_until(settle) => {}
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
        for entry in self.queue.due(Instant::now()) {
            let sequence = entry.sequence;
            let Some(url) = entry.url else {
                self.queue.on_failure(sequence, NetError::BadUrl.to_string(), true, Instant::now());
                continue;
            };
            let request = self.request(url, MAX_SEGMENT, SEGMENT_TIME);
            let client = self.client.clone();
            self.jobs.spawn(async move { Done::Segment { sequence, result: client.send(request).await } });
        }
    }

    fn look(&mut self) {
        self.next_look = None;
        self.last_look = Instant::now();
        let request = self.request(self.url.clone(), MAX_PLAYLIST, PLAYLIST_TIME);
        let client = self.client.clone();
        self.jobs.spawn(async move { Done::Playlist(client.send(request).await) });
    }

    fn request(&self, url: Url, max_bytes: usize, time_limit: Duration) -> Request {
        Request { headers: self.headers.clone(), ..Request::get(url, max_bytes, time_limit) }
    }

    fn on_done(&mut self, done: Done) {
        let now = Instant::now();
        match done {
            Done::Playlist(result) => {
                let trouble = self.on_look(result, now);
                // RFC 8216, 6.3.4: no sooner than half a target duration after the last look.
                self.next_look.get_or_insert(now.max(self.last_look + self.interval.mul_f64(OUT_OF_STEP)));
                self.told.extend(trouble.map(HlsEvent::Trouble));
            }
            Done::Segment { sequence, result } => match result {
                Ok(answer) if (200..300).contains(&answer.status) => self.queue.on_bytes(sequence, answer.body),
                Ok(answer) => {
                    let cause = format!("the segment answered {}", answer.status);
                    self.queue.on_failure(sequence, cause, false, now);
                }
                Err(error) => self.queue.on_failure(sequence, error.to_string(), error.is_permanent(), now),
            },
        }
    }

    fn on_look(&mut self, result: Result<Answer, NetError>, now: Instant) -> Option<Trouble> {
        let answer = match result {
            Ok(answer) => answer,
            Err(error) if error.is_permanent() => return Some(Trouble::Refused(error.to_string())),
            Err(error) => return Some(Trouble::Failed(error.to_string())),
        };
        match answer.status {
            200..=299 => {}
            404 | 410 => return Some(Trouble::NotFound),
            status => return Some(Trouble::Status(status)),
        }
        match playlist::parse(&answer.body, &answer.url) {
            Ok(Parsed::Media(playlist)) => self.on_playlist(&playlist, now),
            Ok(Parsed::Master(url)) if url != self.url => {
                self.url = url;
                self.next_look = Some(now);
                None
            }
            Ok(Parsed::Master(_)) => Some(Trouble::Refused("the playlist leads to itself".to_owned())),
            Err(error) if error.is_permanent() => Some(Trouble::Refused(error.to_string())),
            Err(error) => Some(Trouble::Failed(error.to_string())),
        }
    }

    fn on_playlist(&mut self, playlist: &Playlist, now: Instant) -> Option<Trouble> {
        self.target = playlist.target;
        self.interval = (playlist.target / 2).clamp(Duration::from_millis(500), Duration::from_secs(10));
        let News { skipped, entries } = self.tracker.on_playlist(playlist);
        self.ended = playlist.ended;
        if entries.is_empty() {
            let quiet = now - self.last_news;
            return (!playlist.ended && quiet >= self.target * STALL_TARGETS).then_some(Trouble::Unchanged(quiet));
        }
        self.last_news = now;
        if let Some((first, last)) = skipped {
            self.queue.skip(first, last);
        }
        self.queue.list(&entries, self.clock.wall(), now);
        self.told.push_back(HlsEvent::Listed(entries));
        None
    }
}

#[cfg(test)]
mod tests;
