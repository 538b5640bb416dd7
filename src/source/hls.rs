//! Our own HLS reader: follows a live playlist, fetches what is new at once and in parallel, delivers it in order.
//!
//! It knows no platform and no codec, and decides nothing about the session: trouble is told, and reading goes on
//! until the owner stops. Every playlist and segment is bounded in bytes and time.

use bytes::Bytes;
use jiff::Timestamp;
use url::Url;

use playlist::Entry;

pub mod edges;
pub mod late;
pub mod playlist;
mod queue;
mod reader;
pub mod tracker;
mod trouble;

pub use queue::{Check, Looks};
pub use reader::HlsReader;
pub use trouble::Trouble;

/// What a reader tells, in order.
#[derive(Debug, Clone, PartialEq)]
pub enum HlsEvent {
    /// Entries are listed that were not before; they are on their way.
    Listed(Vec<Entry>),
    /// The next segment.
    Segment(Fetched),
    /// The next segments, which could not be had.
    Missing(Hole),
    /// A segment that was wanted late.
    Late(Box<late::Had>),
    /// The playlist is read at another address from now on, where it brings something new.
    Moved(Url),
    /// Nothing new for now. Told again at every look at the playlist until it is over.
    Trouble(Trouble),
    /// The playlist says that nothing follows, and everything was delivered. Reading goes on if asked for more.
    Ended,
}

/// A segment as received.
#[derive(Debug, Clone, PartialEq)]
pub struct Fetched {
    /// What was listed.
    pub entry: Entry,
    /// Its bytes.
    pub bytes: Bytes,
    /// Wall time of the playlist that listed it first.
    pub listed_at: Timestamp,
}

/// Segments that could not be had.
#[derive(Debug, Clone, PartialEq)]
pub struct Hole {
    /// First sequence number.
    pub first_sequence: u64,
    /// Last sequence number.
    pub last_sequence: u64,
    /// What was listed of it: the entry that could not be fetched, or nothing.
    pub entry: Option<Entry>,
    /// Wall time of the playlist that listed it first.
    pub listed_at: Timestamp,
    /// Why, in words.
    pub cause: String,
}

#[cfg(test)]
mod tests;
