//! Keeps the program at its delay while the source's clock runs off: where media time zero should lie, and how much
//! longer or shorter the audio has to be made to get there.
//!
//! Pure. The **target** is where the session was placed, moved on with the source's clock (its [`Line`]). It is a
//! promise about the delay and nothing else: a program that had to wait for late pieces is put off with its target,
//! and gets back what it owes only when half an hour of arrivals would have allowed it.

use std::collections::VecDeque;

use super::line::{Line, News, WINDOW};
use super::stretch::MAX_CORRECTION;

/// How far the program may be off before it is corrected, and when it is done, in seconds.
const BEGIN: f64 = 0.020;
const DONE: f64 = 0.002;

/// An error is gone by a factor of e in 10 min: 100 ms ask for 167 ppm.
const TIME: f64 = 600.0;

/// Half an hour of arrivals tells what the program can do with, and this much is left to spare.
const PATIENCE: usize = 30;
const SPARE: f64 = 0.3;

/// Smallest return worth beginning, in seconds.
const WORTH: f64 = 0.05;

/// The follower. Times are program seconds, places are program seconds of media time zero.
#[derive(Debug, Clone, Default)]
pub(super) struct Follower {
    line: Line,
    /// The target's place at `since`.
    target: f64,
    since: f64,
    /// From the target to the line, once `since` is older than what the line remembers.
    margin: Option<f64>,
    /// How far the target was put off and not returned yet.
    owed: f64,
    /// The earliest place that each of the last minutes could have done with, as (minute, place).
    needs: VecDeque<(u64, f64)>,
    /// Whether the target was moved without the line.
    moved: bool,
    following: bool,
    /// The target before the program had to start again later, as (place, since).
    parked: Option<(f64, f64)>,
}

impl Follower {
    /// The session lies at `place` from now on; the clock is the same as before.
    pub(super) fn begin(&mut self, place: f64, now: f64) {
        self.line.begin_stretch();
        (self.target, self.since, self.margin) = (place, now, None);
        (self.owed, self.moved, self.following) = (0.0, false, false);
        self.needs.clear();
    }

    /// Remembers where the target is, for the case that all was only late.
    pub(super) fn park(&mut self, now: f64) {
        self.parked.get_or_insert((self.target_at(now), now));
    }

    /// Where the remembered target would be now.
    pub(super) fn take_parked(&mut self, now: f64) -> Option<f64> {
        self.parked.take().map(|(place, since)| place + self.line.slope() * (now - since))
    }

    /// The program waits `by` seconds longer than it should.
    pub(super) fn put_off(&mut self, by: f64) {
        self.shift(by);
        self.owed += by;
        self.needs.clear();
    }

    /// An arrival at program sample `now` that asks for `place`, in samples, and could do with `need`, in seconds.
    pub(super) fn arrive(&mut self, now: u64, place: i64, need: f64) {
        let at = super::line::seconds(now as i64);
        match self.line.add(now, place) {
            Some(News::Step { from, by }) => self.step(from, by),
            Some(News::Better) if self.margin.is_none() && at - self.since > WINDOW => {
                self.margin = self.line.place(self.since).map(|place| place - self.target);
            }
            _ => {}
        }
        let minute = (at / 60.0) as u64;
        match self.needs.back_mut() {
            Some((last, most)) if *last == minute => *most = most.max(need),
            _ => self.needs.push_back((minute, need)),
        }
        if self.needs.len() > PATIENCE {
            self.needs.pop_front();
            self.return_some(at);
        }
    }

    /// How much longer the audio is to be made, as a share of its length, while media time zero lies at `place`.
    pub(super) fn correction(&mut self, now: f64, place: f64) -> f64 {
        let error = self.target_at(now) - place;
        let slope = self.line.slope();
        if !self.following {
            self.following = error.abs() > BEGIN && (slope != 0.0 || self.moved);
        } else if error.abs() < DONE && slope == 0.0 {
            (self.following, self.moved) = (false, false);
        }
        if !self.following {
            return 0.0;
        }
        (slope + error / TIME).clamp(-MAX_CORRECTION, MAX_CORRECTION)
    }

    fn target_at(&self, now: f64) -> f64 {
        let by_line = self.margin.and_then(|margin| self.line.place(now).map(|place| place - margin));
        by_line.unwrap_or(self.target + self.line.slope() * (now - self.since))
    }

    /// The source, or the way to it, is `by` seconds later from `from` on: the program goes with it.
    fn step(&mut self, from: f64, by: f64) {
        let moved = self.target + self.line.slope() * (from - self.since) + by;
        self.target =
            self.margin.take().and_then(|margin| self.line.place(from).map(|at| at - margin)).unwrap_or(moved);
        self.since = from;
        self.moved = true;
    }

    fn shift(&mut self, by: f64) {
        self.target += by;
        self.margin = self.margin.map(|margin| margin - by);
    }

    fn return_some(&mut self, now: f64) {
        let most = self.needs.iter().map(|(_, need)| *need).fold(f64::NEG_INFINITY, f64::max);
        let some = self.owed.min(self.target_at(now) - most - SPARE);
        if some < WORTH {
            return;
        }
        self.shift(-some);
        self.owed -= some;
        self.moved = true;
        self.needs.clear();
    }
}

#[cfg(test)]
mod tests;
