//! How long a disk lasts. The decision is pure.

use std::io;
use std::path::Path;

/// What an hour of a space takes: AAC of about 96 kbit/s, and what stands around it.
const BYTES_PER_HOUR: f64 = 45e6;

/// Seconds of a recording from which its own rate is believed.
const ENOUGH_SECONDS: f64 = 300.0;

/// A show may take an evening: with less than so many hours it begins with a warning.
pub const SHORT_HOURS: f64 = 6.0;

/// With less than so many hours somebody has to do something now.
pub const LOW_HOURS: f64 = 1.0;

/// Bytes that this user may still write on the disk of `folder`.
///
/// # Errors
/// What the system says.
pub fn free_bytes(folder: &Path) -> io::Result<u64> {
    let stat = rustix::fs::statvfs(folder)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// Hours until `min_free` bytes are left of `free`, by what a space takes, or by what this recording took so far if
/// that is more.
pub fn hours_left(free: u64, min_free: u64, recorded_bytes: u64, recorded_seconds: f64) -> f64 {
    let own = if recorded_seconds >= ENOUGH_SECONDS { recorded_bytes as f64 / recorded_seconds * 3600.0 } else { 0.0 };
    free.saturating_sub(min_free) as f64 / BYTES_PER_HOUR.max(own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_by_table() {
        let cases = [
            ("an hour of a space", 45_000_000, 0, 0, 0.0, 1.0),
            ("what shall stay free does not count", 545_000_000, 500_000_000, 0, 0.0, 1.0),
            ("nothing left", 400_000_000, 500_000_000, 0, 0.0, 0.0),
            ("a louder source", 900_000_000, 0, 90_000_000, 3600.0, 10.0),
            ("its first seconds say nothing", 45_000_000, 0, 90_000_000, 60.0, 1.0),
        ];
        for (name, free, min_free, bytes, seconds, hours) in cases {
            assert!((hours_left(free, min_free, bytes, seconds) - hours).abs() < 1e-9, "{name}");
        }
        assert!(free_bytes(Path::new("/")).expect("a disk") > 0);
    }
}
