//! Which seconds of the ruler must be heard where.

use std::collections::BTreeSet;

use super::SECOND;
use super::trouble::{Span, Troubles};
use crate::rehearsal::diary::{Diary, What};
use crate::rehearsal::space::Order;
use crate::rehearsal::space::control::ChunkReport;

/// A decoder that starts in the middle makes sound only from its second frame on; its first two frames do not count.
const DECODER_START: u64 = 2048;
/// How long a Space's sound waits between "could be fetched" and "on the air", in ms.
pub(super) const DELAY_MS: i64 = 6000;
/// What was listed so shortly before a trouble may not have been seen before it.
const UNSEEN_MS: i64 = 3000;
/// The form of the sound changes within this of the order.
const JOINT_MS: i64 = 12_000;
/// After the sound came back the program may jump to live for so long; what it skips is in the recording.
const SETTLING_MS: i64 = 6000;
/// Around the death of a process or a connection, what was on its way is lost to the air for so long before.
const ON_ITS_WAY_MS: i64 = 4000;
/// And so long after, until the show is carried again.
const RECOVERY_MS: i64 = 20_000;

/// A live list holds so many chunks: until one more is listed, the oldest can be read.
const LISTED_CHUNKS: usize = 4;

/// A second of the ruler that the space delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Second {
    pub(super) index: u32,
    /// When the chunk that it starts in could first be fetched, in Unix ms.
    pub(super) listed_ms: i64,
    /// When the chunk that it ends in could.
    pub(super) whole_ms: i64,
}

/// The seconds that must be on the air.
#[derive(Debug, Clone, Default)]
pub(super) struct Expected {
    pub(super) seconds: Vec<Second>,
}

impl Expected {
    /// What was shown to the bridge, fetched by it, and listed while nothing was wrong with the space.
    pub(super) fn on_the_air(chunks: &[ChunkReport], troubles: &Troubles) -> Self {
        let got = chunks.iter().filter(|chunk| chunk.announced && chunk.served > 0 && !chunk.silent);
        let calm = |second: &Second| {
            let wrong = |span: &Span| {
                let end = span.end.saturating_add(SETTLING_MS);
                let told = Span { start: second.listed_ms, end: second.whole_ms };
                Span { start: span.start - UNSEEN_MS, end }.touches(&told)
            };
            let killed = troubles.kills.iter().any(|kill| {
                // What is about to be aired at that moment was listed before.
                let start = kill - DELAY_MS - ON_ITS_WAY_MS;
                Span { start, end: kill + RECOVERY_MS }.holds(second.listed_ms)
            });
            // The end of a space lists nothing more, and what was listed before it is to be heard.
            !killed && !troubles.source.iter().any(wrong)
        };
        Self { seconds: seconds_of(got).into_iter().filter(calm).collect() }
    }

    /// The same without what an ingest could not get.
    pub(super) fn without(&self, spans: &[Span]) -> Vec<u32> {
        let aired = |second: &&Second| {
            let at = second.listed_ms + DELAY_MS;
            !spans.iter().any(|span| span.holds(at))
        };
        self.seconds.iter().filter(aired).map(|second| second.index).collect()
    }
}

/// The time that an ingest does not get, from the trouble's start to the next connection.
pub(super) fn lost(start: i64, back: i64) -> Span {
    // A second that begins before the new connection is not heard whole.
    Span { start: start - ON_ITS_WAY_MS, end: back.saturating_add(ON_ITS_WAY_MS) }
}

/// For each change of the sound's form, the seconds of which one may lie across two files.
pub(super) fn at_joints(chunks: &[ChunkReport], diary: &Diary) -> Vec<Vec<u32>> {
    let changes = diary.done.iter().filter(|deed| matches!(deed.what, What::Space(Order::ChangeFormat { .. })));
    let around = |at: i64| {
        let near = Span { start: at - UNSEEN_MS, end: at + JOINT_MS };
        let near = seconds_of(chunks.iter()).into_iter().filter(move |second| near.holds(second.listed_ms));
        near.map(|second| second.index).collect()
    };
    changes.map(|deed| around(deed.at_ms)).collect()
}

/// Every second that a live playlist listed while it answered, and that could still be fetched.
pub(super) fn in_the_recording(chunks: &[ChunkReport], diary: &Diary) -> Vec<u32> {
    let mut deleted = BTreeSet::new();
    let mut healed = i64::MIN;
    for deed in &diary.done {
        match &deed.what {
            What::Space(Order::DeleteChunks { sequences }) => deleted.extend(sequences.iter().copied()),
            What::Space(Order::Heal) => healed = deed.at_ms,
            _ => {}
        }
    }
    let fetchable = |chunk: &&ChunkReport| {
        let never = chunk.served == 0 && (deleted.contains(&chunk.sequence) || chunk.spoiled > 0);
        chunk.announced && !chunk.silent && (!never || (chunk.listed_ms < healed && !deleted.contains(&chunk.sequence)))
    };
    seconds_of(chunks.iter().filter(fetchable)).into_iter().map(|second| second.index).collect()
}

/// Chunks of one space that were listed for long while nothing was wrong, and that the bridge never read in a list: it did
/// not look. What came before the first that it did read is none of it.
pub(super) fn overlooked(chunks: &[ChunkReport], troubles: &Troubles) -> Vec<u64> {
    let Some(first) = chunks.iter().position(|chunk| chunk.announced) else { return Vec::new() };
    let is_calm = |start: i64, end: i64| {
        let listed = Span { start, end };
        let wrong = |span: &Span| {
            Span { start: span.start - UNSEEN_MS, end: span.end.saturating_add(SETTLING_MS) }.touches(&listed)
        };
        let killed = |kill: &i64| Span { start: *kill, end: kill + RECOVERY_MS }.touches(&listed);
        !troubles.source.iter().any(wrong) && !troubles.kills.iter().any(killed)
    };
    let listed = chunks[first..].windows(LISTED_CHUNKS);
    let overlooked = listed.filter(|listed| {
        let [chunk, .., last] = listed else { return false };
        !chunk.announced && is_calm(chunk.listed_ms, last.listed_ms)
    });
    overlooked.filter_map(|listed| listed.first()).map(|chunk| chunk.sequence).collect()
}

/// Seconds that lie whole in neighbouring chunks.
pub(super) fn seconds_of<'a>(chunks: impl Iterator<Item = &'a ChunkReport>) -> Vec<Second> {
    let mut seconds = Vec::new();
    let mut run: Vec<&ChunkReport> = Vec::new();
    for chunk in chunks {
        if run.last().is_some_and(|last| last.ruler_start + last.samples != chunk.ruler_start) {
            close(&run, &mut seconds);
            run.clear();
        }
        run.push(chunk);
    }
    close(&run, &mut seconds);
    seconds
}

fn close(run: &[&ChunkReport], seconds: &mut Vec<Second>) {
    let (Some(first), Some(last)) = (run.first(), run.last()) else { return };
    let number = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
    let range = number((first.ruler_start + DECODER_START).div_ceil(SECOND))
        ..number((last.ruler_start + last.samples) / SECOND);
    let mut chunks = run.iter().peekable();
    for index in range {
        let start = u64::from(index) * SECOND;
        while chunks.peek().is_some_and(|chunk| chunk.ruler_start + chunk.samples <= start) {
            chunks.next();
        }
        let whole = chunks.clone().find(|chunk| chunk.ruler_start + chunk.samples >= start + SECOND);
        let (Some(chunk), Some(whole)) = (chunks.peek(), whole) else { continue };
        seconds.push(Second { index, listed_ms: chunk.listed_ms, whole_ms: whole.listed_ms });
    }
}
