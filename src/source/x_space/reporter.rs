//! Tells the session what happens, each fact once, and remembers between attempts.

use std::sync::{MutexGuard, PoisonError};

use tokio::time::Instant;

use super::Memory;
use super::error::ApiError;
use crate::clock::Clock;
use crate::source::hls::late::{LateBook, Wanted};
use crate::source::{Notice, ResumePoint, SessionInfo, SourceContext, SourceError, SourceEvent, SourceFault};

/// One attempt's voice.
#[derive(Debug)]
pub(super) struct Reporter {
    context: SourceContext,
    pub(super) info: SessionInfo,
    told: bool,
    pub(super) resume: Option<ResumePoint>,
    pub(super) memory: Memory,
    /// What was told last of X's API.
    api_words: Option<String>,
}

impl Reporter {
    pub(super) fn new(context: SourceContext, session_id: String, resume: Option<ResumePoint>, memory: Memory) -> Self {
        let info = SessionInfo { id: session_id, ..SessionInfo::default() };
        Self { context, info, told: false, resume, memory, api_words: None }
    }

    /// What was told of the session so far.
    pub(super) fn known(&self) -> SessionInfo {
        self.info.clone()
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.context.clock
    }

    pub(super) fn late(&self) -> MutexGuard<'_, LateBook> {
        self.memory.late.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The playlist that an earlier attempt or an earlier process read.
    pub(super) fn known_playlist(&self) -> Option<::url::Url> {
        let found = self.memory.playlist.lock().unwrap_or_else(PoisonError::into_inner).clone();
        found.or_else(|| self.resume.as_ref()?.playlist_url.as_deref()?.parse().ok())
    }

    /// The playlist is here: whatever the API says later, it is read.
    pub(super) fn remember(&self, url: &::url::Url) {
        *self.memory.playlist.lock().unwrap_or_else(PoisonError::into_inner) = Some(url.clone());
    }

    /// What an earlier process gave up is wanted again.
    pub(super) fn want_missing(&self) {
        let spans = self.resume.iter().flat_map(|resume| &resume.missing);
        for span in spans.filter(|span| span.names.len() == 1) {
            let wanted = Wanted {
                span: span.clone(),
                url: None,
                program_date_time: None,
                discontinuity: false,
                listed_at: self.clock().wall(),
            };
            self.late().want(wanted, Instant::now());
        }
    }

    /// Where media goes on; none if the earlier attempt received none.
    pub(super) fn media_resume(&self) -> Option<&ResumePoint> {
        self.resume.as_ref().filter(|resume| resume.media_time != 0 || resume.last_sequence != 0)
    }

    pub(super) async fn send(&self, event: SourceEvent) -> Result<(), SourceError> {
        self.context.send(event).await
    }

    /// Tells what is known of the session, if it is news. It stays the session that this was made for: a Space's stage is
    /// another one than the Space.
    pub(super) async fn session(&mut self, info: SessionInfo) -> Result<(), SourceError> {
        let info = SessionInfo { id: self.info.id.clone(), ..info };
        if self.told && self.info == info {
            return Ok(());
        }
        self.told = true;
        self.info = info.clone();
        self.send(SourceEvent::Session(info)).await
    }

    pub(super) async fn stalled(&self, reason: impl Into<String>) -> Result<(), SourceError> {
        self.send(SourceEvent::Stalled { reason: reason.into() }).await
    }

    /// Tells people, if there is something to tell.
    pub(super) async fn notice(&self, notice: Option<Notice>) -> Result<(), SourceError> {
        match notice {
            Some(notice) => self.send(SourceEvent::Notice(notice)).await,
            None => Ok(()),
        }
    }

    /// X cannot be asked while a playlist is read: told once, loud where only the operator can mend it.
    pub(super) async fn api_trouble(&mut self, error: &ApiError) -> Result<(), SourceError> {
        let kind = format!("{:?}", std::mem::discriminant(error));
        if self.api_words.replace(kind.clone()) == Some(kind) {
            return Ok(());
        }
        let message = format!("{error}; the playlist that is known is read on, and X is asked again");
        let remedy = "The Space goes on meanwhile; only its title and its end are not told by X.";
        let notice = match error.class() {
            SourceFault::Operator => Notice::error("source.api", message, Some(remedy)),
            _ => Notice::warning("source.api", message, None),
        };
        self.notice(Some(notice)).await
    }

    /// X answers.
    pub(super) async fn api_well(&mut self) -> Result<(), SourceError> {
        match self.api_words.take() {
            Some(_) => self.notice(Some(Notice::info("source.api_back", "X answers again"))).await,
            None => Ok(()),
        }
    }
}
