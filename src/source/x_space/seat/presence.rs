//! Says that the account is there, as X's own page does for every listener. Best effort: a seat does not hang on it.
//!
//! Calls as observed by elizaOS's agent-twitter-client (`src/spaces/utils.ts`).

use std::time::Duration;

use serde_json::json;

use super::service::{Services, text};
use crate::secret::Secret;

/// Pause between two signs of life.
pub(super) const PING: Duration = Duration::from_secs(20);

/// One presence.
#[derive(Debug, Clone)]
pub(super) struct Presence {
    services: Services,
    cookie: Secret,
    session: String,
}

impl Presence {
    /// Begins one; none where X does not want it.
    pub(super) async fn start(services: &Services, cookie: &Secret, lifecycle: Option<Secret>) -> Option<Self> {
        let body = json!({"life_cycle_token": lifecycle?.expose(), "auto_play": false, "cookie": cookie.expose()});
        let began = services.login("startWatching", &body).await;
        let session = began.and_then(|answer| text(&answer, "startWatching", "session").map(str::to_owned));
        match session {
            Ok(session) => Some(Self { services: services.clone(), cookie: cookie.clone(), session }),
            Err(error) => {
                tracing::debug!(%error, "X was not told that we are there.");
                None
            }
        }
    }

    /// Still there.
    pub(super) async fn ping(&self) {
        self.say("pingWatching").await;
    }

    /// Not there any more.
    pub(super) async fn stop(&self) {
        self.say("stopWatching").await;
    }

    async fn say(&self, call: &'static str) {
        let body = json!({"session": self.session, "cookie": self.cookie.expose()});
        if let Err(error) = self.services.login(call, &body).await {
            tracing::debug!(%error, "X was not told that we are there.");
        }
    }
}
