//! A recording into files to post: cut, levelled, tagged, with chapters.
//!
//! Composes a recording and its measurement; changes neither.

pub mod captions;
pub mod chapters;
pub mod copy;
pub mod encode;
pub mod label;
pub mod loudness;
pub mod measured;
pub mod mp4;
pub mod peaks;
pub mod reel;
pub mod scene;
pub mod slate;
pub mod speakers;
mod stems;
pub mod tags;
pub mod waveform;

mod cue_text;
mod decoded;
mod error;
mod export;
mod finish;
mod job;
mod known;
mod mp3;
mod other_path;
mod output;
mod place;
mod progress;
mod request;

pub use error::EpisodeError;
pub use export::{Exported, FOLDER, Made, export, note};
pub use finish::{EpisodeMeta, Finished, finish};
pub use other_path::{OtherPath, other_path, sessions_with_another_path};
pub use output::{NewFile, Overwrite, Placed};
pub use progress::Progress;
pub use request::{ChapterSource, ExportRequest, Format, Words};
