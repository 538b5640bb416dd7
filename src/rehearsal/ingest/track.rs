//! Timestamps of one track, and how far two tracks drift apart. Pure.

use serde::{Deserialize, Serialize};

/// What became of one track.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TrackReport {
    /// Frames received.
    pub frames: u64,
    /// First timestamp, in ms.
    pub first_ms: Option<u32>,
    /// Last timestamp, in ms.
    pub last_ms: Option<u32>,
    /// Longest way between two neighbouring timestamps, in ms.
    pub longest_gap_ms: u32,
    /// Timestamps that did not grow.
    pub backward_steps: u64,
    /// The first of them: from and to, in ms.
    pub first_step_back_ms: Option<(u32, u32)>,
}

impl TrackReport {
    /// Takes the next timestamp.
    pub fn on(&mut self, timestamp_ms: u32) {
        self.frames += 1;
        self.first_ms.get_or_insert(timestamp_ms);
        if let Some(last) = self.last_ms {
            if timestamp_ms <= last {
                self.backward_steps += 1;
                self.first_step_back_ms.get_or_insert((last, timestamp_ms));
            } else {
                self.longest_gap_ms = self.longest_gap_ms.max(timestamp_ms - last);
            }
        }
        self.last_ms = Some(timestamp_ms);
    }

    /// Seconds from the first to the last timestamp.
    pub fn seconds(&self) -> f64 {
        let (Some(first), Some(last)) = (self.first_ms, self.last_ms) else { return 0.0 };
        f64::from(last.saturating_sub(first)) / 1000.0
    }
}

/// Compares how early two tracks come: timestamp minus arrival, meaned over each second of arrival.
#[derive(Debug, Clone, Default)]
pub struct SkewMeter {
    second: u64,
    audio: Mean,
    video: Mean,
    worst_ms: f64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Mean {
    sum: f64,
    count: u32,
}

impl Mean {
    fn add(&mut self, value: f64) {
        self.sum += value;
        self.count += 1;
    }

    fn value(self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / f64::from(self.count))
    }
}

/// Fewer frames than this in a second say nothing of the track.
const ENOUGH: u32 = 10;

impl SkewMeter {
    /// Takes an audio frame.
    pub fn audio(&mut self, timestamp_ms: u32, arrival_ms: f64) {
        self.turn(arrival_ms);
        self.audio.add(f64::from(timestamp_ms) - arrival_ms);
    }

    /// Takes a video frame.
    pub fn video(&mut self, timestamp_ms: u32, arrival_ms: f64) {
        self.turn(arrival_ms);
        self.video.add(f64::from(timestamp_ms) - arrival_ms);
    }

    /// The worst second so far, in ms. The first two seconds of a connection do not count: both ends fill their buffers.
    pub fn worst_ms(&self) -> f64 {
        self.worst_ms
    }

    fn turn(&mut self, arrival_ms: f64) {
        let second = (arrival_ms / 1000.0) as u64;
        if second == self.second {
            return;
        }
        let enough = self.audio.count >= ENOUGH && self.video.count >= ENOUGH;
        if let (true, Some(audio), Some(video)) = (enough && self.second >= 2, self.audio.value(), self.video.value()) {
            self.worst_ms = self.worst_ms.max((audio - video).abs());
        }
        *self = Self { second, worst_ms: self.worst_ms, ..Self::default() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_and_steps_back_are_seen() {
        let mut track = TrackReport::default();
        for timestamp in [0, 33, 67, 100, 400, 433, 433, 420] {
            track.on(timestamp);
        }
        assert_eq!(
            (track.longest_gap_ms, track.backward_steps, track.first_ms, track.last_ms),
            (300, 2, Some(0), Some(420))
        );
    }

    #[test]
    fn skew_is_the_difference_between_the_tracks_and_not_the_delay() {
        for (video_late_ms, expected) in [(0.0, 0.0), (60.0, 60.0)] {
            let mut skew = SkewMeter::default();
            for frame in 0..200_u32 {
                let timestamp = frame * 33;
                skew.audio(timestamp, f64::from(timestamp) + 500.0);
                skew.video(timestamp, f64::from(timestamp) + 500.0 + video_late_ms);
            }
            // Frames near the edge of a second fall into different ones.
            assert!((skew.worst_ms() - expected).abs() < 40.0, "{} for {video_late_ms}", skew.worst_ms());
        }
    }
}
