//! The last events of a show, kept so that a reader that was away can go on where it stopped.
//!
//! It only remembers: what the events mean is not its matter.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;

use crate::alert::{Event, Events};

/// Events kept: a bad night of an hour with an event every few seconds, in less than a megabyte.
const KEPT: usize = 512;

/// A bounded memory of events. Clones share it.
#[derive(Debug, Clone)]
pub struct History {
    kept: Arc<Mutex<VecDeque<Event>>>,
    newest: Arc<watch::Sender<u64>>,
}

impl Default for History {
    fn default() -> Self {
        Self { kept: Arc::default(), newest: Arc::new(watch::Sender::new(0)) }
    }
}

impl History {
    /// Remembers everything that `events` reports from now on, until `token` ends.
    pub fn follow(events: &Events, token: CancellationToken) -> Self {
        let history = Self::default();
        let (mut receiver, sink) = (events.subscribe(), history.clone());
        tokio::spawn(async move {
            loop {
                let received = tokio::select! {
                    () = token.cancelled() => break,
                    received = receiver.recv() => received,
                };
                match received {
                    Ok(event) => sink.push(event),
                    Err(broadcast::error::RecvError::Lagged(lost)) => {
                        tracing::warn!(lost, "Events came faster than they could be remembered.");
                    }
                    Err(broadcast::error::RecvError::Closed) => break,
                }
            }
            // What was reported right before the end is what a reader most wants to know.
            while let Ok(event) = receiver.try_recv() {
                sink.push(event);
            }
        });
        history
    }

    /// Remembers one event and forgets the oldest when there are too many.
    pub fn push(&self, event: Event) {
        let id = event.id;
        {
            let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            kept.push_back(event);
            if kept.len() > KEPT {
                kept.pop_front();
            }
        }
        self.newest.send_replace(id);
    }

    /// Every kept event after `id`, oldest first.
    pub fn after(&self, id: u64) -> Vec<Event> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().filter(|event| event.id > id).cloned().collect()
    }

    /// The last `count` events, oldest first.
    pub fn recent(&self, count: usize) -> Vec<Event> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().skip(kept.len().saturating_sub(count)).cloned().collect()
    }

    /// Changes to the newest id whenever something happens.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::Level;

    fn event(id: u64) -> Event {
        Event {
            id,
            at: jiff::Timestamp::UNIX_EPOCH,
            level: Level::Info,
            code: "test".into(),
            subject: "show".into(),
            message: format!("Event {id}."),
            remedy: None,
        }
    }

    #[test]
    fn a_reader_that_was_away_gets_what_it_missed_and_memory_stays_bounded() {
        let history = History::default();
        (1..=KEPT as u64 + 10).for_each(|id| history.push(event(id)));
        let missed: Vec<u64> = history.after(KEPT as u64 + 7).iter().map(|event| event.id).collect();
        assert_eq!(missed, [KEPT as u64 + 8, KEPT as u64 + 9, KEPT as u64 + 10]);
        assert_eq!(history.after(0).len(), KEPT);
        assert_eq!(history.recent(2).len(), 2);
    }
}
