//! Listens to the bridge of a rehearsal over its own socket, across its deaths, and remembers what it said.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio_util::task::AbortOnDropHandle;

use crate::alert::Event;
use crate::bridge::client::BridgeClient;
use crate::bridge::protocol::Update;
use crate::status::ShowStatus;

/// Events that are remembered: a night of an hour with one a second.
const REMEMBERED: usize = 4096;
/// Pause while there is no bridge.
const PAUSE: Duration = Duration::from_millis(100);

/// What the bridge said so far. Dropping it stops the listening.
#[derive(Debug)]
pub(super) struct Witness {
    client: BridgeClient,
    heard: Arc<Mutex<Vec<Event>>>,
    _listening: AbortOnDropHandle<()>,
}

impl Witness {
    /// Starts to listen; the bridge may come later.
    pub(super) fn start(client: BridgeClient) -> Self {
        let heard = Arc::<Mutex<Vec<Event>>>::default();
        let listening = AbortOnDropHandle::new(tokio::spawn(listen(client.clone(), heard.clone())));
        Self { client, heard, _listening: listening }
    }

    /// The bridge's status now; none while there is no bridge.
    pub(super) async fn status(&self) -> Option<ShowStatus> {
        self.client.status().await.ok()
    }

    /// Asks the show to end.
    ///
    /// # Errors
    /// When it could not be asked.
    pub(super) async fn end(&self) -> Result<(), String> {
        self.client.end().await.map_err(|error| error.to_string())
    }

    /// Everything that was said.
    pub(super) fn heard(&self) -> Vec<Event> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn listen(client: BridgeClient, heard: Arc<Mutex<Vec<Event>>>) {
    // A stream that is opened again repeats what the reader's place does not cover.
    let mut known = HashSet::new();
    let mut place = None;
    loop {
        if let Ok(mut stream) = client.events(place).await {
            while let Ok(Some(update)) = stream.next().await {
                let Update::Event(event) = update else { continue };
                let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
                if heard.len() < REMEMBERED && known.insert((event.at, event.id)) {
                    heard.push(event);
                }
            }
            place = stream.place();
        }
        tokio::time::sleep(PAUSE).await;
    }
}
