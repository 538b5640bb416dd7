//! The segments on their way: which are fetched when, which is delivered next, when one is given up. Pure: no I/O.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use tokio::time::Instant;

use super::playlist::Entry;
use super::{Fetched, Hole};

/// What the look into a fetched segment says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Looks {
    /// Nothing lacks, as far as can be seen.
    Whole,
    /// It breaks off in the middle: fetched again once, and taken as it is if that brings no more.
    Damaged,
    /// Not a segment at all, such as an error page: as good as no answer.
    Foreign,
}

/// Looks into a segment's bytes, of which the playlist told this duration in 48 kHz samples; 0 where none is known.
pub type Check = fn(&Bytes, u64) -> Looks;

/// A fetch that is due.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Fetch {
    /// What to fetch.
    pub(super) entry: Entry,
    /// Failures before this attempt.
    pub(super) attempt: u32,
}

/// Segments that are fetched at once, and so the most that waits for one that fails.
const PARALLEL: usize = 8;

/// A segment is given up after this many failures, once a later one shows that the server can be reached ...
const FAILURES: u32 = 4;

/// ... or this long after it was listed: by then its turn on the air is over, and it would hold up the later ones'.
const PATIENCE: Duration = Duration::from_secs(6);

/// It is given up after this long in any case. A network that was away for less loses nothing: names that were seen
/// stay fetchable after they left the window.
const LAST_PATIENCE: Duration = Duration::from_secs(60);

/// Pause before the second attempt; doubles up to [`MAX_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// Longest pause between two attempts.
const MAX_PAUSE: Duration = Duration::from_secs(2);

/// What became of the oldest segment.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Settled {
    Ready(Fetched),
    Hole(Hole),
}

#[derive(Debug)]
enum State {
    /// To be fetched at this time.
    Waiting(Instant),
    Fetching,
    Ready(Bytes),
    /// Cannot be had.
    Lost,
}

#[derive(Debug)]
struct Slot {
    first_sequence: u64,
    last_sequence: u64,
    entry: Option<Entry>,
    listed: Instant,
    listed_at: Timestamp,
    failures: u32,
    cause: String,
    /// Bytes that look damaged, for want of better ones.
    damaged: Option<Bytes>,
    state: State,
}

/// Listed segments that are not delivered yet, oldest first.
#[derive(Debug, Default)]
pub(super) struct Queue {
    slots: VecDeque<Slot>,
}

impl Queue {
    pub(super) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Adds segments that are to be fetched.
    pub(super) fn list(&mut self, entries: &[Entry], listed_at: Timestamp, now: Instant) {
        self.slots.extend(entries.iter().map(|entry| Slot {
            first_sequence: entry.sequence,
            last_sequence: entry.sequence,
            entry: Some(entry.clone()),
            listed: now,
            listed_at,
            failures: 0,
            cause: String::new(),
            damaged: None,
            state: State::Waiting(now),
        }));
    }

    /// Adds numbers that were never listed.
    pub(super) fn skip(&mut self, first_sequence: u64, last_sequence: u64) {
        self.slots.push_back(Slot {
            first_sequence,
            last_sequence,
            entry: None,
            listed: Instant::now(),
            listed_at: Timestamp::UNIX_EPOCH,
            failures: 0,
            cause: "the playlist moved on before it could be read".to_owned(),
            damaged: None,
            state: State::Lost,
        });
    }

    /// The segments whose fetch is due; they count as being fetched from now on.
    pub(super) fn due(&mut self, now: Instant) -> Vec<Fetch> {
        let mut due = Vec::new();
        for slot in self.slots.iter_mut().take(PARALLEL) {
            if matches!(slot.state, State::Waiting(at) if at <= now) {
                slot.state = State::Fetching;
                due.extend(slot.entry.clone().map(|entry| Fetch { entry, attempt: slot.failures }));
            }
        }
        due
    }

    /// A fetch brought bytes that look like this.
    pub(super) fn on_bytes(&mut self, sequence: u64, bytes: Bytes, looks: Looks, now: Instant) {
        if looks == Looks::Foreign {
            let cause = "the segment answered with something else than audio".to_owned();
            return self.on_failure(sequence, cause, false, now);
        }
        let Some(slot) = self.slot(sequence) else { return };
        match (looks, slot.damaged.take()) {
            (Looks::Damaged, None) => {
                slot.damaged = Some(bytes);
                self.on_failure(sequence, "the segment breaks off".to_owned(), false, now);
            }
            (Looks::Damaged, Some(before)) if before.len() > bytes.len() => slot.state = State::Ready(before),
            _ => slot.state = State::Ready(bytes),
        }
    }

