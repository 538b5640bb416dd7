//! Where the session's audio lies on the program: the conductor's hand on the timeline.
//!
//! It owns the placement of media time and what follows from it: what is placed, what came too late, what is skipped.
//! It decides nothing about sources and sessions.

use std::time::Duration;

use super::Conductor;
use super::lane::RESERVE;
use super::standby::SLACK;
use crate::bridge::archive::BROKE;
use crate::media::{PcmBlock, ProgramTime, SAMPLE_RATE};
use crate::program::{Edge, Layer, Move, Placement, Program, Reserve, Written};

/// What is known of the running session's place on the air.
#[derive(Debug)]
pub(super) struct Air {
    pub(super) placement: Option<Placement>,
    /// Media time below which nothing was to be heard when the session was anchored.
    pub(super) audible_from: i64,
    /// Whether the running source tells its edge itself.
    pub(super) tells_edge: bool,
    pub(super) layer: Layer,
    /// What the path on the air placed, by program sample without the public delay: what others are compared with.
    pub(super) aired: Reserve,
    /// How long the program is known to have stood still.
    stood_still: Duration,
}

/// Where a block went.
struct Placed {
    /// Program sample at which its start is heard.
    at: i64,
    /// Samples that came out of it.
    length: i64,
    written: Written,
}

impl Default for Air {
    fn default() -> Self {
        Self {
            placement: None,
            audible_from: 0,
            tells_edge: false,
            layer: Layer::default(),
            aired: Reserve::new(RESERVE),
            stood_still: Duration::ZERO,
        }
    }
}

impl Air {
    /// An attempt begins.
    pub(super) fn begin(&mut self) {
        self.tells_edge = false;
    }

    /// The running source tells its edge itself.
    pub(super) fn tells_edge(&mut self) {
        self.tells_edge = true;
    }

    /// Another session begins, from other sources. For how long the machine stood still was told.
    pub(super) fn of_another_session(&self) -> Self {
        Self { stood_still: self.stood_still, ..Self::default() }
    }

    /// Another session begins: its media time lies elsewhere.
    pub(super) fn forget(&mut self) {
        self.placement = None;
        self.aired.clear();
    }

    /// Writes a block to its place, at the pace of the source's clock.
    fn place(&mut self, block: &PcmBlock, program: &Program, compared: bool) -> Option<Placed> {
        let (at, samples) = self.layer.lay(block, self.placement.as_mut()?, program.now().samples())?;
        if compared {
            self.aired.push(at, samples);
        }
        let heard_at = at + program.public_delay() as i64;
        Some(Placed { at: heard_at, length: samples.len() as i64, written: program.write(at, samples) })
    }
}

impl Conductor {
    /// A stream that broke goes on where it would be now: what was missed is a gap in media time as in real time.
    pub(super) fn continue_media_time(&mut self, index: usize) {
        let slot = &mut self.sources[index];
        if let (Some((end, at)), Some(resume)) = (slot.lane.newest, &mut slot.lane.resume) {
            resume.media_time = end + (at.elapsed().as_secs_f64() * f64::from(SAMPLE_RATE)) as i64;
            slot.archive.gap(end, resume.media_time, BROKE);
            if index == self.attempts.index() {
                self.air.placement = None;
            }
        }
    }

    /// How long after it could be had the audio of the source on the air is heard, in samples.
    fn delay(&self) -> u64 {
        let slot = &self.sources[self.attempts.index()];
        let of = |duration: Duration| (duration.as_secs_f64() * f64::from(SAMPLE_RATE)) as u64;
        match (self.is_aligned(), slot.is_continuous()) {
            (true, true) => slot.delay.max(of(self.handles.failover.delay)),
            (true, false) => slot.delay + SLACK as u64,
            (false, _) => slot.delay,
        }
    }

    pub(super) fn on_edge(&mut self, edge: Edge) {
        let delay = self.delay();
        let many = self.others_fill();
        let now = self.handles.program.now().samples();
        self.handles.program.set_lead(delay);
        let placement = self.air.placement.get_or_insert_with(|| Placement::new(delay));
        let moved = if many { placement.on_edge_of_many(edge, now) } else { placement.on_edge(edge, now) };
        let anchor = placement.anchor().unwrap_or(0);
        self.publish_anchor();
        let ms = |samples: u64| samples * 1000 / u64::from(SAMPLE_RATE);
        if matches!(moved, Move::Earlier(_) | Move::Later(_)) {
            // Where the others lie beside it is found again.
            self.air.aired.clear();
            self.sources.iter_mut().for_each(|slot| slot.lane.forget_place());
        }
        match moved {
            Move::None => {}
            Move::Anchored => self.air.audible_from = now as i64 - anchor,
            Move::Later(samples) => self.handles.events.warning(
                "program.later",
                "program",
                format!("The space's audio came late; it is now heard {} ms later than before", ms(samples)),
                None,
            ),
            Move::Earlier(samples) => {
                let joint = self.handles.program.skip(samples).samples();
                self.view.skipped += samples;
                self.air.audible_from = joint as i64 - anchor;
                self.handles.events.warning(
                    "program.skipped",
                    "program",
                    format!("Skipped {} ms on the air to return to the intended delay", ms(samples)),
                    None,
                );
            }
        }
    }

    pub(super) fn on_audio(&mut self, block: &PcmBlock) {
        let index = self.attempts.index();
        self.sources[index].archive.audio(block);
        let length = block.samples.len() as i64;
        let end = block.media_time + length;
        if !self.air.tells_edge {
            self.on_edge(Edge { end, piece: block.samples.len() as u64, in_hand: true });
        }
        let many = self.sources.len() > 1;
        self.sources[index].hear(block, many);
        let Some(Placed { at, length: came, written }) = self.air.place(block, &self.handles.program, many) else {
            return;
        };
        self.publish_anchor();
        let wanted = (end - self.air.audible_from).clamp(0, length) as u64;
        self.view.late += written.late.min(wanted);
        if written.placed == 0 {
            return;
        }
        let start = ProgramTime::from_samples(at.max(0) as u64 + written.late);
        let end = ProgramTime::from_samples((at + came).max(0) as u64);
        if let Some(transition) = self.session.on_audio(start, end, self.now()) {
            self.enter(transition);
        }
    }

    /// Where media time zero is heard.
    pub(super) fn publish_anchor(&mut self) {
        let delay = self.handles.program.public_delay() as i64;
        self.view.anchor = self.air.placement.as_ref().and_then(Placement::anchor).map(|anchor| anchor + delay);
    }

    /// A machine that slept is told: what was said meanwhile is not heard.
    pub(super) fn tell_standstill(&mut self) {
        let stood_still = self.handles.program.stood_still();
        let new = stood_still.saturating_sub(self.air.stood_still);
        if new.is_zero() {
            return;
        }
        self.air.stood_still = stood_still;
        let message = format!("The machine stood still for {:.1} s; the outputs waited as long", new.as_secs_f64());
        self.handles.events.warning("program.stood_still", "program", message, None);
    }
}
