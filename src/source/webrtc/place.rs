//! Where a track's samples are to lie: how far ahead of the program they come, and what to do about it. Pure.
//!
//! A track's own timestamps are exact among themselves, but count another machine's crystal. What is measured here is
//! the *lead*: how long before their turn samples arrive. The best lead of a second or two is that of a packet which
//! nothing held up; its median over a quarter of a minute moves only where the clocks differ.

use std::collections::VecDeque;

use crate::media::SAMPLE_RATE;

const MS: i64 = SAMPLE_RATE as i64 / 1000;

/// After this long the place of a fresh track is known well enough to be set right once: 1 s.
const SETTLE: u64 = SAMPLE_RATE as u64;

/// A fresh track that lies wrong by more is moved at once: 5 ms.
const SETTLED: i64 = 5 * MS;

/// The best lead is taken of this many samples, and the median of so many of those: 2 s, 18 s.
const BUCKET: u64 = 2 * SAMPLE_RATE as u64;
const BUCKETS: usize = 9;

/// A track that is off by more is moved gently, until it is off by less: 2 ms and 0.5 ms.
const OFF: i64 = 2 * MS;
const NEAR: i64 = MS / 2;

/// One sample more or less in so many: 200 ppm, which nobody hears.
const GENTLE: u64 = 5000;

/// What a track that came too late is given beyond what it missed: 10 ms.
const RESERVE: i64 = 10 * MS;

/// What it is given at most: with [`super::mix::DELAY`] this makes 210 ms.
const EXTRA_MAX: i64 = 80 * MS;

/// What was given is taken back by 10 ms when nothing came late for a minute.
const CALM: u64 = 60 * SAMPLE_RATE as u64;

/// A track that comes later than can be given is placed anew when it did nothing else for half a second.
const ALWAYS: u64 = SAMPLE_RATE as u64 / 2;

/// What to do with the samples that come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Advice {
    /// Nothing.
    Stay,
    /// One sample more (1) or less (-1).
    Stretch(i64),
    /// They and all that follow go this much later.
    Move(i64),
}

/// What is known of one track's lead. All in samples.
#[derive(Debug)]
pub(super) struct Place {
    target: i64,
    extra: i64,
    /// Best lead of the bucket that fills, and how much is in it.
    best: i64,
    filled: u64,
    buckets: VecDeque<i64>,
    settled: bool,
    following: bool,
    /// Samples since the last gentle move, and since something came late.
    gentle: u64,
    calm: u64,
    late_since: Option<u64>,
}

impl Place {
    /// A track whose packets are to come `target` ahead of their turn.
    pub(super) fn new(target: u64) -> Self {
        Self {
            target: target as i64,
            extra: 0,
            best: i64::MIN,
            filled: 0,
            buckets: VecDeque::with_capacity(BUCKETS + 1),
            settled: false,
            following: false,
            gentle: 0,
            calm: 0,
            late_since: None,
        }
    }

    /// `count` samples came `lead` ahead of their turn.
    pub(super) fn came(&mut self, lead: i64, count: u64) -> Advice {
        self.best = self.best.max(lead);
        self.filled += count;
        self.gentle += count;
        self.calm += count;
        if self.calm >= CALM {
            (self.calm, self.extra) = (0, (self.extra - RESERVE).max(0));
        }
        if !self.settled {
            return self.settle();
        }
        if self.filled >= BUCKET {
            self.buckets.push_back(std::mem::replace(&mut self.best, i64::MIN));
            self.filled = 0;
            if self.buckets.len() > BUCKETS {
                self.buckets.pop_front();
            }
        }
        self.follow()
    }

    fn settle(&mut self) -> Advice {
        if self.filled < SETTLE {
            return Advice::Stay;
        }
        let off = self.target + self.extra - self.best;
        (self.settled, self.best, self.filled) = (true, i64::MIN, 0);
        if off.abs() > SETTLED { Advice::Move(off) } else { Advice::Stay }
    }

    fn follow(&mut self) -> Advice {
        let Some(lead) = self.median() else { return Advice::Stay };
        let off = self.target + self.extra - lead;
        self.following = off.abs() > if self.following { NEAR } else { OFF };
        if !self.following || self.gentle < GENTLE {
            return Advice::Stay;
        }
        self.gentle = 0;
        self.moved(off.signum());
        Advice::Stretch(off.signum())
    }

    fn median(&self) -> Option<i64> {
        let mut sorted: Vec<i64> = self.buckets.iter().copied().collect();
        sorted.sort_unstable();
        sorted.get(sorted.len() / 2).copied().filter(|_| sorted.len() > 2)
    }

