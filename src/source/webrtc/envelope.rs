//! Fades that nobody hears: a track's loudness rises from nothing and is back there before its samples end. Pure.

use std::sync::LazyLock;

use crate::media::SAMPLE_RATE;

/// Length of a fade, in samples: 10 ms.
pub(super) const FADE: usize = SAMPLE_RATE as usize / 100;

/// A raised cosine, whose slope has no corner either.
static CURVE: LazyLock<Vec<f32>> = LazyLock::new(|| {
    let value = |step: usize| 0.5 - 0.5 * (std::f64::consts::PI * step as f64 / FADE as f64).cos();
    (0..=FADE).map(|step| value(step) as f32).collect()
});

/// The loudness of one track.
#[derive(Debug, Default)]
pub(super) struct Envelope {
    /// From 0, silent, to [`FADE`].
    phase: usize,
    falling: bool,
}

impl Envelope {
    /// Whether nothing is heard.
    pub(super) fn is_silent(&self) -> bool {
        self.phase == 0
    }

    /// Whether the next `count` samples are heard as they are, where `left` follow before a silence.
    pub(super) fn is_open(&self, left: usize, count: usize) -> bool {
        self.phase == FADE && !self.falling && left >= count + FADE
    }

    /// The factor for the next sample; with it `left` are there before a silence. With `end` it goes down for good.
    pub(super) fn next(&mut self, left: usize, end: bool) -> f32 {
        // What is too short to rise and to fall is not heard at all.
        if self.phase == 0 && (end || left < 2 * FADE) {
            self.falling = false;
            return 0.0;
        }
        if self.phase == 0 {
            self.falling = false;
        } else if left <= self.phase || (end && self.phase == FADE) {
            self.falling = true;
        }
        self.phase = if self.falling { self.phase - 1 } else { (self.phase + 1).min(FADE) };
        CURVE[self.phase]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_silent_when_samples_end_and_never_bends_sharply() {
        for total in [1, 500, 959, 960, 1920, 5000] {
            let mut envelope = Envelope::default();
            let gains: Vec<f32> = (0..total).map(|at| envelope.next(total - at, false)).collect();
            assert!(envelope.is_silent() && gains.last() == Some(&0.0), "{total}");
            let bend = gains.windows(3).map(|g| (g[0] - 2.0 * g[1] + g[2]).abs()).fold(0.0, f32::max);
            assert!(bend < 5e-5, "{total}: {bend}");
            assert_eq!(gains.contains(&1.0), total >= 960, "{total}");
        }
    }

    #[test]
    fn an_end_is_a_fade_whenever_it_comes() {
        let mut envelope = Envelope::default();
        let gains: Vec<f32> = (0..3000).map(|at| envelope.next(9000, at > 1500)).collect();
        assert!(envelope.is_silent());
        let bend = gains.windows(3).map(|g| (g[0] - 2.0 * g[1] + g[2]).abs()).fold(0.0, f32::max);
        assert!(bend < 5e-5, "{bend}");
    }
}
