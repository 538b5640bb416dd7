//! The only place that names GStreamer: pipeline templates, state changes, the bus, and typed feeds in and out.
//!
//! One [`Pipeline`] is one failure domain. Its text lives in `pipelines/`, one file each; element names in it are the
//! contract with the modules here. Nothing in here knows shows, sessions or the recording's format.

mod file_tags;
mod pipeline;
mod pull;
mod rtmp_fault;
mod samples;
mod template;

pub mod aac_encode;
pub mod decode;
pub mod decode_capture;
pub mod decode_file;
pub mod decode_frames;
pub mod decode_opus;
pub mod elements;
pub mod episode_encode;
pub mod measure;
pub mod pcm_capture;
pub mod picture_encode;
pub mod remux;
pub mod rtmp;
pub mod tls;
pub mod uri;
pub mod webrtc;

pub use file_tags::{Cover, FileTags};
pub use pipeline::{BusEvent, Fault, FaultKind, Pipeline};
pub use template::{Hole, Template};

/// Why something in GStreamer could not be done.
#[derive(Debug, thiserror::Error)]
pub enum GstError {
    /// GStreamer itself did not start.
    #[error("GStreamer did not start: {0}")]
    Init(String),
    /// An element or a feature of it is missing.
    #[error("the GStreamer element {element} is missing: install the Debian package {package}")]
    MissingElement {
        /// Name of the element's factory.
        element: String,
        /// The Debian package that holds it.
        package: &'static str,
    },
    /// A template of this program is wrong, or does not fit this GStreamer.
    #[error("the pipeline {name} could not be built: {reason}")]
    Build {
        /// The template's name.
        name: &'static str,
        /// GStreamer's reason.
        reason: String,
    },
    /// The pipeline failed while it ran.
    #[error("the pipeline {name} failed: {reason}")]
    Failed {
        /// The template's name.
        name: &'static str,
        /// GStreamer's reason, without addresses.
        reason: String,
    },
    /// A state change did not come to an end.
    #[error("the pipeline {name} did not change its state within {seconds} s")]
    Frozen {
        /// The template's name.
        name: &'static str,
        /// The deadline that passed.
        seconds: u64,
    },
}

impl GstError {
    /// Whether trying again cannot help.
    pub fn is_permanent(&self) -> bool {
        !matches!(self, Self::Failed { .. } | Self::Frozen { .. })
    }
}

/// Starts GStreamer in this process; may be called more than once.
///
/// # Errors
/// When GStreamer's own start fails.
pub fn init() -> Result<(), GstError> {
    gstreamer::init().map_err(|error| GstError::Init(error.to_string()))
}
