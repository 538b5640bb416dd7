//! One simulated space: its names, its script, its metadata, and what became of each of its chunks.

use std::collections::BTreeSet;

use tokio::sync::broadcast;

use super::chat::ChatLine;
use super::control::{ChatEvent, ChunkFault, ChunkReport, EarlierSpace, Order};
use super::format::SoundFormat;
use super::holdings::Holdings;
use super::script::{Chunk, Script, SpaceState};

/// A space.
#[derive(Debug)]
pub(super) struct AudioSpace {
    pub(super) id: String,
    /// The 86 characters in every HLS path.
    pub(super) key: String,
    pub(super) media_key: String,
    /// What the status call gives for the chat.
    pub(super) chat_token: String,
    /// What the chat's socket wants to see.
    pub(super) access_token: String,
    /// To everybody in the chat.
    pub(super) chat: broadcast::Sender<ChatLine>,
    pub(super) script: Script,
    pub(super) title: String,
    pub(super) host: String,
    pub(super) legacy_names: bool,
    pub(super) replay: bool,
    /// What is listed of the past.
    pub(super) holdings: Holdings,
    pub(super) created_ms: i64,
    pub(super) scheduled_start: Option<i64>,
    pub(super) started_ms: Option<i64>,
    pub(super) ended_ms: Option<i64>,
    deleted: BTreeSet<u64>,
    stories: Vec<Story>,
}

/// What became of one chunk.
#[derive(Debug, Default, Clone, Copy)]
struct Story {
    announced: bool,
    /// By edge.
    fetches: [u32; 2],
    served: u32,
    /// Those of them that came by a list of the past.
    from_past: u32,
    spoiled: u32,
}

impl AudioSpace {
    /// A space with fresh names that plays `script`; created at `wall_ms`.
    pub(super) fn new(script: Script, title: String, host: String, wall_ms: i64) -> Self {
        Self {
            id: random_id(),
            key: letters(86),
            media_key: format!("28_{}", fastrand::u64(1_000_000_000_000_000_000..2_000_000_000_000_000_000)),
            chat_token: letters(120),
            access_token: letters(120),
            chat: broadcast::channel(16).0,
            script,
            title,
            host,
            legacy_names: false,
            replay: false,
            holdings: Holdings::default(),
            created_ms: wall_ms,
            scheduled_start: None,
            started_ms: None,
            ended_ms: None,
            deleted: BTreeSet::new(),
            stories: Vec::new(),
        }
    }

    /// The host opens another space after this one: names of its own, the same stage. It waits for its start.
    pub(super) fn successor(&self, jitter_ms: u64, wall_ms: i64) -> Self {
        let script = Script::new(SpaceState::NotStarted, 0, jitter_ms, self.script.format());
        let next = Self::new(script, self.title.clone(), self.host.clone(), wall_ms);
        Self { legacy_names: self.legacy_names, holdings: self.holdings.clone(), ..next }
    }

    /// Does what an order about a space says; orders about other things are not its business.
    pub(super) fn obey(&mut self, order: Order, now_ms: u64, wall_ms: i64) {
        match order {
            Order::Start => self.start(now_ms, wall_ms),
            Order::End { replay } => self.close(SpaceState::Ended, replay, now_ms, wall_ms),
            Order::Timeout { replay } => self.close(SpaceState::TimedOut, replay, now_ms, wall_ms),
            Order::Cancel => self.close(SpaceState::Canceled, false, now_ms, wall_ms),
            Order::HostDrop => self.script.drop_host(now_ms),
            Order::HostReturn => self.script.return_host(now_ms),
            Order::Freeze => self.script.freeze(now_ms),
            Order::Thaw => self.script.thaw(),
            Order::Rewind { segments } => self.script.renumber(now_ms, |next| next.saturating_sub(segments)),
            Order::Jump { segments } => self.script.renumber(now_ms, |next| next.saturating_add(segments)),
            Order::Discontinuity => self.script.mark(now_ms),
            Order::Silence { on } => self.script.silence(now_ms, on),
            Order::ChangeFormat { sample_rate, channels, unmarked } => {
                self.script.change_format(now_ms, SoundFormat { sample_rate, channels }, !unmarked);
            }
            Order::Past(rule) => self.holdings.obey(rule),
            Order::DeleteChunks { sequences } => self.deleted.extend(sequences),
            Order::Metadata { title, host, legacy_names, scheduled_start } => {
                self.title = title.unwrap_or_else(|| std::mem::take(&mut self.title));
                self.host = host.unwrap_or_else(|| std::mem::take(&mut self.host));
                self.legacy_names = legacy_names.unwrap_or(self.legacy_names);
                self.scheduled_start = scheduled_start.or(self.scheduled_start);
            }
            _ => {}
        }
    }

    pub(super) fn start(&mut self, now_ms: u64, wall_ms: i64) {
        self.script.start(now_ms);
        self.started_ms = Some(wall_ms);
    }

    fn close(&mut self, state: SpaceState, replay: bool, now_ms: u64, wall_ms: i64) {
        self.script.close(state, now_ms);
        self.replay = replay;
        self.ended_ms = Some(wall_ms);
        // A host who vanishes tells nobody anything; the platform does when it notices, which is now.
        self.say(ChatLine::Event { event: ChatEvent::Ended, count: 1, code: 1000 });
    }

