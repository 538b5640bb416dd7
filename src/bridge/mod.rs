//! One show in one process: the composition root that builds the stages, joins them and drains them, and the protocol
//! that the show is watched and steered by. The logic of a stage is in the stage.

mod archive;
mod board;
pub mod client;
mod conductor;
mod desk;
mod housekeeping;
mod keeper;
pub mod listen;
mod measuring;
mod mender;
pub(crate) mod obituary;
mod orphan;
mod outputs;
pub mod protocol;
mod routes;
mod show;
pub mod socket;
mod sources;
mod speakers;
mod speaking;
mod sse;
pub mod state_folder;
mod telling;
mod watchdog;
mod words;

pub use orphan::started_by;
pub use show::{ShowEnd, carry};
pub use sources::past_of;

use crate::encode::picture::PictureEncodeError;
use crate::gst::GstError;
use crate::recording::RecordingError;

/// Why a show cannot begin, or cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum BridgeError {
    /// Elements are missing on this machine.
    #[error("GStreamer elements are missing; install: {}", packages(.0))]
    MissingElements(Vec<(&'static str, &'static str)>),
    /// RTMPS is wanted and cannot be had.
    #[error("an output wants rtmps and there is no TLS for it: install the Debian package glib-networking")]
    NoTls,
    /// The state folder.
    #[error(transparent)]
    State(#[from] state_folder::StateError),
    /// A pipeline.
    #[error(transparent)]
    Gst(#[from] GstError),
    /// The first picture.
    #[error(transparent)]
    Picture(#[from] PictureEncodeError),
    /// The recording, in a show that does nothing else.
    #[error(transparent)]
    Recording(#[from] RecordingError),
    /// A source's settings.
    #[error("{0}")]
    Source(String),
    /// The machine gives no thread.
    #[error("a thread could not be started: {0}")]
    Thread(std::io::Error),
    /// The program broke; the supervisor starts the show again.
    #[error("the program broke: {0}")]
    Program(String),
}

impl BridgeError {
    /// Whether starting again cannot help before somebody mends it.
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::MissingElements(_) | Self::NoTls | Self::Source(_) => true,
            Self::State(error) => error.is_permanent(),
            Self::Gst(error) => error.is_permanent(),
            Self::Picture(error) => error.is_permanent(),
            Self::Recording(error) => error.is_permanent(),
            Self::Thread(_) | Self::Program(_) => false,
        }
    }
}

fn packages(missing: &[(&str, &str)]) -> String {
    let mut packages: Vec<&str> = missing.iter().map(|(_, package)| *package).collect();
    packages.sort_unstable();
    packages.dedup();
    let elements: Vec<&str> = missing.iter().map(|(element, _)| *element).collect();
    format!("{} (for {})", packages.join(" "), elements.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_elements_are_named_with_each_package_once() {
        let error = BridgeError::MissingElements(vec![("x264enc", "ugly"), ("flvmux", "good"), ("mp4mux", "good")]);
        assert!(error.to_string().ends_with("install: good ugly (for x264enc, flvmux, mp4mux)"), "{error}");
    }
}
