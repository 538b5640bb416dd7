//! The limit on what is told: equal troubles become one line and a number, and a flood of anything has an end.
//!
//! Pure: time comes in with every call. It decides what is told and when, and knows nothing of who listens.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::{Level, Report};

/// How long equal reports are counted before their number is told. Doubles while the trouble lasts.
const FIRST_WINDOW: Duration = Duration::from_secs(60);

/// Longest such time: an operator who looks after a break sees that it still lasts.
const LONGEST_WINDOW: Duration = Duration::from_secs(600);

/// Kinds of trouble that are counted at once: more than all codes and outputs of a show together.
const MOST_WINDOWS: usize = 128;

/// What is told in one go, and how many more each second. The end of a show with dozens of files stays far below.
const BURST: f64 = 200.0;
const PER_SECOND: f64 = 2.0;

/// What only errors may use: no flood of anything else hides one.
const ERROR_BURST: f64 = 50.0;
const ERROR_PER_SECOND: f64 = 0.5;

/// Pause between two words about what was left out.
const LEFT_OUT_EVERY: Duration = Duration::from_secs(10);

/// Code of the event that says how many others were not told.
pub const LEFT_OUT: &str = "events.left_out";

/// A report that is told now.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Told {
    /// What is told.
    pub(super) report: Report,
    /// How many reports it stands for.
    pub(super) count: u64,
}

/// What equal reports have in common.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    level: Level,
    code: String,
    subject: String,
    /// The message without its amounts, which change from one report of a trouble to the next.
    shape: String,
}

/// Equal reports since the last one that was told.
#[derive(Debug)]
struct Window {
    opened: Instant,
    length: Duration,
    /// When the trouble was told first.
    since: Timestamp,
    /// Whether one of this window was told already.
    told: bool,
    count: u64,
    last: Option<Report>,
}

/// A bucket of tokens.
#[derive(Debug)]
struct Bucket {
    most: f64,
    per_second: f64,
    left: f64,
    filled: Option<Instant>,
}

impl Bucket {
    fn new(most: f64, per_second: f64) -> Self {
        Self { most, per_second, left: most, filled: None }
    }

    fn take(&mut self, now: Instant) -> bool {
        if let Some(filled) = self.filled.replace(now) {
            self.left += now.saturating_duration_since(filled).as_secs_f64() * self.per_second;
            self.left = self.left.min(self.most);
        }
        let has = self.left >= 1.0;
        self.left -= if has { 1.0 } else { 0.0 };
        has
    }
}

/// Decides what is told.
#[derive(Debug)]
pub(super) struct Limiter {
    windows: BTreeMap<Key, Window>,
    /// The keys in the order of their windows' opening.
    order: VecDeque<Key>,
    all: Bucket,
    errors: Bucket,
    left_out: u64,
    left_out_told: Option<Instant>,
}

impl Default for Limiter {
    fn default() -> Self {
        Self {
            windows: BTreeMap::new(),
            order: VecDeque::new(),
            all: Bucket::new(BURST, PER_SECOND),
            errors: Bucket::new(ERROR_BURST, ERROR_PER_SECOND),
            left_out: 0,
            left_out_told: None,
        }
    }
}

impl Limiter {
    /// A report comes in; what is told now, in order.
    pub(super) fn on_report(&mut self, report: Report, now: Instant, wall: Timestamp) -> Vec<Told> {
        let mut told = self.on_time(now);
        let told_of = |report, count| Told { report, count };
        if report.level == Level::Info {
            // Good news tells a change of state: it is never counted away, and it ends the subject's troubles.
            told.extend(self.close(|key, _| key.subject == report.subject, now, false));
            told.extend(self.pass(told_of(report, 1), now));
            return told;
        }
        let key = Key {
            level: report.level,
            code: report.code.clone(),
            subject: report.subject.clone(),
            shape: shape(&report.message),
        };
        if let Some(window) = self.windows.get_mut(&key) {
            window.count += 1;
            window.last = Some(report);
            return told;
        }
        if self.windows.len() >= MOST_WINDOWS
            && let Some(oldest) = self.order.front().cloned()
        {
            told.extend(self.close(|key, _| *key == oldest, now, false));
        }
        let since = report.since.unwrap_or(wall);
        self.open(key, Window { opened: now, length: FIRST_WINDOW, since, told: true, count: 0, last: None });
        told.extend(self.pass(told_of(report, 1), now));
        told
    }

