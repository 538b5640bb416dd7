//! How far a repair is, for people.

use std::time::{Duration, Instant};

use tokio::sync::watch;

/// What a repair is doing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Doing {
    /// Nothing yet.
    #[default]
    Starting,
    /// The platform's list is being asked for.
    Looking,
    /// Segments are being fetched.
    Fetching {
        /// So many are through, had or not.
        fetched: usize,
        /// Of so many.
        total: usize,
    },
    /// The next look comes then.
    Waiting {
        /// When.
        until: Instant,
    },
    /// It is over.
    Over,
}

/// How far a repair is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RepairProgress {
    /// What it is doing.
    pub doing: Doing,
    /// What is known to be missing and may be had, in seconds.
    pub missing_seconds: f64,
    /// Looks at the platform's list.
    pub looks: u32,
    /// What was tried last and what came of it, in one sentence.
    pub tried: String,
}

impl RepairProgress {
    /// One sentence for people.
    pub fn words(&self, now: Instant) -> String {
        let missing = seconds(self.missing_seconds);
        match self.doing {
            Doing::Starting | Doing::Looking => format!("Looking in the replay for {missing} that are missing."),
            Doing::Fetching { fetched, total } => {
                format!("Fetching what is missing from the replay: {fetched} of {total} segments.")
            }
            Doing::Waiting { until } => {
                let pause = until.saturating_duration_since(now).max(Duration::from_secs(1));
                format!("Looking in the replay for {missing} that are missing; next look in {} s.", pause.as_secs())
            }
            Doing::Over => "The repair is over.".to_owned(),
        }
    }
}

/// A length for people.
pub(super) fn seconds(seconds: f64) -> String {
    if seconds < 10.0 { format!("{seconds:.1} s") } else { format!("{seconds:.0} s") }
}

/// Where progress is told.
#[derive(Debug, Clone)]
pub(super) struct Meter(pub(super) watch::Sender<RepairProgress>);

impl Meter {
    pub(super) fn doing(&self, doing: Doing) {
        self.0.send_modify(|progress| progress.doing = doing);
    }

    pub(super) fn tell(&self, tell: impl FnOnce(&mut RepairProgress)) {
        self.0.send_modify(tell);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_by_table() {
        let now = Instant::now();
        for (doing, words) in [
            (Doing::Looking, "Looking in the replay for 41 s that are missing."),
            (
                Doing::Waiting { until: now + Duration::from_secs(50) },
                "Looking in the replay for 41 s that are missing; next look in 50 s.",
            ),
            (Doing::Fetching { fetched: 3, total: 14 }, "Fetching what is missing from the replay: 3 of 14 segments."),
        ] {
            let progress = RepairProgress { doing, missing_seconds: 41.2, ..RepairProgress::default() };
            assert_eq!(progress.words(now), words);
        }
    }
}
