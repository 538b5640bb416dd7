//! There and back again without a clock and without a network: one path freezes, the other is heard, the first thaws and
//! is heard again. Every sample tells its own number, and every number must come out once.

use std::time::Instant;

use super::super::lane::Lane;
use super::*;
use crate::media::StereoSample;
use crate::program::align;
use crate::program::ring::{FADE_SAMPLES, Ring};

const S: i64 = SAMPLE_RATE as i64;
const TICK: i64 = S / 10;

/// What is said: its number on one side, and in the middle a noise of its own below 1 kHz. Whole numbers, so that nothing
/// is rounded.
fn said(number: i64) -> StereoSample {
    let mut mixed = (number / 48) as u32;
    for factor in [0x7FEB_352D, 0x846C_A68B] {
        mixed = (mixed ^ mixed >> 16).wrapping_mul(factor);
    }
    let noise = (mixed >> 24) as f32 - 128.0;
    [number as f32, noise - number as f32]
}

/// How a path goes on after it froze.
#[derive(Debug, Clone, Copy)]
enum Thaws {
    /// With what was missed, all at once.
    WithAll,
    /// With what is said now, as if nothing had been between.
    Now,
    /// With what is said now, its media time somewhere else.
    Elsewhere(i64),
}

/// A path: what is said lies in its media time at `zero` and later.
struct Source {
    lane: Lane,
    lag: i64,
    zero: i64,
    given: i64,
}

impl Source {
    fn new(lag: i64, zero: i64) -> Self {
        Self { lane: Lane::new(Instant::now()), lag, zero, given: 0 }
    }

    /// Everything up to `now`, in blocks: media time and samples.
    fn give(&mut self, now: i64, block: i64) -> Vec<(i64, Vec<StereoSample>)> {
        let mut out = Vec::new();
        while self.given + block <= now - self.lag {
            let numbers = self.given..self.given + block;
            out.push((numbers.start - self.zero, numbers.map(said).collect()));
            self.given += block;
        }
        out
    }

    fn thaw(&mut self, now: i64, how: Thaws) {
        let missed = now - self.lag - self.given;
        match how {
            Thaws::WithAll => return,
            Thaws::Now => self.zero += missed,
            Thaws::Elsewhere(by) => self.zero += missed - by,
        }
        self.given += missed;
    }
}

/// The program, as the conductor treats it.
struct Air {
    ring: Ring,
    aired: crate::program::Reserve,
    anchor: i64,
    heard: Vec<f32>,
}

impl Air {
    fn write(&mut self, media: i64, samples: &[StereoSample]) {
        self.aired.push(self.anchor + media, samples);
        self.ring.write(self.anchor + media, samples);
    }

    fn free(&self) -> i64 {
        (self.ring.position() + self.ring.ahead()) as i64
    }

    fn seek(&self, lane: &mut Lane) {
        let (Some((aired, reference)), Some((media, probe))) = (self.aired.mono(), lane.reserve.mono()) else { return };
        if let Some(shift) = align::shift(&reference, &probe) {
            lane.find(aired + shift.samples - media, Instant::now());
        }
    }

    fn take_over(&mut self, lane: &Lane) {
        let (start, end) = (lane.reserve.start().expect("a start"), lane.reserve.end().expect("an end"));
        let knows = Knows {
            now: self.ring.position() as i64,
            free: self.free(),
            anchor: lane.place.map(|place| place.anchor),
            start,
            end,
            needed: JOINT,
            delay: S,
            catches_up: false,
        };
        let joint = joint(knows);
        self.anchor = joint.anchor;
        self.aired.truncate(joint.anchor + joint.from);
        for (media, piece) in lane.reserve.pieces(joint.from..end) {
            self.write(media, piece);
        }
    }
}

fn there_and_back(lag: i64, blocks: (i64, i64), frozen: i64, thaws: Thaws) -> Vec<f32> {
    let (mut near, mut far) = (Source::new(0, 777), Source::new(lag, -54_321));
    let anchor = 9 * S + near.zero;
    let aired = crate::program::Reserve::new(45 * SAMPLE_RATE as u64);
    let mut air = Air { ring: Ring::new(60 * S as usize, 0), aired, anchor, heard: Vec::new() };
    let (freezes, thawed) = (14 * S, 14 * S + frozen);
    let (mut on_far, mut back_at) = (false, None);
    let mut now = 0;
    while back_at.is_none_or(|at| now < at + 12 * S) && now < 90 * S {
        let mut out = vec![[0.0; 2]; TICK as usize];
        air.ring.read(&mut out, || [-1.0; 2]);
        air.heard.extend(out.iter().map(|sample| sample[0]));
        now += TICK;
        if now == thawed {
            near.thaw(now, thaws);
        }
        let is_frozen = (freezes..thawed).contains(&now);
        for (media, samples) in if is_frozen { Vec::new() } else { near.give(now, blocks.0) } {
            near.lane.reserve.push(media, &samples);
            if !on_far {
                air.write(media, &samples);
            }
        }
        for (media, samples) in far.give(now, blocks.1) {
            far.lane.reserve.push(media, &samples);
            if on_far {
                air.write(media, &samples);
            }
        }
        let (standby, due) = if on_far { (&mut near.lane, now > thawed) } else { (&mut far.lane, back_at.is_none()) };
        if due
            && standby.place.is_none()
            && now % (2 * S) == 0
            && standby.reserve.end().zip(standby.reserve.start()).is_some_and(|(end, start)| end - start > 8 * S)
        {
            air.seek(standby);
        }
        if now == freezes + 2 * S {
            air.take_over(&far.lane);
            near.lane.reserve.clear();
            near.lane.forget_place();
            on_far = true;
        }
        if on_far && near.lane.place.is_some() {
            air.take_over(&near.lane);
            (on_far, back_at) = (false, Some(now));
        }
    }
    assert!(back_at.is_some(), "never gone back to");
    air.heard
}

#[test]
fn there_and_back_every_sample_is_heard_once() {
    for (lag, blocks, frozen, thaws) in [
        (5 * S, (1_024, 2_048), 35 * TICK, Thaws::Now),
        (2 * S + 7, (8_191, 960), 71 * TICK, Thaws::WithAll),
        (3 * S + 311, (960, 4_801), 90 * TICK, Thaws::Elsewhere(-123_456)),
    ] {
        let heard = there_and_back(lag, blocks, frozen, thaws);
        let first = heard.iter().position(|value| *value >= 0.0).expect("a sound") + FADE_SAMPLES as usize;
        let start = heard[first] as i64;
        let wrong = heard[first..].iter().enumerate().find(|(place, value)| **value as i64 != start + *place as i64);
        assert_eq!(wrong, None, "{thaws:?}: it began with {start} at {first} of {}", heard.len());
    }
}
