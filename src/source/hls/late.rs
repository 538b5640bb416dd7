//! Segments that were given up and whose names are known: when each is tried again. Pure: no I/O.

use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use tokio::time::Instant;
use url::Url;

use super::queue::Looks;
use crate::backoff::Backoff;
use crate::net::{Answer, NetError};
use crate::source::MissingSpan;

/// Pause before the first try: whatever broke just now is left alone for a moment.
const FIRST_PAUSE: Duration = Duration::from_secs(5);

/// Longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// Most segments that are remembered: an hour and a half of a space. The oldest are forgotten first.
const MOST: usize = 2000;

/// Tries at once: live audio comes first.
const PARALLEL: usize = 2;

/// A damaged segment is taken after this many tries: nothing better is to be had.
const DAMAGED_TRIES: u32 = 2;

/// A segment to be had late.
#[derive(Debug, Clone, PartialEq)]
pub struct Wanted {
    /// What was told as missing: one segment, one name.
    pub span: MissingSpan,
    /// Where it was listed; none if only its name is known, from an earlier process.
    pub url: Option<Url>,
    /// Its PROGRAM-DATE-TIME.
    pub program_date_time: Option<Timestamp>,
    /// Whether a discontinuity is marked before it.
    pub discontinuity: bool,
    /// When it was listed first.
    pub listed_at: Timestamp,
}

/// A segment that was had late.
#[derive(Debug, Clone, PartialEq)]
pub struct Had {
    /// What was wanted.
    pub wanted: Wanted,
    /// Its bytes.
    pub bytes: Bytes,
}

#[derive(Debug)]
struct Item {
    wanted: Wanted,
    due: Instant,
    pauses: Backoff,
    failures: u32,
    busy: bool,
    /// Whether the last answer said that there is no such segment.
    refused: bool,
}

/// What is still wanted. Outlives an attempt.
#[derive(Debug, Default)]
pub struct LateBook {
    items: Vec<Item>,
}

impl LateBook {
    /// Remembers a segment, unless it is remembered already.
    pub fn want(&mut self, wanted: Wanted, now: Instant) {
        let [name] = &wanted.span.names[..] else { return };
        if self.items.iter().any(|item| item.wanted.span.names.first() == Some(name)) {
            return;
        }
        if self.items.len() >= MOST {
            self.items.remove(0);
        }
        let mut pauses = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
        let due = now + pauses.next_delay();
        self.items.push(Item { wanted, due, pauses, failures: 0, busy: false, refused: false });
    }

    /// It arrived on the ordinary way, as after a restart.
    pub fn had(&mut self, name: &str) {
        self.items.retain(|item| item.wanted.span.names.first().is_none_or(|wanted| wanted != name));
    }

    /// Whether nothing is wanted.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// How many are wanted.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether no more can be hoped for: every one was refused by a server that answers.
    pub fn is_hopeless(&self) -> bool {
        self.items.iter().all(|item| item.refused && !item.busy)
    }

    /// The fetches that are due, with the number of failures before; they count as being made from now on.
    pub(super) fn due(&mut self, now: Instant) -> Vec<(Wanted, u32)> {
        let busy = self.items.iter().filter(|item| item.busy).count();
        let due = self.items.iter_mut().filter(|item| !item.busy && item.due <= now);
        due.take(PARALLEL.saturating_sub(busy))
            .map(|item| {
                item.busy = true;
                (item.wanted.clone(), item.failures)
            })
            .collect()
    }

    /// When the next one is due; none while as many as may be are on their way.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let busy = self.items.iter().filter(|item| item.busy).count();
        self.items.iter().filter(|item| !item.busy && busy < PARALLEL).map(|item| item.due).min()
    }

    /// A try failed; `refused` if the server said that there is no such segment.
    pub(super) fn failed(&mut self, name: &str, refused: bool, now: Instant) {
        if let Some(item) =
            self.items.iter_mut().find(|item| item.wanted.span.names.first().is_some_and(|own| own == name))
        {
            item.busy = false;
            item.failures += 1;
            item.refused = refused;
            item.due = now + item.pauses.next_delay();
        }
    }

    /// Nothing is on its way: an attempt ended.
    pub fn reset(&mut self) {
        self.items.iter_mut().for_each(|item| item.busy = false);
    }

    /// One last round at once, as at the end of a session.
    pub fn hurry(&mut self, now: Instant) {
        for item in self.items.iter_mut().filter(|item| !item.busy) {
            item.due = now;
            item.refused = false;
            item.pauses.reset();
        }
    }
}

