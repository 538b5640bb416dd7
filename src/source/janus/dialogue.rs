//! What is said to a gateway and what it says, each by a task of its own: sound that is being heard waits for neither.

use std::time::Duration;

use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::client::{JanusError, Message, Session};
use crate::net::NetError;

/// Requests that wait for their turn at most; a room asks for one after the other.
const REQUESTS_MAX: usize = 32;

/// The kind of a message that a handle is no more, the gateway's own word.
pub(super) const DETACHED: &str = "detached";

/// The kind of a message that the gateway is heard again: what it said meanwhile may be lost. No gateway says this.
pub(super) const RESUMED: &str = "spacebridge-resumed";

/// What a request is told whose handle is no more.
const NO_SUCH_HANDLE: i64 = 459;

/// A gateway that does not answer for so long is given up; it gives a session up after 60 s. Sound comes by another way, and
/// goes on.
const SILENT_MAX: Duration = Duration::from_secs(20);

/// Pause before it is asked again.
const PAUSE: Duration = Duration::from_millis(500);

/// A request to the handle, with a description that answers the gateway's.
type Request = (u64, Value, Option<String>);

/// The talk with a gateway; its tasks end with it.
pub(super) struct Dialogue {
    requests: mpsc::Sender<Request>,
    messages: mpsc::Receiver<Result<Message, JanusError>>,
    _tasks: [AbortOnDropHandle<()>; 2],
}

impl Dialogue {
    /// Begins it.
    pub(super) fn begin(session: &Session) -> Self {
        let (sender, messages) = mpsc::channel(64);
        let (requests, said) = mpsc::channel(REQUESTS_MAX);
        let says = tokio::spawn(say(session.clone(), said, sender.clone()));
        let asks = tokio::spawn(poll(session.clone(), sender));
        Self { requests, messages, _tasks: [AbortOnDropHandle::new(says), AbortOnDropHandle::new(asks)] }
    }

    /// Where requests go.
    pub(super) fn requests(&self) -> Requests {
        Requests(self.requests.clone())
    }

    /// What the gateway says next, or why it says nothing more; none after that.
    pub(super) async fn next(&mut self) -> Option<Result<Message, JanusError>> {
        self.messages.recv().await
    }
}

/// Says something to the gateway.
pub(super) struct Requests(mpsc::Sender<Request>);

impl Requests {
    /// Says it when everything before has been said. False where the gateway takes nothing more; what went wrong is told as
    /// the gateway's own word is.
    pub(super) fn say(&self, handle: u64, body: Value, answer: Option<String>) -> bool {
        self.0.try_send((handle, body, answer)).is_ok()
    }
}

async fn say(session: Session, mut requests: mpsc::Receiver<Request>, told: mpsc::Sender<Result<Message, JanusError>>) {
    while let Some((handle, body, answer)) = requests.recv().await {
        let said = match session.say(handle, body, answer.as_deref()).await {
            Err(JanusError::Refused { code: NO_SUCH_HANDLE, .. }) => Ok(Some(plain(DETACHED, Some(handle)))),
            said => said,
        };
        let is_over = said.is_err();
        if let Some(word) = said.transpose()
            && (told.send(word).await.is_err() || is_over)
        {
            return;
        }
    }
}

fn plain(kind: &str, sender: Option<u64>) -> Message {
    Message { kind: kind.to_owned(), sender, data: Value::Null, jsep: None }
}

/// Whether the gateway, or what stands before it, may answer in a moment.
fn is_passing(error: &JanusError) -> bool {
    match error {
        JanusError::Net(error) => matches!(error, NetError::TimedOut(_) | NetError::Connection(_)),
        JanusError::Status(status) => (500..600).contains(status),
        _ => false,
    }
}

async fn poll(session: Session, told: mpsc::Sender<Result<Message, JanusError>>) {
    let mut silent: Option<Instant> = None;
    loop {
        match session.poll().await {
            Err(error) if is_passing(&error) && silent.is_none_or(|since| since.elapsed() < SILENT_MAX) => {
                tracing::info!(%error, "A gateway did not answer; it is asked again.");
                silent = silent.or_else(|| Some(Instant::now()));
                tokio::time::sleep(PAUSE).await;
            }
            Ok(messages) => {
                let resumed = silent.take().map(|_| plain(RESUMED, None));
                for message in resumed.into_iter().chain(messages) {
                    if told.send(Ok(message)).await.is_err() {
                        return;
                    }
                }
            }
            Err(error) => return drop(told.send(Err(error)).await),
        }
    }
}
