//! What is said to a gateway and what it says, each by a task of its own: sound that is being heard waits for neither.

use serde_json::Value;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use super::client::{JanusError, Message, Session};

/// Requests that wait for their turn at most; a room asks for one after the other.
const REQUESTS_MAX: usize = 32;

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
        let said = session.say(handle, body, answer.as_deref()).await;
        let is_over = said.is_err();
        if let Some(word) = said.transpose()
            && (told.send(word).await.is_err() || is_over)
        {
            return;
        }
    }
}

async fn poll(session: Session, told: mpsc::Sender<Result<Message, JanusError>>) {
    loop {
        match session.poll().await {
            Ok(messages) => {
                for message in messages {
                    if told.send(Ok(message)).await.is_err() {
                        return;
                    }
                }
            }
            Err(error) => return drop(told.send(Err(error)).await),
        }
    }
}
