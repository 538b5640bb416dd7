//! What integration tests share: patience, free ports, turns, and real servers that end by their own process ids.

pub(crate) mod measure;
pub(crate) mod media;
pub(crate) mod nginx;
pub(crate) mod process;
pub(crate) mod show;
pub(crate) mod tls;

use std::future::Future;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use tokio::sync::{Mutex, MutexGuard};

/// Media tests measure time: they take turns.
static TURN: Mutex<()> = Mutex::const_new(());

/// Waits for this test's turn.
pub(crate) async fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().await
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
