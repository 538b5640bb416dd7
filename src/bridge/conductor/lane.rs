//! What the conductor knows of one path beside what is on the air: its attempt, its last audio, and where its sound lies
//! on the program. It decides nothing.

use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::SourceSlot;
use crate::backoff::Backoff;
use crate::bridge::speakers::Speakers;
use crate::media::{PcmBlock, SAMPLE_RATE};
use crate::program::Reserve;
use crate::program::align::Shift;
use crate::session::{Path, operator_pause};
use crate::source::{ResumePoint, SessionInfo, Source, SourceEnd, SourceError, SourceEvent, SourceFault};

/// What is kept of a path that stands by: its lag behind another one may be 40 s, and 5 s must be common to both.
pub(super) const RESERVE: u64 = SAMPLE_RATE as u64 * 45;

/// A path is never taken for frozen sooner. A stream is after this: a long piece of one is what was held up on the way,
/// and no measure of its pace.
const PATIENCE: Duration = Duration::from_secs(2);

/// How much later than its pieces are long a path with a playlist may give the next one.
const PIECE_LATE: Duration = Duration::from_millis(2500);

/// Pieces are taken for no longer than 15 s, whatever a playlist says.
const PIECE_MAX: u64 = SAMPLE_RATE as u64 * 15;

/// Places that lie less than 5 ms apart are the same: what two clocks come apart in half a minute.
const SAME_PLACE: u64 = SAMPLE_RATE as u64 / 200;

/// A path that begins to give, or gives again after a standstill, is well after this. A reader that comes to its end
/// gives its last words too.
const WELL_AFTER: Duration = Duration::from_millis(500);

/// What an attempt comes to, with the source that it had.
type Attempted = (Box<dyn Source>, Result<SourceEnd, SourceError>);

/// A running attempt.
pub(super) struct Running {
    pub(super) events: mpsc::Receiver<SourceEvent>,
    pub(super) task: JoinHandle<Attempted>,
    pub(super) stop: CancellationToken,
}

/// Where a path's media time zero lies on the program, as the sound says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// Program sample of media time zero.
    pub(super) anchor: i64,
    /// When that was found.
    pub(super) at: Instant,
}

/// A search for the place.
pub(super) struct Search {
    pub(super) found: oneshot::Receiver<Option<Shift>>,
    /// First places of what is compared: on the program, and in media time.
    pub(super) aired: i64,
    pub(super) media: i64,
}

/// One path.
pub(super) struct Lane {
    /// Its attempt, if one runs.
    pub(super) running: Option<Running>,
    /// What it says of its session.
    pub(super) info: Option<SessionInfo>,
    /// Who is on stage, as it says. A room says so only when that changes.
    pub(super) speakers: Speakers,
    /// Where it goes on after a restart.
    pub(super) resume: Option<ResumePoint>,
    /// Its last audio, by media time.
    pub(super) reserve: Reserve,
    /// Media time of the end of its newest audio, and when that came, where it has no segments.
    pub(super) newest: Option<(i64, Instant)>,
    /// End of the newest audio that it can have, where it tells.
    pub(super) edge: Option<i64>,
    /// How long its pieces are, in samples: as its playlist says, or the longest that it gave.
    pub(super) piece: u64,
    /// Whether this attempt has given audio.
    pub(super) gives: bool,
    /// When it gave audio last, or began, and since when it gives without a standstill.
    pub(super) since: Instant,
    gives_since: Option<Instant>,
    pub(super) place: Option<Place>,
    /// A place that was found once: believed when it is found again.
    pub(super) guess: Option<i64>,
    pub(super) search: Option<Search>,
    /// When the place was looked for last, and how often in vain.
    pub(super) sought: Option<Instant>,
    pub(super) in_vain: u32,
    /// Program sample from which on it is silent where another path has sound.
    pub(super) silent_from: Option<i64>,
    /// Least time, in samples, between a piece's arrival and its turn on the air, since that was looked at last.
    pub(super) slack: Option<i64>,
    /// When it is tried again.
    pub(super) next_try: Option<Instant>,
    backoff: Backoff,
    /// Attempts in a row that only the operator could have helped.
    hopeless: u32,
}