    /// A fetch failed; `permanent` if trying again cannot help.
    pub(super) fn on_failure(&mut self, sequence: u64, cause: String, permanent: bool, now: Instant) {
        let Some(slot) = self.slot(sequence) else { return };
        let pause = FIRST_PAUSE.saturating_mul(1 << slot.failures.min(8)).min(MAX_PAUSE);
        slot.failures += 1;
        slot.cause = cause;
        slot.state = match slot.damaged.take() {
            // The second look brought nothing better.
            Some(damaged) if slot.failures > FAILURES || permanent => State::Ready(damaged),
            damaged => {
                slot.damaged = damaged;
                if permanent { State::Lost } else { State::Waiting(now + pause) }
            }
        };
    }

    /// What became of the oldest segment, if that is certain by now.
    pub(super) fn settle(&mut self, now: Instant) -> Option<Settled> {
        let give_up = self.gives_up(now);
        let slot = self.slots.pop_front_if(|slot| give_up || matches!(slot.state, State::Ready(_) | State::Lost))?;
        let Slot { first_sequence, last_sequence, entry, listed_at, mut cause, damaged, state, .. } = slot;
        let bytes = if let State::Ready(bytes) = state { Some(bytes) } else { damaged };
        if let (Some(bytes), Some(entry)) = (bytes, entry.clone()) {
            return Some(Settled::Ready(Fetched { entry, bytes, listed_at }));
        }
        if cause.is_empty() {
            cause.push_str("the segment did not arrive in time");
        }
        Some(Settled::Hole(Hole { first_sequence, last_sequence, entry, listed_at, cause }))
    }

