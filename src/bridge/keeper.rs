//! Saves the show's record from a thread of its own: a state folder whose disk is full or hangs keeps no show from
//! going on, and is told once.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use tokio::sync::oneshot;

use super::state_folder::{ShowRecord, StateFolder};
use crate::alert::Events;

/// How long somebody waits for a record at the most.
const PATIENCE: Duration = Duration::from_secs(2);

enum Order {
    Save(Box<ShowRecord>),
    /// Answered when everything before it is saved, or could not be.
    Flush(oneshot::Sender<()>),
}

/// Where records go. Dropping it ends the thread.
#[derive(Debug)]
pub(super) struct Keeper {
    orders: Sender<Order>,
}

impl Keeper {
    /// Keeps the record in `folder`.
    ///
    /// # Errors
    /// When the machine gives no thread.
    pub(super) fn start(folder: StateFolder, events: Events) -> std::io::Result<Self> {
        let (orders, inbox) = channel();
        let save = move |record: &ShowRecord| folder.save(record).map_err(|error| error.to_string());
        std::thread::Builder::new().name("state".to_owned()).spawn(move || run(&inbox, save, &events))?;
        Ok(Self { orders })
    }

    /// Saves a record; of several that wait, the newest.
    pub(super) fn save(&self, record: &ShowRecord) {
        if self.orders.send(Order::Save(Box::new(record.clone()))).is_err() {
            tracing::warn!("The show's record is not kept any more.");
        }
    }

    /// Waits, a moment at most, until the last record is saved.
    pub(super) fn flush(&self) -> impl Future<Output = ()> + use<> {
        let (done, saved) = oneshot::channel();
        let is_asked = self.orders.send(Order::Flush(done)).is_ok();
        async move {
            if !is_asked || tokio::time::timeout(PATIENCE, saved).await.is_err() {
                tracing::warn!("The show's record was not saved in time.");
            }
        }
    }
}

fn run(inbox: &Receiver<Order>, save: impl Fn(&ShowRecord) -> Result<(), String>, events: &Events) {
    let mut refused = false;
    while let Ok(first) = inbox.recv() {
        let (mut newest, mut flushes) = (None, Vec::new());
        for order in std::iter::once(first).chain(inbox.try_iter()) {
            match order {
                Order::Save(record) => newest = Some(record),
                Order::Flush(done) => flushes.push(done),
            }
        }
        if let Some(record) = newest {
            let saved = save(&record);
            tell(events, &saved, refused);
            refused = saved.is_err();
        }
        for done in flushes {
            // Who asked may be gone.
            done.send(()).ok();
        }
    }
}

fn tell(events: &Events, saved: &Result<(), String>, refused: bool) {
    match saved {
        Err(error) if !refused => {
            let message = format!("The show's state cannot be saved ({error}); the show itself goes on");
            let remedy =
                "Free some space in the state folder: without it a crash would be resumed from an older state.";
            events.warning("show.unsaved", "show", message, Some(remedy));
        }
        Ok(()) if refused => events.info("show.saved", "show", "The show's state is being saved again"),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::clock::Clock;

    #[test]
    fn a_full_disk_is_told_once_and_its_end_too() {
        let events = Events::new(Clock::system());
        let (calls, told) = (AtomicUsize::new(0), events.clone());
        let (sender, inbox) = channel();
        let record = ShowRecord::new("night", String::new(), jiff::Timestamp::UNIX_EPOCH);
        let (acks, mut acked) = (Vec::from_iter((0..8).map(|_| oneshot::channel())), Vec::new());
        std::thread::scope(|scope| {
            let calls = &calls;
            scope.spawn(move || {
                let save = |_: &ShowRecord| match calls.fetch_add(1, Ordering::Relaxed) {
                    2..6 => Err("no space left".to_owned()),
                    _ => Ok(()),
                };
                run(&inbox, save, &told);
            });
            for (done, saved) in acks {
                sender.send(Order::Save(Box::new(record.clone()))).unwrap();
                sender.send(Order::Flush(done)).unwrap();
                acked.push(saved.blocking_recv());
            }
            drop(sender);
        });
        assert!(acked.iter().all(Result::is_ok));
        let codes: Vec<_> = events.recent(9).into_iter().map(|event| event.code).collect();
        assert_eq!(codes, ["show.unsaved", "show.saved"]);
    }

    #[tokio::test]
    async fn the_last_record_is_on_the_disk_when_the_show_closes() {
        let root = tempfile::tempdir().unwrap();
        let folder = StateFolder::open_in(root.path(), "night").unwrap();
        let keeper = Keeper::start(folder.clone(), Events::new(Clock::system())).unwrap();
        let mut record = ShowRecord::new("night", "f".into(), jiff::Timestamp::UNIX_EPOCH);
        for resumes in 0..100 {
            record.resumes = resumes;
            keeper.save(&record);
        }
        keeper.flush().await;
        assert_eq!(folder.load().unwrap(), Some(record));
    }
}
