//! The space's life: which chunks exist, which of them are listed, and what its state is. Pure: time is a parameter.
//!
//! Time here is milliseconds since the space's sound started. The sound never stops; while the host is dropped no chunk
//! is made of it, so those seconds are lost for every listener, as in real life.

use serde::{Deserialize, Serialize};

use super::format::SoundFormat;

/// Chunks that a live playlist holds (one full sample of 2024-07 in fireattack's notes).
const WINDOW: usize = 4;
/// Frames of even and odd chunks: 3.008 s and 2.987 s in the same sample.
const CHUNK_FRAMES: [u64; 2] = [141, 140];
/// Length of the longer ones, in ms: how far numbers jump while the host is away.
const CHUNK_MS: u64 = 3008;
/// No chunk before a change of form is shorter, in frames.
const LEAST_FRAMES: u64 = 20;

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
    /// Its place among all chunks of its space, from 0.
    pub index: usize,
    /// Media sequence number. After a step back there may be several of the same.
    pub sequence: u64,
    /// Its first frame on the tape of its form.
    pub first_frame: u64,
    /// Frames in it.
    pub frames: u64,
    /// The form of its sound.
    pub format: SoundFormat,
    /// Whether it holds silence in the ruler's place.
    pub silent: bool,
    /// When it is listed first, in ms.
    pub listed_ms: u64,
    /// Whether a discontinuity lies before it.
    pub discontinuity: bool,
    /// Discontinuities up to and with its own.
    pub discontinuities: u32,
    /// What shares a window with it: numbers follow each other without a jump. Counts from 0.
    pub run: u32,
    /// The host's presence that it belongs to; counts from 0.
    pub presence: u32,
}

impl Chunk {
    /// The first frame behind it.
    pub fn end_frame(&self) -> u64 {
        self.first_frame + self.frames
    }

    /// When its first sample sounds, in ms.
    pub fn start_ms(&self) -> u64 {
        self.format.ms_of(self.first_frame)
    }

    /// Its first sample on the ruler, at 48 000 Hz.
    pub fn ruler_start(&self) -> u64 {
        self.format.ruler_sample(self.first_frame)
    }

    /// Its length on the ruler, in samples of 48 000 Hz.
    pub fn ruler_samples(&self) -> u64 {
        self.format.ruler_sample(self.end_frame()) - self.ruler_start()
    }
}

/// What the live playlist answers.
#[derive(Debug, Clone, PartialEq)]
pub enum Listing {
    /// There is none: not started, dropped, or over.
    Absent,
    /// The chunks in it, oldest first.
    Chunks(Vec<Chunk>),
}

/// A change of form that is under way.
#[derive(Debug, Clone, Copy)]
struct Switch {
    format: SoundFormat,
    joint: u64,
    marked: bool,
}

/// The script of one space.
#[derive(Debug, Clone)]
pub struct Script {
    state: SpaceState,
    chunks: Vec<Chunk>,
    /// First frame of the next chunk, while there is sound.
    next_frame: Option<u64>,
    next_sequence: u64,
    format: SoundFormat,
    switch: Option<Switch>,
    silent: bool,
    run: u32,
    presence: u32,
    discontinuities: u32,
    /// Whether a discontinuity lies before the next chunk.
    marked: bool,
    frozen_ms: Option<u64>,
    jitter_ms: u64,
}

impl Script {
    /// A space in `state` whose sound of `format` starts at time 0 with chunk `first_sequence`; each listing is late by
    /// up to `jitter_ms`.
    pub fn new(state: SpaceState, first_sequence: u64, jitter_ms: u64, format: SoundFormat) -> Self {
        Self {
            state,
            chunks: Vec::new(),
            next_frame: (state == SpaceState::Running).then_some(0),
            next_sequence: first_sequence,
            format,
            switch: None,
            silent: false,
            run: 0,
            presence: 0,
            discontinuities: 0,
            marked: false,
            frozen_ms: None,
            jitter_ms,
        }
    }

    /// The platform's state.
    pub fn state(&self) -> SpaceState {
        self.state
    }

    /// Whether the host is there to be heard.
    pub fn is_heard(&self) -> bool {
        self.state == SpaceState::Running && self.next_frame.is_some()
    }

    /// Whether silence is said in the ruler's place.
    pub fn is_silent(&self) -> bool {
        self.silent
    }

    /// The form of the sound, or the one that it is changing to.
    pub fn format(&self) -> SoundFormat {
        self.switch.map_or(self.format, |switch| switch.format)
    }

    /// The host opens the space. Its sound starts now, on the next frame of the tape.
    pub fn start(&mut self, now_ms: u64) {
        if !self.state.is_over() && self.state != SpaceState::Running {
            self.state = SpaceState::Running;
            self.next_frame = Some(self.format.frame_at(now_ms) + 1);
        }
    }

    /// The space goes into `state` and stays there; what is listed by then stays known.
    pub fn close(&mut self, state: SpaceState, now_ms: u64) {
        self.drop_host(now_ms);
        self.state = state;
    }

    /// The host's connection breaks: no sound is cut into chunks, the playlist vanishes, the state stays Running.
    pub fn drop_host(&mut self, now_ms: u64) {
        self.advance(now_ms);
        self.next_frame = None;
        if let Some(switch) = self.switch.take() {
            self.format = switch.format;
        }
    }

