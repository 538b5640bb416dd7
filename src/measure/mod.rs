//! How loud a session is, piece by piece: what loudness, silences at both ends and the waveform are worked out from.
//!
//! Measured while a show is on the air ([`Gauge`], on a thread of its own), and from the segments where it was not. Knows
//! samples and files, no recording. What it writes is derived: it may be deleted, torn or too little at any time.

mod file;
mod gates;
mod gauge;
mod measurement;
mod meter;

pub use file::{append, file_of, load};
pub use gauge::Gauge;
pub use measurement::{Hop, Measured, Measurement, Second};
pub use meter::Meter;

use crate::media::SAMPLE_RATE;

/// Samples of one hop: the step of the gating blocks of ITU-R BS.1770, 100 ms.
pub const HOP_SAMPLES: i64 = SAMPLE_RATE as i64 / 10;

/// Hops in a second, and points of the waveform.
pub const HOPS: usize = 10;
