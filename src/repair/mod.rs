//! Brings a recording to completeness: what it lacks, from what the platform still holds of the session.
//!
//! Composes a recording and a source's past: `plan` decides what to fetch and where it goes, `fetch` has it and hands it
//! over, `run` decides when to look again and when it is enough. Runs beside a show, after it, or by itself. Never touches
//! what goes on the air.

mod cursor;
mod fetch;
mod hope;
mod matching;
pub mod plan;
mod progress;
mod run;

pub use hope::{Lacking, lacking};
pub use progress::{Doing, RepairProgress};
pub use run::{Repair, RepairEnd, RepairPolicy};
