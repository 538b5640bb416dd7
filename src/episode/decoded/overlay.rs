//! Lays what another session holds over the silence of what a session lacks.

use std::borrow::BorrowMut;
use std::collections::VecDeque;
use std::ops::Range;

use super::Decoded;
use crate::episode::error::EpisodeError;
use crate::episode::reel::{Patch, Reel};
use crate::media::{SAMPLE_RATE, StereoSample};

/// Length of the fades at both joints: 5 ms.
const FADE: i64 = SAMPLE_RATE as i64 / 200;

/// How long the other one goes on behind the end: the first frame behind a hole decodes as half of itself.
const SETTLE: i64 = 2400;

/// Patches on their way over the samples, in order.
#[derive(Default)]
pub(super) struct Overlay {
    patches: VecDeque<Donor>,
    /// Samples of silence that are silent no more.
    pub(super) laid: u64,
    pub(super) notes: Vec<String>,
}

/// One patch, and where its session's samples were read to.
struct Donor {
    span: Range<i64>,
    from: String,
    offset: i64,
    decoded: Decoded<Reel>,
    /// Samples that were read and not passed yet, and the media time there of the first.
    held: VecDeque<StereoSample>,
    held_at: Option<i64>,
    block: Vec<StereoSample>,
    laid: u64,
}

impl Overlay {
    pub(super) fn new(patches: VecDeque<Patch>) -> Self {
        let donor = |patch: Patch| Donor {
            span: patch.span,
            from: patch.from,
            offset: patch.offset,
            decoded: Decoded::new(patch.reel),
            held: VecDeque::new(),
            held_at: None,
            block: Vec::new(),
            laid: 0,
        };
        Self { patches: patches.into_iter().map(donor).collect(), ..Self::default() }
    }

    /// Lays over samples that begin at media time `at`.
    pub(super) fn lay(&mut self, at: i64, samples: &mut [StereoSample]) -> Result<(), EpisodeError> {
        let end = at.saturating_add(samples.len() as i64);
        for donor in &mut self.patches {
            if donor.reach().start >= end {
                break;
            }
            self.laid += donor.lay(at, samples)?;
        }
        while let Some(donor) = self.patches.pop_front_if(|donor| donor.reach().end <= end) {
            self.tell(&donor);
        }
        Ok(())
    }

    /// Nothing is laid any more.
    pub(super) fn end(&mut self) {
        let left = std::mem::take(&mut self.patches);
        left.iter().for_each(|donor| self.tell(donor));
    }

    /// What a person should know; takes it.
    pub(super) fn take_notes(&mut self) -> Vec<String> {
        self.end();
        std::mem::take(&mut self.notes)
    }

    fn tell(&mut self, donor: &Donor) {
        if donor.laid > 0 {
            let seconds = |samples: i64| samples as f64 / f64::from(SAMPLE_RATE);
            let (from, at, length) = (&donor.from, seconds(donor.span.start), seconds(donor.laid as i64));
            self.notes.push(format!("{length:.1} s at {at:.1} s are from another path, the session {from}."));
        }
    }
}

impl Donor {
    /// Media times at which anything is laid.
    fn reach(&self) -> Range<i64> {
        self.span.start.saturating_sub(FADE)..self.span.end.saturating_add(SETTLE + FADE)
    }

    /// Lays its part over samples from media time `at`; how many of them the session itself lacks.
    fn lay(&mut self, at: i64, samples: &mut [StereoSample]) -> Result<u64, EpisodeError> {
        let reach = self.reach();
        let (from, to) = (reach.start.max(at), reach.end.min(at.saturating_add(samples.len() as i64)));
        let mut laid = 0;
        for here in from..to {
            let Some(other) = self.sample(here.saturating_add(self.offset))? else { continue };
            let share = share(&self.span, here);
            let own = &mut samples[(here - at) as usize];
            *own = [0, 1].map(|n| own[n] + (other[n] - own[n]) * share);
            laid += u64::from(self.span.contains(&here));
        }
        self.laid += laid;
        Ok(laid)
    }

    /// The session's sample at its media time `there`, which never goes back; none where it has none.
    fn sample(&mut self, there: i64) -> Result<Option<StereoSample>, EpisodeError> {
        loop {
            let held_at = self.held_at.unwrap_or(there);
            if there < held_at {
                return Ok(None);
            }
            let passed = there.abs_diff(held_at).min(self.held.len() as u64);
            if passed > 0 {
                self.held.drain(..passed as usize);
                self.held_at = Some(held_at.saturating_add_unsigned(passed));
            }
            if self.held_at == Some(there)
                && let Some(first) = self.held.front()
            {
                return Ok(Some(*first));
            }
            if !self.read()? {
                return Ok(None);
            }
        }
    }

    fn read(&mut self) -> Result<bool, EpisodeError> {
        let position = self.decoded.position();
        let more = self.decoded.next(&mut self.block)?;
        if let Some(origin) = self.decoded.origin()
            && self.held.is_empty()
        {
            self.held_at = Some(origin.saturating_add_unsigned(position));
        }
        self.held.extend(self.block.drain(..));
        Ok(more || !self.held.is_empty())
    }
}

impl<R: BorrowMut<Reel>> Decoded<R> {
    /// Lays what other sessions hold over samples that begin `before` samples behind the first.
    pub(super) fn patch(&mut self, before: u64, samples: &mut [StereoSample]) -> Result<(), EpisodeError> {
        match (self.origin, &mut self.overlay) {
            (Some(origin), Some(overlay)) => overlay.lay(origin.saturating_add_unsigned(before), samples),
            _ => Ok(()),
        }
    }
}

/// How much of the other session is heard at `here`, from 0 to 1.
fn share(span: &Range<i64>, here: i64) -> f32 {
    let rising = here.saturating_sub(span.start.saturating_sub(FADE));
    let falling = span.end.saturating_add(SETTLE + FADE).saturating_sub(here);
    (rising.min(falling) as f32 / FADE as f32).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_joints_are_faded_outside_of_the_hole() {
        let span = 10_000..20_000;
        for (here, wanted) in [
            (10_000 - FADE, 0.0),
            (10_000 - FADE / 2, 0.5),
            (10_000, 1.0),
            (20_000, 1.0),
            (20_000 + SETTLE, 1.0),
            (20_000 + SETTLE + FADE / 2, 0.5),
            (20_000 + SETTLE + FADE, 0.0),
            (0, 0.0),
            (i64::MAX, 0.0),
        ] {
            assert_eq!(share(&span, here), wanted, "at {here}");
        }
    }
}