/// The bytes of a segment that was fetched late; or whether the server said that there is no such segment.
pub(super) fn judge(
    result: Result<Answer, NetError>,
    check: impl Fn(&Bytes) -> Looks,
    failures: u32,
) -> Result<Bytes, bool> {
    let answer = result.map_err(|error| error.is_permanent())?;
    if !(200..300).contains(&answer.status) {
        return Err(matches!(answer.status, 400..=428 | 430..=499));
    }
    match check(&answer.body) {
        Looks::Whole => Ok(answer.body),
        Looks::Damaged if failures >= DAMAGED_TRIES => Ok(answer.body),
        Looks::Damaged | Looks::Foreign => Err(false),
    }
}

/// Where a segment is of which only the name is known: beside those that are listed.
pub(in crate::source) fn beside(listed: &Url, name: &str) -> Option<Url> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if name.is_empty() || name.starts_with('.') || !name.bytes().all(plain) {
        return None;
    }
    let mut url = listed.clone();
    url.path_segments_mut().ok()?.pop().push(name);
    Some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(n: u64) -> Wanted {
        let names = vec![format!("chunk_{n}.aac")];
        let span = MissingSpan {
            first_sequence: n,
            last_sequence: n,
            names,
            media_time: 0,
            duration: 9,
            cause: String::new(),
        };
        let listed_at = Timestamp::UNIX_EPOCH;
        Wanted { span, url: None, program_date_time: None, discontinuity: false, listed_at }
    }

    #[test]
    fn a_given_up_segment_is_tried_again_at_growing_pauses_until_it_is_had() {
        let mut now = Instant::now();
        let mut book = LateBook::default();
        book.want(wanted(1), now);
        book.want(wanted(1), now);
        assert_eq!((book.len(), book.due(now).len()), (1, 0));
        let mut pauses = Vec::new();
        for _ in 0..9 {
            let due = book.next_due().expect("a time");
            pauses.push((due - now).as_secs_f64());
            now = due;
            assert_eq!(book.due(now).len(), 1);
            assert_eq!((book.due(now).len(), book.next_due()), (0, None));
            book.failed("chunk_1.aac", true, now);
        }
        assert!((4.0..=5.0).contains(&pauses[0]) && (240.0..=300.0).contains(&pauses[8]), "{pauses:?}");
        assert!(book.is_hopeless());
        book.hurry(now);
        assert!(!book.is_hopeless() && book.due(now).len() == 1);
        book.had("chunk_1.aac");
        assert!(book.is_empty());
    }

    #[test]
    fn what_is_wanted_is_bounded_and_so_is_what_is_fetched_at_once() {
        let now = Instant::now();
        let mut book = LateBook::default();
        (0..3000).for_each(|n| book.want(wanted(n), now));
        assert_eq!(book.len(), MOST);
        let later = now + FIRST_PAUSE;
        assert_eq!((book.due(later).len(), book.due(later).len()), (PARALLEL, 0));
        book.reset();
        assert_eq!(book.due(later).len(), PARALLEL);
    }

    #[test]
    fn a_hostile_name_leads_nowhere() {
        let listed = Url::parse("https://h/a/b/chunk_9.aac?type=live").expect("a url");
        assert_eq!(beside(&listed, "chunk_7.aac").expect("a url").as_str(), "https://h/a/b/chunk_7.aac?type=live");
        for name in ["", "..", "../x", "a/b", "http://x/", "a%2Fb", "a b", "é"] {
            assert_eq!(beside(&listed, name), None, "{name}");
        }
    }
}
