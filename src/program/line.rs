//! How a source's clock runs against the program's, worked out from when its audio arrived.
//!
//! Pure, without a clock. Each arrival says: media time zero would have to lie *here* on the program, if this arrival
//! were as punctual as can be. Looks, listings and the network only ever make an arrival late, by far more than the
//! clocks differ; so the punctual part of every minute is averaged, and a line laid through hours of minutes.
//! Where the line itself jumps (the source or the way to it changed), a new **stretch** begins: places of different
//! stretches are never compared, their slopes are one.

use std::collections::VecDeque;

use crate::media::SAMPLE_RATE;

/// Length of a minute's bucket, in seconds.
const BUCKET: f64 = 60.0;

/// Arrivals that a bucket needs, and at most keeps.
const FEWEST: usize = 4;
const MOST: usize = 4_096;

/// What is remembered: 6 h. Long enough for 1 ppm through the jitter of a listing, short enough to follow a crystal
/// that warms up.
pub(super) const WINDOW: f64 = 6.0 * 3_600.0;

/// How far sound cards and encoders are off before anything is known: 100 ppm (one standard deviation).
const PRIOR: f64 = 100e-6;

/// A slope counts when it is this many standard deviations from none, and stays until it is less than [`DOUBTED`].
const BELIEVED: f64 = 4.0;
const DOUBTED: f64 = 2.0;

/// A minute that lies this many deviations off the line does not belong to it; so many in a row begin a new stretch.
const OUTLIER: f64 = 5.0;
const STEP_BUCKETS: usize = 4;

/// Minutes before a line is known well enough to say what does not belong to it.
const SETTLED: usize = 10;

/// Smallest deviation of a minute from its line, in seconds: what the program's own blocks leave of the time.
const FLOOR: f64 = 0.003;

/// One minute.
#[derive(Debug, Clone, Copy)]
struct Minute {
    at: f64,
    place: f64,
    stretch: u64,
}

/// What became of a minute.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum News {
    /// The line is known better now.
    Better,
    /// The line lies this many seconds later (or earlier, if negative) from that program second on.
    Step {
        /// Program second from which on.
        from: f64,
        /// Seconds later.
        by: f64,
    },
}

/// The line.
#[derive(Debug, Clone, Default)]
pub(super) struct Line {
    minutes: VecDeque<Minute>,
    /// Arrivals of the running minute, as (program second, place in seconds).
    bucket: Vec<(f64, f64)>,
    bucket_end: f64,
    /// Minutes that do not belong to the line, one after the other up to now.
    strangers: Vec<(f64, f64)>,
    stretch: u64,
    /// Slope, its standard deviation, and the deviation of one minute.
    slope: f64,
    slope_deviation: f64,
    deviation: f64,
    believed: bool,
}

impl Line {
    /// An arrival at program sample `now` that wants media time zero at program sample `place`.
    pub(super) fn add(&mut self, now: u64, place: i64) -> Option<News> {
        let (at, place) = (seconds(now as i64), seconds(place));
        let mut news = None;
        if at >= self.bucket_end {
            news = self.close_bucket();
            self.bucket_end = at + BUCKET;
        }
        if self.bucket.len() < MOST {
            self.bucket.push((at, place));
        }
        news
    }

    /// What comes next lies elsewhere. The slope is kept.
    pub(super) fn begin_stretch(&mut self) {
        self.stretch += 1;
        self.bucket.clear();
        self.bucket_end = 0.0;
        self.strangers.clear();
    }

    /// Seconds that the place moves later each second, as far as it is sure; zero while it is not.
    pub(super) fn slope(&self) -> f64 {
        if self.believed { self.slope } else { 0.0 }
    }

    /// Where the running stretch's line lies at program second `at`, if it has one.
    pub(super) fn place(&self, at: f64) -> Option<f64> {
        let (mean_at, mean_place, _) = self.centre(self.stretch)?;
        Some(mean_place + self.slope() * (at - mean_at))
    }

