//! A recording into files to post: cut, levelled, tagged, with chapters.
//!
//! Composes a recording and its measurement; changes neither.

pub mod copy;
pub mod mp4;
pub mod reel;
pub mod slate;

mod error;
mod export;
mod finish;
pub mod label;
mod output;
mod place;
mod progress;
mod request;

pub use error::EpisodeError;
pub use export::{Exported, FOLDER, Made, export, note};
pub use finish::{EpisodeMeta, Finished, finish};
pub use output::{NewFile, Overwrite, Placed};
pub use progress::Progress;
pub use request::{ChapterSource, ExportRequest, Format, Words};
