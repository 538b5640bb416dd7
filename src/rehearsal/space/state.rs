//! The simulated space's memory: script, tape, faults, and what the client did. One lock, never held over an await.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use axum::http::HeaderMap;

use super::SpaceArgs;
use super::control::{ApiFault, ChunkFault, ChunkReport, ChunkRule, LocationShape, Order, SpaceReport};
use super::script::{Script, SpaceState, ms_of};
use super::tape::Tape;
use crate::clock::Clock;
use crate::media::AAC_FRAME_SAMPLES;

/// Playlist requests whose pauses are kept.
const POLLS_KEPT: usize = 1000;
/// Names of headers kept per kind of request.
const HEADERS_KEPT: usize = 64;

/// What every handler shares.
#[derive(Debug)]
pub(super) struct Space {
    pub(super) args: SpaceArgs,
    pub(super) port: u16,
    pub(super) id: String,
    /// The 86 characters in every HLS path.
    pub(super) key: String,
    pub(super) media_key: String,
    pub(super) tape: Tape,
    clock: Clock,
    sound_started: Instant,
    pub(super) sound_started_ms: i64,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) script: Script,
    pub(super) title: String,
    pub(super) host: String,
    pub(super) legacy_names: bool,
    pub(super) replay: bool,
    pub(super) scheduled_start: Option<i64>,
    pub(super) started_ms: Option<i64>,
    pub(super) ended_ms: Option<i64>,
    pub(super) location: LocationShape,
    api_fault: Option<(ApiFault, Option<u32>)>,
    chunk_rules: Vec<ChunkRule>,
    deleted: BTreeSet<u64>,
    stories: BTreeMap<u64, Story>,
    requests: BTreeMap<String, u64>,
    headers: BTreeMap<String, BTreeSet<String>>,
    cookies_in: BTreeSet<String>,
    polls: VecDeque<u64>,
    last_poll_ms: Option<u64>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Story {
    announced: bool,
    fetches: u32,
    served: u32,
    spoiled: u32,
}

