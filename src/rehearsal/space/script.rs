//! The space's life: which chunks exist, which of them are listed, and what its state is. Pure: time is a parameter.
//!
//! Time here is milliseconds since the space's sound started. The sound never stops; while the host is dropped no chunk
//! is made of it, so those seconds are lost for every listener, as in real life.

use serde::{Deserialize, Serialize};

use crate::media::{AAC_FRAME_SAMPLES, SAMPLE_RATE};

/// Chunks that a live playlist holds (one full sample of 2024-07 in fireattack's notes).
const WINDOW: usize = 4;
/// Frames of even and odd chunks: 3.008 s and 2.987 s in the same sample.
const CHUNK_FRAMES: [u64; 2] = [141, 140];

/// The platform's states, in its own words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the platform's own words")]
pub enum SpaceState {
    NotStarted,
    PrePublished,
    Running,
    Ended,
    TimedOut,
    Canceled,
}

impl SpaceState {
    /// Whether nothing comes any more.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Ended | Self::TimedOut | Self::Canceled)
    }
}

/// One chunk of sound.
#[derive(Debug, Clone, PartialEq)]
pub struct Chunk {
    /// Media sequence number.
    pub sequence: u64,
    /// Its first frame on the tape.
    pub first_frame: u64,
    /// Frames in it.
    pub frames: u64,
    /// When it is listed first, in ms.
    pub listed_ms: u64,
    /// Whether a discontinuity lies before it.
    pub discontinuity: bool,
    /// The host's presence that it belongs to; counts from 0.
    pub run: u32,
}

impl Chunk {
    /// The first frame behind it.
    pub fn end_frame(&self) -> u64 {
        self.first_frame + self.frames
    }
}

/// What the live playlist answers.
#[derive(Debug, Clone, PartialEq)]
pub enum Listing {
    /// There is none: not started, dropped, or over.
    Absent,
    /// The chunks in it, oldest first, and the number of the host's presence.
    Chunks(Vec<Chunk>, u32),
}

/// The script of one space.
#[derive(Debug, Clone)]
pub struct Script {
    state: SpaceState,
    chunks: Vec<Chunk>,
    /// First frame of the next chunk, while there is sound.
    next_frame: Option<u64>,
    next_sequence: u64,
    run: u32,
    frozen_ms: Option<u64>,
    jitter_ms: u64,
}

impl Script {
    /// A space in `state` whose sound starts at time 0 with chunk `first_sequence`; each listing is late by up to
    /// `jitter_ms`.
    pub fn new(state: SpaceState, first_sequence: u64, jitter_ms: u64) -> Self {
        let next_frame = (state == SpaceState::Running).then_some(0);
        let next_sequence = first_sequence;
        Self { state, chunks: Vec::new(), next_frame, next_sequence, run: 0, frozen_ms: None, jitter_ms }
    }

    /// The platform's state.
    pub fn state(&self) -> SpaceState {
        self.state
    }

    /// The host opens the space. Its sound starts now, on the next frame of the tape.
    pub fn start(&mut self, now_ms: u64) {
        if !self.state.is_over() && self.state != SpaceState::Running {
            self.state = SpaceState::Running;
            self.next_frame = Some(frame_at(now_ms) + 1);
        }
    }

    /// The space goes into `state` and stays there; what is listed by then stays known.
    pub fn close(&mut self, state: SpaceState, now_ms: u64) {
        self.advance(now_ms);
        self.state = state;
        self.next_frame = None;
    }

    /// The host's connection breaks: no sound is cut into chunks, the playlist vanishes, the state stays Running.
    pub fn drop_host(&mut self, now_ms: u64) {
        self.advance(now_ms);
        self.next_frame = None;
    }

    /// The host is back: numbers jump by what would have been, and a discontinuity is marked.
    pub fn return_host(&mut self, now_ms: u64) {
        if self.state == SpaceState::Running && self.next_frame.is_none() {
            let frame = frame_at(now_ms) + 1;
            let last = self.chunks.last().map_or(frame, Chunk::end_frame);
            self.next_sequence += frame.saturating_sub(last) / CHUNK_FRAMES[0] + 1;
            self.next_frame = Some(frame);
            self.run += 1;
        }
    }

    /// The playlist answers but does not change any more.
    pub fn freeze(&mut self, now_ms: u64) {
        self.frozen_ms = Some(now_ms);
    }

    /// The playlist moves again; what happened meanwhile has left the window.
    pub fn thaw(&mut self) {
        self.frozen_ms = None;
    }

    /// The live playlist at `now_ms`.
    pub fn listing(&mut self, now_ms: u64) -> Listing {
        self.advance(now_ms);
        if self.state != SpaceState::Running || self.next_frame.is_none() {
            return Listing::Absent;
        }
        let seen = self.frozen_ms.map_or(now_ms, |frozen| frozen.min(now_ms));
        let listed = self.chunks.iter().rev().filter(|chunk| chunk.listed_ms <= seen && chunk.run == self.run);
        let mut chunks: Vec<Chunk> = listed.take(WINDOW).cloned().collect();
        chunks.reverse();
        // Before its first chunk a playlist does not exist.
        if chunks.is_empty() { Listing::Absent } else { Listing::Chunks(chunks, self.run) }
    }

    /// Every chunk listed until `now_ms`, oldest first: the snapshot, and the report.
    pub fn history(&mut self, now_ms: u64) -> Vec<Chunk> {
        self.advance(now_ms);
        self.chunks.iter().filter(|chunk| chunk.listed_ms <= now_ms).cloned().collect()
    }