    /// What was measured before a move holds for the new place.
    fn moved(&mut self, by: i64) {
        self.best = self.best.saturating_add(by);
        self.buckets.iter_mut().for_each(|lead| *lead += by);
    }

    /// What came at `now` had missed its turn by `missed`. How much later the track goes on from here.
    pub(super) fn late(&mut self, missed: i64, now: u64) -> i64 {
        self.calm = 0;
        let since = *self.late_since.get_or_insert(now);
        let given = (self.extra + missed + RESERVE).min(EXTRA_MAX) - self.extra;
        if given >= missed {
            self.extra += given;
            self.moved(given);
            return given;
        }
        if now.saturating_sub(since) < ALWAYS {
            return 0;
        }
        // This is its place from now on, and all that was measured is void.
        *self = Self::new(self.target as u64);
        missed + self.target / 2
    }

    /// What came had not missed its turn.
    pub(super) fn in_time(&mut self) {
        self.late_since = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGET: i64 = 4800;

    /// As good as any: evenly spread up to `most` ms.
    fn jitter(packet: u64, most: i64) -> i64 {
        (((packet * 2_654_435_761) & 0xffff_ffff) as i64 * most * MS) >> 32
    }

    /// A sender of packets of 20 ms whose clock runs wrong by `ppm`; every packet is held up by what `held_up` says.
    fn run(ppm: f64, seconds: u64, held_up: impl Fn(u64) -> i64) -> (Vec<i64>, i64) {
        let mut place = Place::new(TARGET as u64);
        let (mut shift, mut leads, mut moves) = (0_i64, Vec::new(), 0);
        for packet in 0..seconds * 50 {
            // When it is sent by our clock, and where its samples lie.
            let sent = (packet * 960) as f64 * (1.0 - ppm / 1e6);
            let truth = (packet * 960) as i64 + TARGET + shift - sent as i64;
            let lead = truth - held_up(packet);
            leads.push(truth);
            match place.came(lead, 960) {
                Advice::Stay => {}
                Advice::Stretch(by) => shift += by,
                Advice::Move(by) => {
                    moves += 1;
                    shift += by;
                }
            }
        }
        (leads, moves)
    }

    #[test]
    fn a_wrong_clock_is_followed_for_an_hour_within_four_milliseconds() {
        for ppm in [-150.0, -100.0, -20.0, 0.0, 20.0, 100.0, 150.0] {
            let (leads, moves) = run(ppm, 3600, |packet| jitter(packet, 30));
            let off = leads.iter().map(|lead| (lead - TARGET).abs()).max().expect("some");
            assert!(off < 4 * MS && moves == 0, "{ppm}: {off} samples off, {moves} moves");
        }
    }

    #[test]
    fn jitter_alone_moves_nothing() {
        for most in [0, 10, 30] {
            let (leads, moves) = run(0.0, 300, |packet| jitter(packet, most));
            assert!(moves == 0 && leads.iter().all(|lead| (lead - TARGET).abs() <= OFF), "{most} ms");
        }
    }

    #[test]
    fn a_track_that_began_with_a_late_packet_is_set_right_once_and_soon() {
        // The first packets were held up: by their arrival the whole track would lie 40 ms too late.
        let (leads, moves) = run(0.0, 60, |packet| if packet == 0 { 0 } else { -40 * MS });
        let wanted = TARGET - 40 * MS;
        assert_eq!((moves, leads[49], leads[51]), (1, TARGET, wanted));
        assert!(leads[51..].iter().all(|lead| (lead - wanted).abs() <= OFF));
    }

    #[test]
    fn who_comes_late_is_given_time_and_it_is_taken_back_slowly() {
        let mut place = Place::new(TARGET as u64);
        assert_eq!((place.late(240, 0), place.extra), (240 + RESERVE, 240 + RESERVE));
        assert_eq!(place.late(5000, 960), 0, "more than can be given");
        place.in_time();
        let mut taken = 0;
        for _ in 0..50 * 400 {
            if let Advice::Stretch(by) = place.came(TARGET + 240 + RESERVE + taken, 960) {
                taken += by;
            }
        }
        assert!((-(240 + RESERVE) - taken).abs() <= OFF, "{taken}");
    }

    #[test]
    fn who_comes_far_too_late_is_placed_anew_after_half_a_second_of_nothing_else() {
        let mut place = Place::new(TARGET as u64);
        let moves: Vec<i64> = (0..30).map(|packet| place.late(20_000, packet * 960)).collect();
        assert!(moves[..25].iter().all(|by| *by == 0) && moves[25] == 20_000 + TARGET / 2, "{moves:?}");
    }
}