impl Lane {
    /// A path that is not connected.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            running: None,
            info: None,
            speakers: Speakers::default(),
            resume: None,
            reserve: Reserve::new(RESERVE),
            newest: None,
            edge: None,
            piece: 0,
            gives: false,
            since: now,
            gives_since: None,
            place: None,
            guess: None,
            search: None,
            sought: None,
            in_vain: 0,
            silent_from: None,
            slack: None,
            next_try: None,
            backoff: Backoff::new(Duration::from_secs(2), Duration::from_secs(60)),
            hopeless: 0,
        }
    }

    /// An attempt begins: its media time may lie elsewhere than before.
    pub(super) fn begin(&mut self, running: Running, now: Instant) {
        self.running = Some(running);
        self.speakers = Speakers::default();
        self.reserve.clear();
        (self.edge, self.piece, self.gives, self.since) = (None, 0, false, now);
        self.forget_place();
    }

    /// The attempt is over, with this fault if with any; the next one has its turn after a pause. A host who took the
    /// seat away, and a platform that has had enough, are left alone for as long as they want.
    pub(super) fn end(&mut self, now: Instant, fault: Option<SourceFault>) {
        self.running = None;
        self.gives = false;
        self.forget_place();
        let least = match fault {
            Some(SourceFault::RateLimited(wait)) => wait,
            Some(SourceFault::Operator | SourceFault::Gone) => {
                self.hopeless += 1;
                operator_pause(self.hopeless)
            }
            Some(SourceFault::Transient) | None => Duration::ZERO,
        };
        self.next_try = Some(now + self.backoff.next_delay().max(least));
    }

    /// Ends its attempt; it takes the time that it needs to leave as it should.
    pub(super) fn let_go(&self) {
        if let Some(running) = &self.running {
            running.stop.cancel();
        }
    }

    /// Where it lies is not known any more.
    pub(super) fn forget_place(&mut self) {
        (self.place, self.search, self.sought, self.in_vain) = (None, None, None, 0);
        (self.guess, self.silent_from, self.slack) = (None, None, None);
    }

    /// Whether its place is known, and was found there last.
    pub(super) fn is_settled(&self) -> bool {
        self.place.is_some_and(|place| self.guess.is_none_or(|guess| guess == place.anchor))
    }

    /// Its place was found at `anchor`: whether that is believed. What is alike once by chance is so nowhere a while
    /// later, when there is more to compare.
    pub(super) fn find(&mut self, anchor: i64, now: Instant) -> bool {
        let near = |other: i64| anchor.abs_diff(other) <= SAME_PLACE;
        let believed = self.guess.is_some_and(near) || self.place.is_some_and(|place| near(place.anchor));
        self.guess = Some(anchor);
        if believed {
            self.place = Some(Place { anchor, at: now });
        }
        believed
    }

    /// Everything on the program from here on lies `by` samples later.
    pub(super) fn shift(&mut self, by: i64) {
        self.search = None;
        self.guess = None;
        self.slack = None;
        self.silent_from = None;
        if let Some(place) = &mut self.place {
            place.anchor += by;
        }
    }

    /// It tells up to where it has audio, in pieces of this length. What it gives is shorter: a piece is given frame by
    /// frame, all at once.
    pub(super) fn tell_edge(&mut self, end: i64, piece: u64) {
        self.edge = Some(end);
        self.piece = self.piece.max(piece.min(PIECE_MAX));
    }

    /// How long its longest piece lasts: that long it says nothing and stands not still.
    fn lasts(&self) -> Duration {
        Duration::from_secs_f64(self.piece as f64 / f64::from(SAMPLE_RATE))
    }

    /// Takes notice of audio.
    pub(super) fn give(&mut self, block: &PcmBlock, now: Instant) {
        if !self.gives || now.saturating_duration_since(self.since) >= self.lasts() + PATIENCE {
            self.gives_since = Some(now);
        }
        self.gives = true;
        self.since = now;
        self.piece = self.piece.max(block.samples.len() as u64);
        self.backoff.reset();
        self.hopeless = 0;
    }

    /// How it is doing. One that is leaving is not to be heard any more, whatever it still gives.
    pub(super) fn path(&self, continuous: bool, now: Instant) -> Path {
        let patience = if continuous { PATIENCE } else { self.lasts() + PIECE_LATE };
        let well = self.gives_since.is_some_and(|at| now.saturating_duration_since(at) >= WELL_AFTER);
        Path {
            gives: self.gives && well && self.running.as_ref().is_some_and(|running| !running.stop.is_cancelled()),
            quiet: now.saturating_duration_since(self.since),
            patience,
            silent: self.silent_from.is_some(),
            placed: true,
        }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Heard> {
        let Some(running) = &mut self.running else { return Poll::Pending };
        if let Some(event) = std::task::ready!(running.events.poll_recv(context)) {
            return Poll::Ready(Heard::Said(event));
        }
        let ended = std::task::ready!(std::pin::Pin::new(&mut running.task).poll(context));
        Poll::Ready(Heard::Ended(
            ended.map_err(|error| SourceError::operator(format!("the source broke: {error}; please report this"))),
        ))
    }
}

/// What a path says.
pub(super) enum Heard {
    /// Something of its session.
    Said(SourceEvent),
    /// Its attempt is over; an error is one of the attempt's task.
    Ended(Result<Attempted, SourceError>),
}