    /// The chunk of that number, if it is listed or was.
    pub fn chunk(&mut self, sequence: u64, now_ms: u64) -> Option<Chunk> {
        self.advance(now_ms);
        let at = self.chunks.binary_search_by_key(&sequence, |chunk| chunk.sequence).ok()?;
        self.chunks.get(at).filter(|chunk| chunk.listed_ms <= now_ms).cloned()
    }

    /// Cuts the sound up to `now_ms` into chunks. A chunk is listed once its last sample was spoken.
    fn advance(&mut self, now_ms: u64) {
        while let Some(first_frame) = self.next_frame {
            let frames = CHUNK_FRAMES[(self.next_sequence % 2) as usize];
            let end_ms = ms_of(first_frame + frames);
            if end_ms > now_ms {
                return;
            }
            let discontinuity = self.run > 0 && self.chunks.last().is_none_or(|last| last.run != self.run);
            let listed_ms = end_ms + self.jitter(self.next_sequence);
            // Listing times never step back, whatever the jitter says.
            let listed_ms = self.chunks.last().map_or(listed_ms, |last| listed_ms.max(last.listed_ms));
            let sequence = self.next_sequence;
            self.chunks.push(Chunk { sequence, first_frame, frames, listed_ms, discontinuity, run: self.run });
            self.next_sequence += 1;
            self.next_frame = Some(first_frame + frames);
        }
    }

    /// The same for the same number every time, so that a rehearsal can be repeated.
    fn jitter(&self, sequence: u64) -> u64 {
        let mixed = sequence.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 33;
        if self.jitter_ms == 0 { 0 } else { mixed % (self.jitter_ms + 1) }
    }
}

/// Time of the start of frame `frame`, in ms, rounded up.
pub fn ms_of(frame: u64) -> u64 {
    (frame * AAC_FRAME_SAMPLES * 1000).div_ceil(u64::from(SAMPLE_RATE))
}

/// The frame that sounds at `ms`.
pub fn frame_at(ms: u64) -> u64 {
    ms * u64::from(SAMPLE_RATE) / 1000 / AAC_FRAME_SAMPLES
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sequences(script: &mut Script, now_ms: u64) -> Vec<u64> {
        match script.listing(now_ms) {
            Listing::Absent => Vec::new(),
            Listing::Chunks(chunks, _) => chunks.iter().map(|chunk| chunk.sequence).collect(),
        }
    }

    #[test]
    fn the_window_slides_in_real_time() {
        let mut script = Script::new(SpaceState::Running, 1704, 0);
        for (now_ms, expected) in [
            (0, vec![]),
            (3007, vec![]),
            (3008, vec![1704]),
            (5994, vec![1704]),
            (5995, vec![1704, 1705]),
            (15_000, vec![1705, 1706, 1707, 1708]),
        ] {
            assert_eq!(sequences(&mut script, now_ms), expected, "at {now_ms} ms");
        }
    }

    #[test]
    fn chunks_have_141_and_140_frames_without_a_hole() {
        let chunks = Script::new(SpaceState::Running, 10, 0).history(60_000);
        assert!(chunks.windows(2).all(|pair| pair[0].end_frame() == pair[1].first_frame));
        assert!(chunks.windows(2).all(|pair| pair[0].frames + pair[1].frames == 281));
    }

    #[test]
    fn a_dropped_host_takes_the_playlist_away_and_comes_back_with_a_jump() {
        let mut script = Script::new(SpaceState::Running, 0, 0);
        script.drop_host(20_000);
        assert_eq!((script.listing(25_000), script.state()), (Listing::Absent, SpaceState::Running));
        let last = script.history(25_000).last().expect("chunks").sequence;
        script.return_host(40_000);
        assert_eq!(script.listing(41_000), Listing::Absent);
        let Listing::Chunks(chunks, run) = script.listing(44_000) else { panic!("no playlist") };
        assert_eq!((chunks.len(), run, chunks[0].discontinuity), (1, 1, true));
        assert!(chunks[0].sequence > last + 5, "{} after {last}", chunks[0].sequence);
        assert!(chunks[0].first_frame > frame_at(39_900));
    }

    #[test]
    fn a_frozen_playlist_answers_the_same_and_then_skips_ahead() {
        let mut script = Script::new(SpaceState::Running, 0, 0);
        script.freeze(16_000);
        assert_eq!(sequences(&mut script, 60_000), sequences(&mut script, 16_000));
        script.thaw();
        assert_eq!(sequences(&mut script, 60_000)[0], 16);
        assert!(script.chunk(8, 60_000).is_some(), "what left the window stays fetchable");
    }

    #[test]
    fn jitter_delays_listings_and_never_reorders_them() {
        let chunks = Script::new(SpaceState::Running, 0, 5000).history(200_000);
        assert!(chunks.windows(2).all(|pair| pair[0].listed_ms <= pair[1].listed_ms));
        let late = |chunk: &Chunk| chunk.listed_ms - ms_of(chunk.end_frame());
        assert!(chunks.iter().any(|chunk| late(chunk) > 1000));
    }

    #[test]
    fn a_space_that_is_over_lists_nothing_but_remembers() {
        let mut script = Script::new(SpaceState::NotStarted, 0, 0);
        assert_eq!(script.listing(9000), Listing::Absent);
        script.start(10_000);
        script.close(SpaceState::Ended, 20_000);
        assert_eq!(script.listing(30_000), Listing::Absent);
        assert_eq!(script.history(30_000).len(), 3);
        script.start(40_000);
        assert_eq!(script.state(), SpaceState::Ended);
    }
}