    /// How long it has been over at `wall_ms`, in ms; none while it is not.
    pub(super) fn over_for(&self, wall_ms: i64) -> Option<u64> {
        let ended = self.ended_ms.filter(|_| self.script.state().is_over())?;
        Some(u64::try_from(wall_ms - ended).unwrap_or_default())
    }

    /// Tells everybody in the chat, if there is anybody.
    pub(super) fn say(&self, line: ChatLine) {
        drop(self.chat.send(line));
    }

    /// A playlist that the client got names these chunks.
    pub(super) fn announce(&mut self, chunks: &[Chunk]) {
        for chunk in chunks {
            self.story(chunk.index).announced = true;
        }
    }

    /// How often `chunk` was asked for at `edge`, with this time.
    pub(super) fn count_fetch(&mut self, chunk: &Chunk, edge: usize) -> u32 {
        let fetches = &mut self.story(chunk.index).fetches[edge.min(1)];
        *fetches += 1;
        *fetches - 1
    }

    /// What happens to a fetch of `chunk`, whose name came from the `live` list or from one of the past: gone, spoiled by
    /// `fault`, or well.
    pub(super) fn fetch(
        &mut self,
        chunk: &Chunk,
        fault: Option<ChunkFault>,
        live: bool,
    ) -> Result<Option<ChunkFault>, ()> {
        let deleted = self.deleted.contains(&chunk.sequence);
        let story = self.story(chunk.index);
        if deleted || !fault.is_none_or(ChunkFault::is_harmless) {
            story.spoiled += 1;
        } else {
            story.served += 1;
            story.from_past += u32::from(!live);
        }
        if deleted { Err(()) } else { Ok(fault) }
    }

    fn story(&mut self, index: usize) -> &mut Story {
        if self.stories.len() <= index {
            self.stories.resize(index + 1, Story::default());
        }
        &mut self.stories[index]
    }

    /// The story of every chunk that was listed until `now_ms`; `wall` gives the Unix ms of a time.
    pub(super) fn chunks(&mut self, now_ms: u64, wall: impl Fn(u64) -> i64) -> Vec<ChunkReport> {
        let history = self.script.history(now_ms);
        let story = |chunk: &Chunk| self.stories.get(chunk.index).copied().unwrap_or_default();
        history
            .iter()
            .map(|chunk| ChunkReport {
                sequence: chunk.sequence,
                ruler_start: chunk.ruler_start(),
                samples: chunk.ruler_samples(),
                listed_ms: wall(chunk.listed_ms),
                announced: story(chunk).announced,
                served: story(chunk).served,
                from_past: story(chunk).from_past,
                spoiled: story(chunk).spoiled,
                silent: chunk.silent,
            })
            .collect()
    }

    /// All of it, for the report of its successors.
    pub(super) fn told(&mut self, now_ms: u64, wall: impl Fn(u64) -> i64) -> EarlierSpace {
        let chunks = self.chunks(now_ms, wall);
        EarlierSpace { space_id: self.id.clone(), state: self.script.state(), chunks }
    }
}

/// An id as the platform makes them: 13 characters, the first is `1`, the others from a set without c f h i s t u
/// (derived from 218 ids in public sources).
fn random_id() -> String {
    const LETTERS: &[u8] = b"ABDEGJKLMNOPQRVWXYZabdegjklmnopqrvwxyz";
    let rest = (0..12).map(|_| char::from(LETTERS[fastrand::usize(..LETTERS.len())]));
    std::iter::once('1').chain(rest).collect()
}

pub(super) fn letters(count: usize) -> String {
    (0..count).map(|_| fastrand::alphanumeric()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn space() -> AudioSpace {
        let script = Script::new(SpaceState::Running, 0, 0, SoundFormat::default());
        AudioSpace::new(script, "title".into(), "host".into(), 0)
    }

    #[test]
    fn a_chunk_with_an_old_number_has_a_story_of_its_own() {
        let mut space = space();
        space.obey(Order::Rewind { segments: 2 }, 16_000, 16_000);
        let history = space.script.history(30_000);
        let threes: Vec<&Chunk> = history.iter().filter(|chunk| chunk.sequence == 3).collect();
        assert_eq!(threes.len(), 2);
        assert_eq!((space.count_fetch(threes[0], 0), space.count_fetch(threes[0], 0)), (0, 1));
        assert_eq!((space.count_fetch(threes[1], 0), space.count_fetch(threes[0], 1)), (0, 0));
        space.fetch(threes[1], None, true).expect("there");
        let served: Vec<u32> = space.chunks(30_000, |ms| ms as i64).iter().map(|chunk| chunk.served).collect();
        assert_eq!(served.iter().sum::<u32>(), 1);
        assert_eq!(served[threes[1].index], 1);
    }

    #[test]
    fn the_next_space_keeps_the_host_and_nothing_else() {
        let mut first = space();
        first.obey(Order::Timeout { replay: false }, 20_000, 20_000);
        let mut next = first.successor(0, 30_000);
        assert!(next.id != first.id && next.key != first.key && next.media_key != first.media_key);
        assert_eq!((next.host.as_str(), next.script.state()), ("host", SpaceState::NotStarted));
        next.start(30_000, 30_000);
        let chunks = next.chunks(40_000, |ms| ms as i64);
        assert!(chunks[0].sequence == 0 && chunks[0].ruler_start > 30 * 48_000, "the tape goes on");
        assert_eq!(first.told(40_000, |ms| ms as i64).chunks.len(), 6);
    }
}