impl Space {
    pub(super) fn new(args: SpaceArgs, port: u16, tape: Tape, clock: Clock) -> Self {
        let running_ms = u64::from(args.running_for_seconds) * 1000;
        let now = clock.now();
        let wall_ms = clock.wall().as_millisecond();
        let state = if args.not_started { SpaceState::NotStarted } else { SpaceState::Running };
        let script = Script::new(state, args.first_sequence, args.jitter_ms);
        let sound_started_ms = wall_ms - running_ms as i64;
        let inner = Inner {
            script,
            title: args.title.clone(),
            host: args.host.clone(),
            legacy_names: false,
            replay: false,
            scheduled_start: args.scheduled_in_seconds.map(|seconds| wall_ms + i64::from(seconds) * 1000),
            started_ms: (state == SpaceState::Running).then_some(sound_started_ms),
            ended_ms: None,
            location: LocationShape::default(),
            api_fault: None,
            chunk_rules: Vec::new(),
            deleted: BTreeSet::new(),
            stories: BTreeMap::new(),
            requests: BTreeMap::new(),
            headers: BTreeMap::new(),
            cookies_in: BTreeSet::new(),
            polls: VecDeque::new(),
            last_poll_ms: None,
        };
        Self {
            id: random_id(),
            key: (0..86).map(|_| fastrand::alphanumeric()).collect(),
            media_key: format!("28_{}", fastrand::u64(1_000_000_000_000_000_000..2_000_000_000_000_000_000)),
            args,
            port,
            tape,
            // A space that has been running for a while started in the past.
            sound_started: now.checked_sub(std::time::Duration::from_millis(running_ms)).unwrap_or(now),
            sound_started_ms,
            clock,
            inner: Mutex::new(inner),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Milliseconds since the sound started. Tells the tape how far we are.
    pub(super) fn now_ms(&self) -> u64 {
        let now = self.clock.now().saturating_duration_since(self.sound_started).as_millis() as u64;
        self.tape.reached(super::script::frame_at(now));
        now
    }

    /// Wall time of a place on the space's timeline, in Unix ms.
    pub(super) fn unix_ms(&self, ms: u64) -> i64 {
        self.sound_started_ms + ms as i64
    }

    /// Counts a request; values of headers are not kept.
    pub(super) fn saw(&self, kind: &str, headers: &HeaderMap) {
        let mut inner = self.lock();
        *inner.requests.entry(kind.to_owned()).or_default() += 1;
        if headers.contains_key("cookie") {
            inner.cookies_in.insert(kind.to_owned());
        }
        let names = inner.headers.entry(kind.to_owned()).or_default();
        for name in headers.keys() {
            if names.len() < HEADERS_KEPT {
                names.insert(name.as_str().to_owned());
            }
        }
    }

    pub(super) fn obey(&self, order: Order) {
        let now = self.now_ms();
        let wall = self.unix_ms(now);
        let mut inner = self.lock();
        match order {
            Order::Start => {
                inner.script.start(now);
                inner.started_ms = Some(wall);
            }
            Order::End { replay } => inner.close(SpaceState::Ended, replay, now, wall),
            Order::Timeout { replay } => inner.close(SpaceState::TimedOut, replay, now, wall),
            Order::Cancel => inner.close(SpaceState::Canceled, false, now, wall),
            Order::HostDrop => inner.script.drop_host(now),
            Order::HostReturn => inner.script.return_host(now),
            Order::Freeze => inner.script.freeze(now),
            Order::Thaw => inner.script.thaw(),
            Order::FailChunks { rule } => inner.chunk_rules.push(rule),
            Order::DeleteChunks { sequences } => inner.deleted.extend(sequences),
            Order::FailApi { fault, times } => inner.api_fault = Some((fault, times)),
            Order::Heal => {
                inner.chunk_rules.clear();
                inner.api_fault = None;
                inner.location = LocationShape::default();
            }
            Order::Location { shape } => inner.location = shape,
            Order::Metadata { title, host, legacy_names, scheduled_start } => {
                inner.title = title.unwrap_or_else(|| std::mem::take(&mut inner.title));
                inner.host = host.unwrap_or_else(|| std::mem::take(&mut inner.host));
                inner.legacy_names = legacy_names.unwrap_or(inner.legacy_names);
                inner.scheduled_start = scheduled_start.or(inner.scheduled_start);
            }
        }
    }

    pub(super) fn report(&self) -> SpaceReport {
        let now = self.now_ms();
        let mut inner = self.lock();
        let history = inner.script.history(now);
        let chunks = history
            .iter()
            .map(|chunk| {
                let story = inner.stories.get(&chunk.sequence).copied().unwrap_or_default();
                ChunkReport {
                    sequence: chunk.sequence,
                    ruler_start: chunk.first_frame * AAC_FRAME_SAMPLES,
                    samples: chunk.frames * AAC_FRAME_SAMPLES,
                    listed_ms: self.unix_ms(chunk.listed_ms),
                    announced: story.announced,
                    served: story.served,
                    spoiled: story.spoiled,
                }
            })
            .collect();
        SpaceReport {
            state: Some(inner.script.state()),
            sound_started_ms: self.sound_started_ms,
            requests: inner.requests.clone(),
            headers: inner.headers.clone(),
            cookies_in: inner.cookies_in.clone(),
            poll_intervals_ms: inner.polls.iter().copied().collect(),
            chunks,
        }
    }

    /// Wall time of the first sample of a frame, in Unix seconds.
    pub(super) fn unix_seconds(&self, frame: u64) -> f64 {
        self.unix_ms(ms_of(frame)) as f64 / 1000.0
    }
}

impl Inner {
    fn close(&mut self, state: SpaceState, replay: bool, now_ms: u64, wall_ms: i64) {
        self.script.close(state, now_ms);
        self.replay = replay;
        self.ended_ms = Some(wall_ms);
    }

    /// The fault of the next API call; counts it.
    pub(super) fn api_fault(&mut self) -> Option<ApiFault> {
        let (fault, times) = self.api_fault.as_mut()?;
        match times {
            Some(0) => {
                self.api_fault = None;
                None
            }
            Some(left) => {
                *left -= 1;
                Some(fault.clone())
            }
            None => Some(fault.clone()),
        }
    }

    /// What happens to the next fetch of a chunk: gone, spoiled, or well.
    pub(super) fn fetch(&mut self, sequence: u64) -> Result<Option<ChunkFault>, ()> {
        let story = self.stories.entry(sequence).or_default();
        let fetch = story.fetches;
        story.fetches += 1;
        let deleted = self.deleted.contains(&sequence);
        let fault = self.chunk_rules.iter().find(|rule| rule.hits(sequence, fetch)).map(|rule| rule.fault);
        // Slow bytes and bytes behind junk are all there: a listener must make sound of them.
        let whole = matches!(fault, None | Some(ChunkFault::Slow { .. } | ChunkFault::Junk));
        if deleted || !whole {
            story.spoiled += 1;
        } else {
            story.served += 1;
        }
        if deleted { Err(()) } else { Ok(fault) }
    }

    pub(super) fn announce(&mut self, sequences: impl Iterator<Item = u64>, now_ms: u64) {
        for sequence in sequences {
            self.stories.entry(sequence).or_default().announced = true;
        }
        if let Some(last) = self.last_poll_ms.replace(now_ms) {
            if self.polls.len() == POLLS_KEPT {
                self.polls.pop_front();
            }
            self.polls.push_back(now_ms.saturating_sub(last));
        }
    }
}

/// An id as the platform makes them: 13 characters, the first is `1`, the others from a set without c f h i s t u
/// (derived from 218 ids in public sources).
fn random_id() -> String {
    const LETTERS: &[u8] = b"ABDEGJKLMNOPQRVWXYZabdegjklmnopqrvwxyz";
    let rest = (0..12).map(|_| char::from(LETTERS[fastrand::usize(..LETTERS.len())]));
    std::iter::once('1').chain(rest).collect()
}
