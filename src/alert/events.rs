//! The stream of events and the memory of it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::broadcast;

use super::limit::{Limiter, Told};
use super::{Event, Level, Report};
use crate::clock::Clock;
use crate::text::plain;

/// Events that are remembered: a bad night of an hour with one every few seconds, in less than a megabyte.
const REMEMBERED: usize = 512;

/// Longest text of an event, in characters: a path and a library's longest complaint.
const MAX_TEXT: usize = 2000;

/// Where stages report events. Clones feed one stream and share one memory of it.
#[derive(Debug, Clone)]
pub struct Events {
    clock: Clock,
    memory: Arc<Mutex<Memory>>,
    sender: broadcast::Sender<Event>,
}

#[derive(Debug, Default)]
struct Memory {
    last_id: u64,
    events: VecDeque<Event>,
    limiter: Limiter,
}

impl Events {
    /// A stream that keeps the last 256 events for slow readers.
    pub fn new(clock: Clock) -> Self {
        let (sender, _) = broadcast::channel(256);
        Self { clock, memory: Arc::default(), sender }
    }

    /// Reads what is told from now on.
    pub fn subscribe(&self) -> broadcast::Receiver<Event> {
        self.sender.subscribe()
    }

    /// Every remembered event after `id`, oldest first.
    pub fn after(&self, id: u64) -> Vec<Event> {
        self.memory().events.iter().filter(|event| event.id > id).cloned().collect()
    }

    /// The last `count` events, oldest first.
    pub fn recent(&self, count: usize) -> Vec<Event> {
        let memory = self.memory();
        memory.events.iter().skip(memory.events.len().saturating_sub(count)).cloned().collect()
    }

    /// Reports that something went as it should.
    pub fn info(&self, code: &str, subject: &str, message: impl Into<String>) {
        self.tell(Report::info(code, subject, message));
    }

    /// Reports a fault that the bridge deals with by itself.
    pub fn warning(&self, code: &str, subject: &str, message: impl Into<String>, remedy: Option<&str>) {
        let report = Report::warning(code, subject, message);
        self.tell(Report { remedy: remedy.map(str::to_owned), ..report });
    }

    /// Reports a fault that needs the operator, with what to do.
    pub fn error(&self, code: &str, subject: &str, message: impl Into<String>, remedy: Option<&str>) {
        let report = Report::error(code, subject, message);
        self.tell(Report { remedy: remedy.map(str::to_owned), ..report });
    }

    /// Reports with everything that is known. A trouble that was told just now is counted, and told with its number.
    pub fn tell(&self, report: Report) {
        let (now, wall) = (self.clock.now(), self.clock.wall());
        tracing::debug!(code = report.code, subject = report.subject, message = report.message, "Reported.");
        let mut memory = self.memory();
        let told = memory.limiter.on_report(report, now, wall);
        self.publish(&mut memory, told);
    }

    /// Tells the numbers that are due. Called about once a second by whoever carries the show.
    pub fn settle(&self) {
        let mut memory = self.memory();
        let told = memory.limiter.on_time(self.clock.now());
        self.publish(&mut memory, told);
    }

    /// Tells every number that is not told yet: the show is over.
    pub fn finish(&self) {
        let mut memory = self.memory();
        let told = memory.limiter.finish(self.clock.now());
        self.publish(&mut memory, told);
    }

    /// Numbers events, keeps them and sends them, all under the lock: the order of ids is everybody's order.
    fn publish(&self, memory: &mut Memory, told: Vec<Told>) {
        for told in told {
            memory.last_id += 1;
            let event = event_of(told, memory.last_id, &self.clock);
            log(&event);
            memory.events.push_back(event.clone());
            if memory.events.len() > REMEMBERED {
                memory.events.pop_front();
            }
            // Nobody may be listening, which is fine: the log has it.
            drop(self.sender.send(event));
        }
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn event_of(told: Told, id: u64, clock: &Clock) -> Event {
    let Told { report, count } = told;
    let text = |text: Option<String>| text.map(|text| plain(&text, MAX_TEXT)).filter(|text| !text.is_empty());
    Event {
        id,
        at: clock.wall(),
        level: report.level,
        code: report.code,
        subject: plain(&report.subject, 200),
        message: plain(&report.message, MAX_TEXT),
        remedy: text(report.remedy),
        doing: text(report.doing),
        since: report.since,
        count,
    }
}

fn log(event: &Event) {
    let Event { code, subject, message, count, .. } = event;
    match event.level {
        Level::Info => tracing::info!(code, subject, %message, count, "Event."),
        Level::Warning => tracing::warn!(code, subject, %message, count, "Event."),
        Level::Error => tracing::error!(code, subject, %message, count, "Event."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_that_was_away_gets_what_it_missed_and_memory_stays_bounded() {
        let events = Events::new(Clock::system());
        // In the pace of the night, not in one go: a flood would be cut.
        let mut memory = events.memory();
        for index in 1..=REMEMBERED + 10 {
            let report = Report::info("test", "show", format!("Event {index}."));
            events.publish(&mut memory, vec![Told { report, count: 1 }]);
        }
        drop(memory);
        let newest = REMEMBERED as u64 + 10;
        let missed: Vec<u64> = events.after(newest - 3).iter().map(|event| event.id).collect();
        assert_eq!(missed, [newest - 2, newest - 1, newest]);
        assert_eq!(events.after(0).len(), REMEMBERED);
        assert_eq!(events.recent(2).last().map(|event| event.id), Some(newest));
    }

    #[test]
    fn a_thousand_equal_warnings_reach_everybody_as_one_event_and_a_number() {
        let events = Events::new(Clock::system());
        let mut reader = events.subscribe();
        (0..1000).for_each(|_| events.warning("source.failed", "source", "Answer 503.", Some("Wait.")));
        events.finish();
        let told = events.after(0);
        let seen: Vec<(u64, Option<&str>)> = told.iter().map(|one| (one.count, one.remedy.as_deref())).collect();
        assert_eq!(seen, [(1, Some("Wait.")), (999, Some("Wait."))]);
        assert!(told[1].message.starts_with("Answer 503. (999 more times in "), "{}", told[1].message);
        assert_eq!(std::iter::from_fn(|| reader.try_recv().ok()).count(), 2);
    }

    #[test]
    fn an_event_says_since_when_and_what_is_done_about_it_and_no_more_than_is_known() {
        let events = Events::new(Clock::system());
        let began = "2026-08-12T20:00:00Z".parse().expect("a time");
        events.tell(Report::warning("a", "show", "Odd\u{1b}[2J.").doing("Tries again.").since(began));
        events.info("b", "show", "Fine.");
        let json: Vec<serde_json::Value> =
            events.after(0).iter().map(|event| serde_json::to_value(event).expect("JSON")).collect();
        assert_eq!(json[0]["since"], "2026-08-12T20:00:00Z");
        assert_eq!((&json[0]["doing"], &json[0]["message"]), (&"Tries again.".into(), &"Odd [2J.".into()));
        for absent in ["since", "doing", "remedy", "count"] {
            assert!(json[1].get(absent).is_none(), "{absent}");
        }
        // A client of this version reads a bridge of an earlier one.
        let event: Event = serde_json::from_value(json[1].clone()).expect("an event");
        assert_eq!((event.count, event.since), (1, None));
    }
}