/// The next word of any path, and which it is; the one on the air first. Waits for ever while none is connected.
pub(super) async fn next(sources: &mut [SourceSlot], active: usize) -> (usize, Heard) {
    poll_fn(|context| {
        let others = (0..sources.len()).filter(|index| *index != active);
        for index in std::iter::once(active).chain(others) {
            if let Some(slot) = sources.get_mut(index)
                && let Poll::Ready(heard) = slot.lane.poll(context)
            {
                return Poll::Ready((index, heard));
            }
        }
        Poll::Pending
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: i64 = SAMPLE_RATE as i64;

    #[test]
    fn a_place_that_was_found_once_by_chance_is_not_believed() {
        let now = Instant::now();
        let mut lane = Lane::new(now);
        let found =
            [(7 * S, false), (9 * S, false), (9 * S + 30, true), (20 * S, false), (9 * S + 60, true), (9 * S, true)];
        for (anchor, believed) in found {
            assert_eq!(lane.find(anchor, now), believed, "{anchor}");
        }
        assert_eq!(lane.place.map(|place| place.anchor), Some(9 * S));
        // What moved for good is believed the second time.
        assert!(!lane.find(15 * S, now));
        assert!(lane.find(15 * S, now));
        lane.forget_place();
        assert!(!lane.find(15 * S, now), "nothing is left of what was known");
    }

    /// A path whose attempt runs, and what ends that.
    fn running(began: Instant) -> (Lane, tokio::task::AbortHandle) {
        let mut lane = Lane::new(began);
        let task = tokio::spawn(std::future::pending::<Attempted>());
        let (stop, abort) = (CancellationToken::new(), task.abort_handle());
        lane.begin(Running { events: mpsc::channel(1).1, task, stop }, began);
        (lane, abort)
    }

    #[tokio::test]
    async fn the_last_words_of_a_path_are_no_recovery() {
        let began = Instant::now();
        let at = |ms: u64| began + Duration::from_millis(ms);
        let (mut lane, abort) = running(began);
        let block = PcmBlock { media_time: 0, samples: vec![[0.0; 2]; 1024] };
        let healthy = |lane: &Lane, ms: u64| lane.path(true, at(ms)).is_healthy();
        for ms in (100..1_000).step_by(100) {
            lane.give(&block, at(ms));
            assert_eq!(healthy(&lane, ms), ms >= 600, "{ms}");
        }
        assert!(healthy(&lane, 2_000) && !healthy(&lane, 10_000));
        lane.give(&block, at(10_900));
        assert!(!healthy(&lane, 11_200), "one piece after ten seconds");
        lane.give(&block, at(11_500));
        assert!(healthy(&lane, 11_500));
        abort.abort();
    }

    #[tokio::test]
    async fn a_path_that_is_leaving_is_not_gone_over_to() {
        let began = Instant::now();
        let (mut lane, abort) = running(began);
        let block = PcmBlock { media_time: 0, samples: vec![[0.0; 2]; 1024] };
        (0..10).for_each(|n| lane.give(&block, began + Duration::from_millis(n * 100)));
        let healthy = |lane: &Lane| lane.path(true, began + Duration::from_secs(1)).is_healthy();
        assert!(healthy(&lane));
        lane.let_go();
        assert!(!healthy(&lane));
        abort.abort();
    }

    #[test]
    fn a_host_who_wants_to_be_left_alone_is() {
        let now = Instant::now();
        let seconds = |lane: &Lane| lane.next_try.map(|at| at.saturating_duration_since(now).as_secs());
        let limited = Some(SourceFault::RateLimited(Duration::from_secs(600)));
        let (operator, transient) = (Some(SourceFault::Operator), Some(SourceFault::Transient));
        let mut lane = Lane::new(now);
        for (fault, least, most) in [
            (limited, 600, 600),
            (operator, 30, 30),
            (operator, 60, 60),
            (Some(SourceFault::Gone), 120, 120),
            (operator, 240, 240),
            (operator, 300, 300),
            (transient, 48, 60),
            (None, 48, 60),
        ] {
            lane.end(now, fault);
            assert!(
                seconds(&lane).is_some_and(|wait| (least..=most).contains(&wait)),
                "{fault:?}: {:?}",
                seconds(&lane)
            );
        }
        lane.give(&PcmBlock { media_time: 0, samples: vec![[0.0; 2]; 1024] }, now);
        lane.end(now, operator);
        assert_eq!(seconds(&lane), Some(30), "it was well meanwhile");
    }

    #[tokio::test]
    async fn a_path_of_long_pieces_is_well_between_them() {
        let began = Instant::now();
        let (mut lane, abort) = running(began);
        let block = PcmBlock { media_time: 0, samples: vec![[0.0; 2]; 1024] };
        for piece in 0..5 {
            let came = began + Duration::from_millis(3_100 * piece);
            lane.tell_edge(0, 3 * SAMPLE_RATE as u64);
            (0..140).for_each(|_| lane.give(&block, came));
            for ms in (600..3_000).step_by(200).chain((piece > 0).then_some(0)) {
                assert!(lane.path(false, came + Duration::from_millis(ms)).is_healthy(), "{piece} {ms}");
            }
        }
        abort.abort();
    }
}
