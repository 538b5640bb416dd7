//! What every handler of the simulated platform shares: its spaces, its sound, its faults and what the client did. One
//! lock, never held over an await.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::http::HeaderMap;

use super::SpaceArgs;
use super::audiospace::AudioSpace;
use super::chat::ChatLine;
use super::control::{ChatEvent, LocationShape, Order, SpaceReport};
use super::faults::Faults;
use super::format::SoundFormat;
use super::holdings::Holdings;
use super::script::{Script, SpaceState};
use super::seats::Seats;
use super::seats::gateway::Gateway;
use super::sound::Sound;
use super::witness::Witness;
use crate::clock::Clock;

/// Messages of a flood.
const FLOOD: u32 = 5000;
/// An internal error, as RFC 6455 numbers it.
const CLOSED_BY_ERROR: u16 = 1011;

/// The platform.
#[derive(Debug)]
pub(super) struct Platform {
    pub(super) args: SpaceArgs,
    /// By edge; the first also serves the API.
    pub(super) ports: [u16; 2],
    pub(super) sound: Sound,
    /// The door of the media gateway.
    pub(super) gateway: Gateway,
    clock: Clock,
    sound_started: Instant,
    sound_started_ms: i64,
    inner: Mutex<Inner>,
}

/// The platform as seen through one of its ports.
#[derive(Debug, Clone)]
pub(super) struct Door {
    pub(super) platform: Arc<Platform>,
    pub(super) edge: usize,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) newest: AudioSpace,
    earlier: Vec<AudioSpace>,
    pub(super) faults: Faults,
    pub(super) witness: Witness,
    pub(super) seats: Seats,
    pub(super) location: LocationShape,
    /// The edge that the status call names.
    pub(super) named_edge: usize,
}

