//! The search for the host's next space: when it is looked for, and when what was found is taken. It joins nothing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Mutex, oneshot};
use tokio::task::JoinHandle;

use crate::alert::Events;
use crate::session::SessionState;
use crate::source::{Search, SessionInfo, SourceFault, Successor};

/// A space that has given nothing for this long may be dead, and the host may have opened another.
const LOOK_AFTER: Duration = Duration::from_secs(10);

/// A space that has given nothing for this long is left for the host's next one.
const TAKE_AFTER: Duration = Duration::from_secs(30);

/// Longest pause between two looks while they fail.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// How the session is doing, as far as the search goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Doing {
    /// Where it stands.
    pub(super) state: SessionState,
    /// For how long it has given nothing.
    pub(super) silent: Duration,
    /// Whether its source fails.
    pub(super) failing: bool,
    /// Whether its announced start is over.
    pub(super) overdue: bool,
}

/// What is to be done about the next space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hunting {
    /// Nothing.
    Rest,
    /// Look, and keep what is found.
    Look,
    /// Look, and join what is found.
    Take,
}

/// Whether the host's next space is looked for while this one is not over.
pub(super) fn hunting(doing: Doing) -> Hunting {
    let in_doubt = match doing.state {
        SessionState::Between => return Hunting::Take,
        SessionState::Live | SessionState::Ended => false,
        SessionState::Gap => true,
        // A host who cannot open the announced space opens another one.
        SessionState::Connecting | SessionState::Waiting => doing.failing || doing.overdue,
    };
    match doing.silent {
        _ if !in_doubt => Hunting::Rest,
        silent if silent >= TAKE_AFTER => Hunting::Take,
        silent if silent >= LOOK_AFTER => Hunting::Look,
        _ => Hunting::Rest,
    }
}

/// A search that hunts after each other share, so that none looks sooner than the platform is to be asked.
#[derive(Clone)]
pub(in crate::bridge) struct SharedSearch(Arc<Mutex<Searcher>>);

struct Searcher {
    search: Box<dyn Search>,
    next_look: Option<Instant>,
}

impl SharedSearch {
    pub(super) fn new(search: Box<dyn Search>) -> Self {
        Self(Arc::new(Mutex::new(Searcher { search, next_look: None })))
    }
}

/// A search under way. Dropping it ends it.
pub(super) struct Hunt {
    found: oneshot::Receiver<Successor>,
    task: JoinHandle<()>,
    taken: Option<Successor>,
}

impl Hunt {
    /// Looks for the session after `known` until one is found.
    pub(super) fn start(search: SharedSearch, known: SessionInfo, events: Events) -> Self {
        let (sender, found) = oneshot::channel();
        let task = tokio::spawn(async move {
            let mut searcher = search.0.lock().await;
            if let Some(successor) = searcher.find(&known, &events).await
                && sender.send(successor).is_err()
            {
                tracing::debug!("Nobody waits for the next space any more.");
            }
        });
        Self { found, task, taken: None }
    }

    /// What was found, if anything was.
    pub(super) fn take(&mut self) -> Option<Successor> {
        self.taken.take().or_else(|| self.found.try_recv().ok())
    }
}

impl Drop for Hunt {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Searcher {
    async fn find(&mut self, known: &SessionInfo, events: &Events) -> Option<Successor> {
        let mut failures = 0;
        loop {
            if let Some(at) = self.next_look {
                tokio::time::sleep_until(at.into()).await;
            }
            let looked = self.search.look(known).await;
            let pause = self.search.pause();
            let wait = match &looked {
                Ok(_) => pause,
                Err(error) => {
                    failures += 1;
                    let limit = if let SourceFault::RateLimited(wait) = error.class { wait } else { Duration::ZERO };
                    limit.max(pause.saturating_mul(1 << failures.min(8)).min(LONGEST_PAUSE.max(pause)))
                }
            };
            self.next_look = Some(Instant::now() + wait);
            match looked {
                Ok(Some(successor)) => return Some(successor),
                Ok(None) => failures = 0,
                // The same trouble again and again is told once.
                Err(error) if failures == 1 => {
                    let message = format!("The host's next space could not be looked for: {}", error.message);
                    let remedy = "It is looked for again; spacebridge source set LINK points the show at it at once.";
                    events.warning("session.search", "session", message, Some(remedy));
                }
                Err(error) => tracing::debug!(%error, "The host's next space could not be looked for."),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_next_space_is_looked_for_in_doubt_and_joined_only_when_this_one_is_silent_for_long() {
        let doing =
            |state, silent, failing, overdue| Doing { state, silent: Duration::from_secs(silent), failing, overdue };
        for (what, doing, expected) in [
            ("live", doing(SessionState::Live, 300, true, true), Hunting::Rest),
            ("a short gap", doing(SessionState::Gap, 9, false, false), Hunting::Rest),
            ("a gap", doing(SessionState::Gap, 10, false, false), Hunting::Look),
            ("a gap of 29 s", doing(SessionState::Gap, 29, true, true), Hunting::Look),
            ("a long gap", doing(SessionState::Gap, 30, false, false), Hunting::Take),
            ("before the start", doing(SessionState::Waiting, 3600, false, false), Hunting::Rest),
            ("late", doing(SessionState::Waiting, 3600, false, true), Hunting::Take),
            ("look-ups fail", doing(SessionState::Connecting, 60, true, false), Hunting::Take),
            ("over", doing(SessionState::Between, 0, false, false), Hunting::Take),
            ("the show ends", doing(SessionState::Ended, 3600, true, true), Hunting::Rest),
        ] {
            assert_eq!(hunting(doing), expected, "{what}");
        }
    }

    struct Host {
        looks: Arc<std::sync::Mutex<Vec<Instant>>>,
        fails: usize,
    }

    impl Search for Host {
        fn look<'a>(&'a mut self, known: &'a SessionInfo) -> crate::source::Look<'a> {
            Box::pin(async move {
                assert_eq!(known.host_id.as_deref(), Some("7"));
                let count = self.looks.lock().map_or(0, |mut looks| {
                    looks.push(Instant::now());
                    looks.len()
                });
                if count <= self.fails {
                    return Err(crate::source::SourceError::transient("503"));
                }
                let source = Box::new(crate::source::tone::ToneSource::new(None));
                Ok((count > self.fails + 1).then_some(Successor { source, link: "tone".to_owned() }))
            })
        }

        fn pause(&self) -> Duration {
            Duration::from_millis(20)
        }
    }

    #[tokio::test]
    async fn failing_searches_go_on_politely_and_are_told_once() {
        let looks: Arc<std::sync::Mutex<Vec<Instant>>> = Arc::default();
        let search = SharedSearch::new(Box::new(Host { looks: looks.clone(), fails: 2 }));
        let events = Events::new(crate::clock::Clock::system());
        let known = SessionInfo { host_id: Some("7".to_owned()), ..SessionInfo::default() };
        let mut hunt = Hunt::start(search.clone(), known.clone(), events.clone());
        let found = tokio::time::timeout(Duration::from_secs(5), async {
            loop {
                if let Some(found) = hunt.take() {
                    break found;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        });
        assert_eq!(found.await.expect("found").link, "tone");
        // A hunt that begins at once waits for its turn too.
        let mut again = Hunt::start(search, known, events.clone());
        while again.take().is_none() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let looks = looks.lock().expect("looks").clone();
        assert_eq!((looks.len(), events.recent(10).len()), (5, 1));
        assert!(looks.windows(2).all(|pair| pair[1] - pair[0] >= Duration::from_millis(19)), "{looks:?}");
    }
}