    /// When something falls due by time alone: a fetch, or the end of patience.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let fetches = self.slots.iter().take(PARALLEL).filter_map(|slot| match slot.state {
            State::Waiting(at) => Some(at),
            _ => None,
        });
        let patience =
            self.slots.front().map(|slot| slot.listed + if self.later_is_ready() { PATIENCE } else { LAST_PATIENCE });
        fetches.chain(patience).min()
    }

    fn gives_up(&self, now: Instant) -> bool {
        let Some(slot) = self.slots.front() else { return false };
        let age = now.saturating_duration_since(slot.listed);
        let unready = !matches!(slot.state, State::Ready(_));
        let reachable = self.later_is_ready() && (slot.failures >= FAILURES || age >= PATIENCE);
        unready && (reachable || age >= LAST_PATIENCE)
    }

    fn later_is_ready(&self) -> bool {
        self.slots.iter().skip(1).any(|slot| matches!(slot.state, State::Ready(_)))
    }

    /// The duration that the playlist told of a segment, in 48 kHz samples; 0 if it is not waited for.
    pub(super) fn listed(&self, sequence: u64) -> u64 {
        let entry = self.slots.iter().find_map(|slot| slot.entry.as_ref().filter(|entry| entry.sequence == sequence));
        entry.map_or(0, |entry| entry.duration)
    }

    fn slot(&mut self, sequence: u64) -> Option<&mut Slot> {
        self.slots.iter_mut().find(|slot| slot.entry.is_some() && slot.first_sequence == sequence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(sequence: u64) -> Entry {
        let url = url::Url::parse("http://h/").ok();
        Entry { sequence, url, name: String::new(), duration: 0, program_date_time: None, discontinuity: false }
    }

    fn queue(numbers: std::ops::Range<u64>, now: Instant) -> Queue {
        let mut queue = Queue::default();
        queue.list(&numbers.map(entry).collect::<Vec<_>>(), Timestamp::UNIX_EPOCH, now);
        queue
    }

    fn taken(queue: &mut Queue, now: Instant) -> Vec<(u64, bool)> {
        std::iter::from_fn(|| queue.settle(now))
            .map(|settled| match settled {
                Settled::Ready(fetched) => (fetched.entry.sequence, true),
                Settled::Hole(hole) => (hole.first_sequence, false),
            })
            .collect()
    }

    #[test]
    fn segments_are_fetched_at_once_and_delivered_in_order() {
        let now = Instant::now();
        let mut queue = queue(1..4, now);
        assert_eq!(queue.due(now).len(), 3);
        assert!(queue.due(now).is_empty());
        queue.on_bytes(3, Bytes::new(), Looks::Whole, now);
        queue.on_bytes(2, Bytes::new(), Looks::Whole, now);
        assert_eq!(taken(&mut queue, now), []);
        queue.on_bytes(1, Bytes::new(), Looks::Whole, now);
        assert_eq!(taken(&mut queue, now), [(1, true), (2, true), (3, true)]);
    }

    #[test]
    fn a_segment_that_keeps_failing_is_given_up_once_a_later_one_is_there() {
        let mut now = Instant::now();
        let mut queue = queue(1..3, now);
        for _ in 0..FAILURES {
            queue.due(now);
            queue.on_failure(1, "the segment answered 404".into(), false, now);
            now += MAX_PAUSE;
        }
        assert_eq!(taken(&mut queue, now), []);
        queue.on_bytes(2, Bytes::new(), Looks::Whole, now);
        assert_eq!(taken(&mut queue, now), [(1, false), (2, true)]);
    }

    #[test]
    fn a_hanging_segment_holds_up_later_ones_no_longer_than_its_turn() {
        let now = Instant::now();
        let mut queue = queue(1..3, now);
        queue.due(now);
        queue.on_bytes(2, Bytes::new(), Looks::Whole, now);
        assert_eq!(queue.next_deadline(), Some(now + PATIENCE));
        assert_eq!(taken(&mut queue, now + PATIENCE - Duration::from_millis(1)), []);
        assert_eq!(taken(&mut queue, now + PATIENCE), [(1, false), (2, true)]);
        // It arrives all the same, too late.
        queue.on_bytes(1, Bytes::new(), Looks::Whole, now);
        assert!(queue.is_empty());
    }

    #[test]
    fn a_network_that_was_away_for_half_a_minute_loses_nothing() {
        let start = Instant::now();
        let mut queue = queue(1..4, start);
        let mut now = start;
        while now < start + Duration::from_secs(30) {
            for fetch in queue.due(now) {
                queue.on_failure(fetch.entry.sequence, "no route".into(), false, now);
            }
            assert_eq!(taken(&mut queue, now), []);
            now = queue.next_deadline().expect("a deadline");
        }
        for fetch in queue.due(now) {
            queue.on_bytes(fetch.entry.sequence, Bytes::new(), Looks::Whole, now);
        }
        assert_eq!(taken(&mut queue, now), [(1, true), (2, true), (3, true)]);
    }

    #[test]
    fn a_segment_that_breaks_off_is_fetched_again_once_and_the_longer_one_is_taken() {
        let body = |length: usize| Bytes::from(vec![7; length]);
        type Try = Option<(usize, Looks)>;
        let cases: [(&str, &[Try], usize); 5] = [
            ("whole at once", &[Some((9, Looks::Whole))], 9),
            ("whole at the second time", &[Some((5, Looks::Damaged)), Some((9, Looks::Whole))], 9),
            ("damaged for good", &[Some((5, Looks::Damaged)), Some((3, Looks::Damaged))], 5),
            ("a page between", &[Some((5, Looks::Damaged)), Some((99, Looks::Foreign)), Some((9, Looks::Whole))], 9),
            ("refused afterwards", &[Some((5, Looks::Damaged)), None, None, None, None], 5),
        ];
        for (name, tries, length) in cases {
            let mut now = Instant::now();
            let mut queue = queue(1..2, now);
            for one in tries {
                assert_eq!(queue.due(now).len(), 1, "{name}");
                match one {
                    Some((length, looks)) => queue.on_bytes(1, body(*length), *looks, now),
                    None => queue.on_failure(1, "the segment answered 404".into(), false, now),
                }
                now += MAX_PAUSE;
            }
            match queue.settle(now) {
                Some(Settled::Ready(fetched)) => assert_eq!(fetched.bytes.len(), length, "{name}"),
                other => panic!("{name}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_refused_address_is_not_tried_again() {
        let now = Instant::now();
        let mut queue = queue(1..2, now);
        queue.due(now);
        queue.on_failure(1, "refused".into(), true, now);
        assert_eq!(taken(&mut queue, now), [(1, false)]);
    }

    #[test]
    fn a_long_list_is_fetched_in_portions() {
        let now = Instant::now();
        let mut queue = queue(0..1000, now);
        assert_eq!(queue.due(now).len(), PARALLEL);
        queue.on_bytes(0, Bytes::new(), Looks::Whole, now);
        assert_eq!(taken(&mut queue, now), [(0, true)]);
        assert_eq!(queue.due(now).len(), 1);
    }
}
