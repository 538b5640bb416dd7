//! The Space's chat beside the playlist: the third signal of its end.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::source::x_space::api::XApi;
use crate::source::x_space::chat::{self, ChatFact};

/// A chat that is read along for as long as this lives.
pub(super) struct Chat {
    facts: mpsc::Receiver<ChatFact>,
    _guard: DropGuard,
}

impl Chat {
    /// Reads along, once X gave a token for it.
    pub(super) fn join(api: &Arc<XApi>) -> Option<Self> {
        let chat_token = api.chat_token()?;
        let (sender, facts) = mpsc::channel(16);
        let token = CancellationToken::new();
        tokio::spawn(chat::listen(api.clone(), chat_token, sender, token.clone()));
        Some(Self { facts, _guard: token.drop_guard() })
    }
}

/// The next thing that the chat tells. Safe to drop while it waits.
pub(super) async fn heard(chat: &mut Option<Chat>) -> ChatFact {
    match chat {
        // A chat that is not wanted tells nothing.
        Some(chat) => match chat.facts.recv().await {
            Some(fact) => fact,
            None => std::future::pending().await,
        },
        None => std::future::pending().await,
    }
}