    fn close_bucket(&mut self) -> Option<News> {
        let mut bucket = std::mem::take(&mut self.bucket);
        if bucket.len() < FEWEST {
            return None;
        }
        let at = bucket.iter().map(|(at, _)| at).sum::<f64>() / bucket.len() as f64;
        bucket.sort_by(|a, b| a.1.total_cmp(&b.1));
        let punctual = &bucket[..bucket.len().div_ceil(2)];
        let place = punctual.iter().map(|(_, place)| place).sum::<f64>() / punctual.len() as f64;
        self.on_minute(at, place)
    }

    fn on_minute(&mut self, at: f64, place: f64) -> Option<News> {
        let enough = self.minutes.len() >= SETTLED && self.centre(self.stretch).is_some();
        let off = self.foretold(at).map_or(0.0, |foretold| place - foretold);
        let allowed = OUTLIER * self.deviation.max(FLOOR) + PRIOR * BUCKET;
        if enough && off.abs() > allowed {
            self.strangers.push((at, place));
            return self.judge_strangers();
        }
        self.strangers.clear();
        self.minutes.push_back(Minute { at, place, stretch: self.stretch });
        self.forget_before(at - WINDOW);
        self.fit();
        Some(News::Better)
    }

    /// Strangers that agree with each other are the line now.
    fn judge_strangers(&mut self) -> Option<News> {
        if self.strangers.len() < STEP_BUCKETS {
            return None;
        }
        let strangers = std::mem::take(&mut self.strangers);
        let offs: Vec<f64> =
            strangers.iter().filter_map(|(at, place)| self.foretold(*at).map(|foretold| place - foretold)).collect();
        let by = offs.iter().sum::<f64>() / offs.len().max(1) as f64;
        let from = strangers[0].0;
        self.stretch += 1;
        for (at, place) in strangers {
            self.minutes.push_back(Minute { at, place, stretch: self.stretch });
        }
        self.fit();
        Some(News::Step { from, by })
    }

    /// Where the line, as well as it is known, says that a minute should lie.
    fn foretold(&self, at: f64) -> Option<f64> {
        let (mean_at, mean_place, _) = self.centre(self.stretch)?;
        Some(mean_place + self.slope * (at - mean_at))
    }

    fn forget_before(&mut self, at: f64) {
        while self.minutes.front().is_some_and(|minute| minute.at < at) {
            self.minutes.pop_front();
        }
    }

    /// Means of a stretch: program second, place, count.
    fn centre(&self, stretch: u64) -> Option<(f64, f64, usize)> {
        let (mut at, mut place, mut count) = (0.0, 0.0, 0);
        for minute in self.minutes.iter().filter(|minute| minute.stretch == stretch) {
            (at, place, count) = (at + minute.at, place + minute.place, count + 1);
        }
        (count > 0).then(|| (at / count as f64, place / count as f64, count))
    }

    /// One slope through all stretches, each around its own mean; drawn to none while there is little to go by.
    fn fit(&mut self) {
        let (mut xx, mut xy, mut yy, mut free) = (0.0, 0.0, 0.0, 0_usize);
        let mut from = 0;
        while let Some(first) = self.minutes.get(from) {
            let stretch = first.stretch;
            let Some((mean_at, mean_place, count)) = self.centre(stretch) else { break };
            for minute in self.minutes.iter().skip(from).take(count) {
                let (x, y) = (minute.at - mean_at, minute.place - mean_place);
                (xx, xy, yy) = (xx + x * x, xy + x * y, yy + y * y);
            }
            free += count - 1;
            from += count;
        }
        if free < 2 || xx <= 0.0 {
            (self.slope, self.believed) = (0.0, false);
            return;
        }
        let left = (yy - xy * xy / xx).max(0.0) / (free - 1) as f64;
        self.deviation = left.sqrt().max(FLOOR);
        let variance = self.deviation * self.deviation;
        let weight = xx + variance / (PRIOR * PRIOR);
        self.slope = xy / weight;
        self.slope_deviation = self.deviation / weight.sqrt();
        let sure = self.slope.abs() / self.slope_deviation;
        self.believed = free >= 8 && sure > if self.believed { DOUBTED } else { BELIEVED };
    }
}

/// Samples in seconds.
pub(super) fn seconds(samples: i64) -> f64 {
    samples as f64 / f64::from(SAMPLE_RATE)
}
