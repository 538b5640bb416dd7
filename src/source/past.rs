//! What a platform still holds of a session: everything so far while it runs, a replay afterwards.
//!
//! Says what there is and fetches it. Which of it is missing, where it belongs and when to try again is decided by
//! whoever repairs a recording.

use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use jiff::Timestamp;
use url::Url;

use super::{SegmentFact, SessionInfo, SourceError};

/// What is asked about.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PastQuery {
    /// The session's id.
    pub session: String,
    /// The live playlist's address, if it was ever known: platforms answer by it when their API does not any more.
    pub playlist_url: Option<String>,
}

/// What there is of a session.
#[derive(Debug, Clone, PartialEq)]
pub struct PastList {
    /// What is known of the session now; none if the platform could not be asked.
    pub info: Option<SessionInfo>,
    /// Whether the session is over, so that the list is a replay and not only what there was so far.
    pub is_replay: bool,
    /// Whether the list itself says that nothing follows.
    pub ended: bool,
    /// The segments, oldest first.
    pub entries: Vec<PastEntry>,
}

/// One segment that can be had.
#[derive(Debug, Clone, PartialEq)]
pub struct PastEntry {
    /// The number in its name, which is the live playlist's sequence number; none if the name has none. The list's own
    /// count is another one: it starts at 0.
    pub sequence: Option<u64>,
    /// The last part of its address, without the query; hostile text.
    pub name: String,
    /// Where it is.
    pub url: Url,
    /// Its duration as listed, in 48 kHz samples; whole AAC frames where the list's rounding allows to tell.
    pub duration: u64,
    /// Its PROGRAM-DATE-TIME.
    pub program_date_time: Option<Timestamp>,
    /// Whether a discontinuity is marked before it.
    pub discontinuity: bool,
}

/// A segment that was fetched.
#[derive(Debug, Clone, PartialEq)]
pub struct PastSegment {
    /// Every byte as received.
    pub bytes: Bytes,
    /// Duration by the frames inside, in 48 kHz samples; 0 if nothing could be parsed.
    pub duration: u64,
    /// Whether every frame inside is whole and nothing is missing of its listed duration.
    pub whole: bool,
    /// What its ID3 tags say, in order.
    pub facts: Vec<SegmentFact>,
}

/// The future of a look at the list.
pub type Listing<'a> = Pin<Box<dyn Future<Output = Result<PastList, SourceError>> + Send + 'a>>;

/// The future of one fetch.
pub type Fetching<'a> = Pin<Box<dyn Future<Output = Result<PastSegment, SourceError>> + Send + 'a>>;

/// A platform's memory of a session.
pub trait Past: Send + Sync {
    /// A short name for logs, without secrets.
    fn describe(&self) -> String;

    /// Looks at what there is now. [`super::SourceFault::Transient`] means that it may be there later, as a replay that
    /// is not made yet; [`super::SourceFault::Gone`] that it never will be.
    fn list<'a>(&'a self, query: &'a PastQuery) -> Listing<'a>;

    /// Fetches one segment; may be called many times at once.
    fn fetch<'a>(&'a self, entry: &'a PastEntry) -> Fetching<'a>;
}