    /// What time alone brings: the numbers of windows that are over.
    pub(super) fn on_time(&mut self, now: Instant) -> Vec<Told> {
        let over = |_: &Key, window: &Window| now.saturating_duration_since(window.opened) >= window.length;
        let mut told = self.close(over, now, true);
        told.extend(self.tell_left_out(now, false));
        told
    }

    /// Everything that was counted and not told yet: the last word.
    pub(super) fn finish(&mut self, now: Instant) -> Vec<Told> {
        let mut told = self.close(|_, _| true, now, false);
        told.extend(self.tell_left_out(now, true));
        told
    }

    fn open(&mut self, key: Key, window: Window) {
        self.order.push_back(key.clone());
        self.windows.insert(key, window);
    }

    /// Closes windows and tells their numbers; those with a number go on with a longer one if `again`.
    fn close(&mut self, wanted: impl Fn(&Key, &Window) -> bool, now: Instant, again: bool) -> Vec<Told> {
        let keys: Vec<Key> = self
            .order
            .iter()
            .filter(|key| self.windows.get(key).is_some_and(|window| wanted(key, window)))
            .cloned()
            .collect();
        self.order.retain(|key| !keys.contains(key));
        let mut told = Vec::new();
        for key in keys {
            let Some(window) = self.windows.remove(&key) else { continue };
            let Some(last) = window.last.clone() else { continue };
            told.extend(self.pass(summary(last, &window, now), now));
            if again {
                let length = (window.length * 2).min(LONGEST_WINDOW);
                self.open(key, Window { opened: now, length, told: false, count: 0, last: None, ..window });
            }
        }
        told
    }

    /// Lets it through if there is room for it.
    fn pass(&mut self, told: Told, now: Instant) -> Option<Told> {
        let room = self.all.take(now) || (told.report.level == Level::Error && self.errors.take(now));
        if !room {
            self.left_out += told.count;
        }
        room.then_some(told)
    }

    fn tell_left_out(&mut self, now: Instant, at_once: bool) -> Option<Told> {
        let due = self.left_out_told.is_none_or(|told| now.saturating_duration_since(told) >= LEFT_OUT_EVERY);
        if self.left_out == 0 || !(due || at_once) {
            return None;
        }
        self.left_out_told = Some(now);
        let message = format!("{} more events were left out.", std::mem::take(&mut self.left_out));
        let report = Report::warning(LEFT_OUT, "show", message)
            .doing("Tells the first ones of a flood and counts the rest.")
            .remedy("The bridge's log and the incident file hold what came before the flood.");
        Some(Told { report, count: 1 })
    }
}

/// One line for everything that a window counted.
fn summary(mut report: Report, window: &Window, now: Instant) -> Told {
    let seconds = now.saturating_duration_since(window.opened).as_secs().max(1);
    let (more, times) = (if window.told { " more" } else { "" }, if window.count == 1 { "time" } else { "times" });
    report.message = format!("{} ({}{more} {times} in {seconds} s)", report.message, window.count);
    report.since = report.since.or(Some(window.since));
    Told { report, count: window.count }
}

/// Words after which a number is an amount, which changes from one report of a trouble to the next.
const UNITS: [&str; 13] =
    ["s", "ms", "min", "h", "seconds", "B", "bytes", "kB", "MB", "kbit/s", "%", "times", "pieces"];

/// `text` with its amounts and its long numbers made equal. Short numbers stay: an answer of 503 is not one of 429, and
/// one address is not another.
fn shape(text: &str) -> String {
    let mut words = text.split(' ').peekable();
    let mut shape = String::with_capacity(text.len());
    while let Some(word) = words.next() {
        let unit = words.peek().map(|next| next.trim_end_matches(|c: char| c.is_ascii_punctuation() && c != '%'));
        if unit.is_some_and(|unit| UNITS.contains(&unit)) && word.trim_matches('(').parse::<f64>().is_ok() {
            shape.push('#');
        } else {
            push_without_long_numbers(&mut shape, word);
        }
        shape.push(' ');
    }
    shape
}

/// Sequence numbers, sizes and times in names: runs of four digits and more become one sign.
fn push_without_long_numbers(shape: &mut String, word: &str) {
    let mut rest = word;
    while let Some(first) = rest.chars().next() {
        let is_digit = first.is_ascii_digit();
        let end = rest.find(|c: char| c.is_ascii_digit() != is_digit).unwrap_or(rest.len());
        let (part, after) = rest.split_at(end);
        shape.push_str(if is_digit && part.len() >= 4 { "#" } else { part });
        rest = after;
    }
}

#[cfg(test)]
#[path = "limit_tests.rs"]
mod tests;
