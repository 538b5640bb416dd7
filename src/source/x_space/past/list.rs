//! The lists themselves: from the address of a live playlist to the list of everything, and what it names.
//!
//! The way and its odd places as observed by twspace-dl, tslazer, fireattack and TWspaceDynamic: the master is built on
//! request, its `STREAM-INF` is cosmetic, and the segments of the list that it names lie beside the master, not beside
//! that list.

use std::time::Duration;

use url::Url;

use super::{Miss, SpacePast};
use crate::media::{AAC_FRAME_SAMPLES, SAMPLE_RATE};
use crate::source::SourceError;
use crate::source::hls::late::beside;
use crate::source::hls::playlist::{self, MAX_PLAYLIST, Parsed, Playlist};
use crate::source::past::PastEntry;

/// Largest master, in bytes: a real one has some hundred.
const MAX_MASTER: usize = 64 << 10;

/// Time for a list: one of many hours has 900 KB, and some CDNs give 100 KB/s.
const LIST_TIME: Duration = Duration::from_secs(30);

/// Lists round durations to the millisecond, in 48 kHz samples.
const ROUNDING: u64 = SAMPLE_RATE as u64 / 1000;

/// Where a list may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// This is the live playlist: the list is found through its master.
    Live(Url),
    /// This is the list.
    Replay(Url),
}

/// A list that was read.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Listed {
    pub(super) ended: bool,
    pub(super) entries: Vec<PastEntry>,
}

impl Place {
    /// What the address is, by its last part.
    pub(super) fn of(url: Url) -> Self {
        let file = url.path().rsplit('/').next().unwrap_or_default();
        if file.starts_with("playlist_") { Self::Replay(url) } else { Self::Live(url) }
    }

    pub(super) fn url(&self) -> &Url {
        match self {
            Self::Live(url) | Self::Replay(url) => url,
        }
    }

    pub(super) fn live(&self) -> Option<&Url> {
        match self {
            Self::Live(url) => Some(url),
            Self::Replay(_) => None,
        }
    }
}

impl SpacePast {
    /// Reads the list at `place`.
    pub(super) async fn read(&self, place: &Place) -> Result<Listed, Miss> {
        match place {
            Place::Replay(url) => {
                let (from, answer) = self.get_anywhere(url, MAX_PLAYLIST, LIST_TIME).await?;
                listed(&answer.body, &from)
            }
            Place::Live(url) => self.through_master(url).await,
        }
    }

    async fn through_master(&self, live: &Url) -> Result<Listed, Miss> {
        let Some(master) = neighbour(live, "master_playlist.m3u8") else { return Err(Miss::Absent) };
        let (master, answer) = self.get_anywhere(&master, MAX_MASTER, LIST_TIME).await?;
        let named = named_list(&answer.body, &answer.url)?;
        let missed = match self.get_anywhere(&named, MAX_PLAYLIST, LIST_TIME).await {
            Ok((_, answer)) => return listed(&answer.body, &master),
            Err(missed) => missed,
        };
        // The same list is to be had in the master's own folder as well, and at times only there.
        let Some(other) = short_cut(&named, &master) else { return Err(missed) };
        match self.get_anywhere(&other, MAX_PLAYLIST, LIST_TIME).await {
            Ok((from, answer)) => listed(&answer.body, &from),
            Err(Miss::Absent) => Err(missed),
            Err(failed) => Err(failed),
        }
    }
}

/// The file `name` in the folder of `url`.
fn neighbour(url: &Url, name: &str) -> Option<Url> {
    let mut folder = url.clone();
    folder.set_query(None);
    folder.set_fragment(None);
    beside(&folder, name)
}

/// The list that a master names: its first line that is no comment.
fn named_list(master: &[u8], base: &Url) -> Result<Url, Miss> {
    let wrong = |words: &str| Miss::Failed(SourceError::transient(format!("the list of what was said {words}")));
    let text = String::from_utf8_lossy(master.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(master));
    if !text.trim_start().starts_with("#EXTM3U") {
        return Err(wrong("answers with something else than a playlist"));
    }
    let line = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'));
    let url = line.and_then(|line| base.join(line).ok()).filter(|url| matches!(url.scheme(), "http" | "https"));
    url.filter(|url| url.path().ends_with(".m3u8")).ok_or_else(|| wrong("is named by no master"))
}

/// The list `playlist_<N>.m3u8` in the folder of `master`.
fn short_cut(named: &Url, master: &Url) -> Option<Url> {
    let name = named.path().rsplit('/').next().filter(|name| name.starts_with("playlist_"))?;
    let mut url = neighbour(master, name)?;
    url.set_query(Some("type=replay"));
    Some(url)
}

/// Reads a list whose segments lie beside `folder`.
fn listed(bytes: &[u8], folder: &Url) -> Result<Listed, Miss> {
    let failed = |words: String| Miss::Failed(SourceError::transient(format!("the list of what was said: {words}")));
    match playlist::parse(bytes, folder) {
        Ok(Parsed::Media(list)) => Ok(entries(&list, folder)),
        Ok(Parsed::Master(_)) => Err(failed("it names further lists".to_owned())),
        Err(error) if error.is_permanent() => Err(Miss::Failed(SourceError::operator(error.to_string()))),
        Err(error) => Err(failed(error.to_string())),
    }
}

/// What a list names; what cannot be a segment beside `folder` is left out.
fn entries(list: &Playlist, folder: &Url) -> Listed {
    let of = |entry: &playlist::Entry| {
        let url = neighbour(folder, &entry.name)?;
        Some(PastEntry {
            sequence: sequence(&entry.name),
            name: entry.name.clone(),
            url,
            duration: whole_frames(entry.duration),
            program_date_time: entry.program_date_time,
            discontinuity: entry.discontinuity,
        })
    };
    Listed { ended: list.ended, entries: list.entries.iter().filter_map(of).collect() }
}

/// The number in a segment's name, `chunk_<time>_<number>_a.aac`.
fn sequence(name: &str) -> Option<u64> {
    let mut parts = name.strip_prefix("chunk_")?.split('_');
    let (time, number) = (parts.next()?, parts.next()?);
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    (parts.next().is_some() && is_number(time) && is_number(number)).then(|| number.parse().ok())?
}

/// A duration as listed, in whole frames where it is one but for the list's rounding.
fn whole_frames(listed: u64) -> u64 {
    let frames = (listed + AAC_FRAME_SAMPLES / 2) / AAC_FRAME_SAMPLES * AAC_FRAME_SAMPLES;
    if frames > 0 && frames.abs_diff(listed) <= ROUNDING { frames } else { listed }
}

#[cfg(test)]
mod tests;
