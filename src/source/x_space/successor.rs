//! The Space that a host opens after another one: looked for by the host's user id.

use std::sync::Arc;
use std::time::Duration;

use super::api::XApi;
use super::seat::{Rules, SpeakerSeat};
use super::url::SpaceAddress;
use super::{HttpClient, Memory, XSpaceSource};
use crate::config::XApiConfig;
use crate::source::{Look, Search, SessionInfo, Source, SourceError, Successor};

/// Least pause between two looks: who is live is what the web page asks for every avatar, and no more often.
const LEAST_PAUSE: Duration = Duration::from_secs(30);

/// Looks for a host's next Space, asked for as the Space before it was.
#[derive(Debug)]
pub(super) struct HostSearch {
    pub(super) api: Arc<XApi>,
    pub(super) client: HttpClient,
    pub(super) config: XApiConfig,
    /// Whether the next one is heard from a seat.
    pub(super) seat: Option<Rules>,
    /// How long X wants to be left alone, by its last answer.
    pub(super) refresh: Duration,
}

impl HostSearch {
    async fn next(&mut self, known: &SessionInfo) -> Result<Option<Successor>, SourceError> {
        let Some(host) = &known.host_id else { return Ok(None) };
        let content = self.api.live_content_of(host).await?;
        self.refresh = content.refresh.unwrap_or_default();
        let Some(id) = content.space else { return Ok(None) };
        // X names a Space that is over for a while.
        if id.as_str() == known.id || self.api.space(&id).await?.state.is_over() {
            return Ok(None);
        }
        let link = id.as_str().to_owned();
        let source = XSpaceSource {
            address: SpaceAddress::Space { id, broadcast_link: false },
            api: self.api.clone(),
            client: self.client.clone(),
            config: self.config.clone(),
            memory: Memory::default(),
        };
        let source: Box<dyn Source> = match self.seat {
            Some(rules) => Box::new(SpeakerSeat::beside(source, rules)?),
            None => Box::new(source),
        };
        Ok(Some(Successor { source, link }))
    }
}

impl Search for HostSearch {
    fn look<'a>(&'a mut self, known: &'a SessionInfo) -> Look<'a> {
        Box::pin(self.next(known))
    }

    fn pause(&self) -> Duration {
        self.config.lookup_interval.max(LEAST_PAUSE).max(self.refresh)
    }
}