    /// The host is back: numbers jump by what would have been, and a discontinuity is marked.
    pub fn return_host(&mut self, now_ms: u64) {
        if self.state == SpaceState::Running && self.next_frame.is_none() {
            let frame = self.format.frame_at(now_ms) + 1;
            let last_ms = self.chunks.last().map_or(now_ms, |last| last.format.ms_of(last.end_frame()));
            self.next_sequence += self.format.ms_of(frame).saturating_sub(last_ms) / CHUNK_MS + 1;
            self.next_frame = Some(frame);
            self.presence += 1;
            self.run += 1;
            self.marked = true;
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

    /// Numbers go on from another one while the sound goes on.
    pub fn renumber(&mut self, now_ms: u64, next: impl FnOnce(u64) -> u64) {
        self.advance(now_ms);
        self.next_sequence = next(self.next_sequence);
        self.run += 1;
    }

    /// A discontinuity is marked before the next chunk.
    pub fn mark(&mut self, now_ms: u64) {
        self.advance(now_ms);
        self.marked = true;
    }

    /// Chunks hold silence, or the ruler, from the next one on.
    pub fn silence(&mut self, now_ms: u64, on: bool) {
        self.advance(now_ms);
        self.silent = on;
    }

    /// The sound has another form from the next joint of frames on, with a discontinuity `marked` there or not.
    pub fn change_format(&mut self, now_ms: u64, format: SoundFormat, marked: bool) {
        self.advance(now_ms);
        match self.next_frame {
            Some(frame) => {
                let joint = (frame + LEAST_FRAMES).div_ceil(self.format.joint_frames());
                self.switch = Some(Switch { format, joint, marked });
            }
            None => self.format = format,
        }
    }

    /// The live playlist at `now_ms`, of an edge that got nothing new since `held_ms`.
    pub fn listing(&mut self, now_ms: u64, held_ms: Option<u64>) -> Listing {
        self.advance(now_ms);
        if self.state != SpaceState::Running || self.next_frame.is_none() {
            return Listing::Absent;
        }
        let seen = self.frozen_ms.into_iter().chain(held_ms).fold(now_ms, u64::min);
        let chunks = self.window(seen);
        // Before its first chunk a playlist does not exist.
        if chunks.last().is_none_or(|last| last.presence != self.presence) {
            return Listing::Absent;
        }
        Listing::Chunks(chunks)
    }

    /// The last list that there was until `seen_ms`; empty if there was none.
    pub fn window(&mut self, seen_ms: u64) -> Vec<Chunk> {
        let mut listed = self.chunks.iter().rev().filter(|chunk| chunk.listed_ms <= seen_ms).peekable();
        let run = listed.peek().map(|last| last.run);
        let mut chunks: Vec<Chunk> = listed.take_while(|chunk| Some(chunk.run) == run).take(WINDOW).cloned().collect();
        chunks.reverse();
        chunks
    }

    /// Every chunk listed until `now_ms`, oldest first: the snapshot, and the report.
    pub fn history(&mut self, now_ms: u64) -> Vec<Chunk> {
        self.advance(now_ms);
        self.chunks.iter().filter(|chunk| chunk.listed_ms <= now_ms).cloned().collect()
    }

    /// Cuts the sound up to `now_ms` into chunks. A chunk is listed once its last sample was spoken.
    fn advance(&mut self, now_ms: u64) {
        while let Some(first_frame) = self.next_frame {
            let (frames, switch) = self.cut(first_frame);
            let end_ms = self.format.ms_of(first_frame + frames);
            if end_ms > now_ms {
                return;
            }
            self.push(first_frame, frames, end_ms);
            self.next_frame = Some(first_frame + frames);
            if let Some(switch) = switch {
                self.switch = None;
                self.format = switch.format;
                self.next_frame = Some(switch.joint * switch.format.joint_frames());
                self.marked |= switch.marked;
            }
        }
    }

    /// Frames of the chunk that starts at `first_frame`, and the change of form behind it.
    fn cut(&self, first_frame: u64) -> (u64, Option<Switch>) {
        let frames = CHUNK_FRAMES[(self.next_sequence % 2) as usize];
        let Some(switch) = self.switch else { return (frames, None) };
        let border = switch.joint * self.format.joint_frames();
        if first_frame + frames + LEAST_FRAMES > border { (border - first_frame, Some(switch)) } else { (frames, None) }
    }

    fn push(&mut self, first_frame: u64, frames: u64, end_ms: u64) {
        let discontinuity = std::mem::take(&mut self.marked);
        self.discontinuities += u32::from(discontinuity);
        let listed_ms = end_ms + self.jitter(self.next_sequence);
        self.chunks.push(Chunk {
            index: self.chunks.len(),
            sequence: self.next_sequence,
            first_frame,
            frames,
            format: self.format,
            silent: self.silent,
            // Listing times never step back, whatever the jitter says.
            listed_ms: self.chunks.last().map_or(listed_ms, |last| listed_ms.max(last.listed_ms)),
            discontinuity,
            discontinuities: self.discontinuities,
            run: self.run,
            presence: self.presence,
        });
        self.next_sequence += 1;
    }

    /// The same for the same number every time, so that a rehearsal can be repeated.
    fn jitter(&self, sequence: u64) -> u64 {
        let mixed = sequence.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 33;
        if self.jitter_ms == 0 { 0 } else { mixed % (self.jitter_ms + 1) }
    }
}

#[cfg(test)]
mod tests;