impl Platform {
    pub(super) fn new(args: SpaceArgs, ports: [u16; 2], sound: Sound, clock: Clock) -> Self {
        let running_ms = u64::from(args.running_for_seconds) * 1000;
        let now = clock.now();
        let wall_ms = clock.wall().as_millisecond();
        let sound_started_ms = wall_ms - running_ms as i64;
        let state = if args.not_started { SpaceState::NotStarted } else { SpaceState::Running };
        let script = Script::new(state, args.first_sequence, args.jitter_ms, SoundFormat::default());
        let mut space = AudioSpace::new(script, args.title.clone(), args.host.clone(), sound_started_ms - 60_000);
        space.scheduled_start = args.scheduled_in_seconds.map(|seconds| wall_ms + i64::from(seconds) * 1000);
        space.holdings = Holdings::lagging(args.snapshot_lag_seconds);
        space.started_ms = (state == SpaceState::Running).then_some(sound_started_ms);
        let inner = Inner {
            newest: space,
            earlier: Vec::new(),
            faults: Faults::default(),
            witness: Witness::default(),
            seats: Seats::default(),
            location: LocationShape::default(),
            named_edge: 0,
        };
        Self {
            args,
            ports,
            sound,
            gateway: Gateway::default(),
            // A space that has been running for a while started in the past.
            sound_started: now.checked_sub(Duration::from_millis(running_ms)).unwrap_or(now),
            sound_started_ms,
            clock,
            inner: Mutex::new(inner),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Milliseconds since the sound started. Tells the tapes how far we are.
    pub(super) fn now_ms(&self) -> u64 {
        let now = self.clock.now().saturating_duration_since(self.sound_started).as_millis() as u64;
        self.sound.reached(now);
        now
    }

    /// Wall time of a place on the sound's timeline, in Unix ms.
    pub(super) fn unix_ms(&self, ms: u64) -> i64 {
        self.sound_started_ms + ms as i64
    }

    /// Counts a request; values of headers are not kept.
    pub(super) fn saw(&self, kind: &'static str, headers: &HeaderMap) {
        let now = self.now_ms();
        self.lock().witness.saw(kind, headers, now);
    }

    /// Does what an order says.
    ///
    /// # Errors
    /// When it cannot be done, in words for who ordered it.
    pub(super) async fn obey(self: &Arc<Self>, order: Order) -> Result<(), String> {
        if let Order::ChangeFormat { sample_rate, channels, .. } = order {
            let format = SoundFormat { sample_rate, channels };
            if !format.is_known() {
                return Err("the sound can be AAC of 44100 or 48000 Hz with 1 or 2 channels".to_owned());
            }
            // A tape starts with a second of encoding.
            let (platform, now) = (self.clone(), self.now_ms());
            let having = tokio::task::spawn_blocking(move || platform.sound.have(format, now, now)).await;
            having.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
        }
        let now = self.now_ms();
        self.lock().obey(order, now, self.unix_ms(now), self.args.jitter_ms);
        Ok(())
    }

    pub(super) fn report(&self) -> SpaceReport {
        let now = self.now_ms();
        let wall = |ms: u64| self.unix_ms(ms);
        let mut inner = self.lock();
        let chunks = inner.newest.chunks(now, wall);
        let earlier: Vec<_> = inner.earlier.iter_mut().map(|space| space.told(now, wall)).collect();
        let newest = inner.newest.id.clone();
        SpaceReport {
            space_ids: earlier.iter().map(|space| space.space_id.clone()).chain([newest.clone()]).collect(),
            space_id: newest,
            state: Some(inner.newest.script.state()),
            sound_started_ms: self.sound_started_ms,
            requests: inner.witness.requests.clone(),
            headers: inner.witness.headers.clone(),
            cookies_in: inner.witness.cookies_in.clone(),
            poll_intervals_ms: inner.witness.pauses("playlist"),
            api_intervals_ms: inner.witness.pauses("space"),
            polls_by_edge: inner.witness.polls_by_edge.to_vec(),
            chunks,
            earlier,
        }
    }
}

impl Inner {
    /// The space that `is` true of, the newest first.
    pub(super) fn space(&mut self, is: impl Fn(&AudioSpace) -> bool) -> Option<&mut AudioSpace> {
        std::iter::once(&mut self.newest).chain(self.earlier.iter_mut().rev()).find(|space| is(space))
    }

    fn obey(&mut self, order: Order, now_ms: u64, wall_ms: i64, jitter_ms: u64) {
        match order {
            Order::FailApi { fault, times } => self.faults.fail_api(fault, times),
            Order::FailChunks { rule } => self.faults.fail_chunks(rule),
            Order::FailPlaylist { fault, times, edge } => self.faults.fail_playlist(fault, times, edge, now_ms),
            Order::RefuseListeners { status } => self.faults.refused = Some(status),
            Order::Endlist { times } => self.faults.end_lists(times),
            Order::MoveEdge { old } => {
                self.faults.leave_edge(self.named_edge, old, now_ms);
                self.named_edge = 1 - self.named_edge;
                self.faults.take_edge(self.named_edge);
            }
            Order::Chat { event: ChatEvent::Absent, times, .. } => self.faults.close_chat(times),
            Order::Chat { event: ChatEvent::Refused, times, .. } => self.faults.refuse_chat(times),
            Order::Chat { event, times, code } => {
                let count = times.unwrap_or(if event == ChatEvent::Flood { FLOOD } else { 1 });
                self.newest.say(ChatLine::Event { event, count, code: code.unwrap_or(CLOSED_BY_ERROR) });
            }
            Order::Heal => {
                self.faults = Faults::default();
                self.location = LocationShape::default();
                self.seats.heal();
            }
            Order::Seat(rule) => {
                if let Some(line) = self.seats.obey(rule) {
                    self.newest.say(line);
                }
            }
            Order::Location { shape } => self.location = shape,
            Order::NewSpace { title, host, not_started, scheduled_in_seconds } => {
                let mut next = self.newest.successor(jitter_ms, wall_ms);
                next.title = title.unwrap_or(next.title);
                next.host = host.unwrap_or(next.host);
                next.scheduled_start = scheduled_in_seconds.map(|seconds| wall_ms + i64::from(seconds) * 1000);
                if !not_started {
                    next.start(now_ms, wall_ms);
                }
                self.earlier.push(std::mem::replace(&mut self.newest, next));
            }
            about_a_space => self.newest.obey(about_a_space, now_ms, wall_ms),
        }
    }
}
