//! What integration tests share: patience, free ports, turns, and real servers that end by their own process ids.

pub(crate) mod browser;
pub(crate) mod daemon;
pub(crate) mod drill;
pub(crate) mod janus;
pub(crate) mod lossy;
pub(crate) mod measure;
pub(crate) mod media;
pub(crate) mod namespace;
pub(crate) mod nginx;
pub(crate) mod outputs;
pub(crate) mod process;
pub(crate) mod show;
pub(crate) mod station;
pub(crate) mod tape;
pub(crate) mod tls;
pub(crate) mod visit;

use std::future::Future;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, SemaphorePermit};

/// What two cores carry at one time, in halves of a show with pictures: three of those. Tests with media wait most of
/// their time, for media goes by in real time.
const PLACES: u32 = 6;

static TURN: Semaphore = Semaphore::const_new(PLACES as usize);

/// Waits for a place. Other tests with media may run beside this one; more than the machine carries never do.
pub(crate) async fn turn() -> SemaphorePermit<'static> {
    places(2).await
}

/// Waits for half a place: for what hears or decodes, and has neither an output nor a gateway.
pub(crate) async fn turn_to_hear() -> SemaphorePermit<'static> {
    places(1).await
}

/// Waits until no other test with media runs: for what measures delays, processors or memory.
pub(crate) async fn turn_alone() -> SemaphorePermit<'static> {
    places(PLACES).await
}

async fn places(count: u32) -> SemaphorePermit<'static> {
    TURN.acquire_many(count).await.expect("it is never closed")
}

/// A port that was free a moment ago. Whoever binds it next should fail loudly if it is not.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").port()
}

/// Waits until `check` gives something; fails naming `what` when `patience` is over.
pub(crate) async fn eventually<T>(what: &str, patience: Duration, mut check: impl FnMut() -> Option<T>) -> T {
    eventually_async(what, patience, || std::future::ready(check())).await
}

/// [`eventually`] for a check that waits itself.
pub(crate) async fn eventually_async<T, F>(what: &str, patience: Duration, mut check: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let deadline = Instant::now() + patience;
    loop {
        if let Some(found) = check().await {
            return found;
        }
        assert!(Instant::now() < deadline, "not within {} s: {what}", patience.as_secs());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
