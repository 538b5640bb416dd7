//! The rehearsal: the real program against a simulated space and stand-in ingests, over real sockets on loopback.
//!
//! Owns the simulated space, the stand-in ingests, the judge and the order of a rehearsal. It lies above the bridge: it
//! starts its children, hands the bridge a configuration, and reads what came out. Nothing of the program knows that it
//! is being rehearsed; nothing here is a mock of the media path.

pub mod children;
pub mod diary;
pub mod ear;
pub mod ingest;
mod janus;
pub mod judge;
pub mod lifeline;
mod listen;
pub mod plan;
mod player;
pub mod proxy;
pub mod run;
pub mod space;
mod stage;
pub mod verdict;
mod witness;

pub use run::{BridgeRunner, RealOutputs, RehearsalOptions, RunOutcome, run};

/// Why a rehearsal or one of its parts could not go on.
#[derive(Debug, thiserror::Error)]
pub enum RehearsalError {
    /// A file or socket of the rehearsal itself.
    #[error("{what}: {error}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// The system's reason.
        error: std::io::Error,
    },
    /// The media side of a part failed.
    #[error(transparent)]
    Media(#[from] crate::gst::GstError),
    /// A child process did not start, or did not answer.
    #[error("the {child} of the rehearsal {reason}")]
    Child {
        /// Which one.
        child: String,
        /// What it did, and what to look at.
        reason: String,
    },
    /// The options do not fit together.
    #[error("{0}")]
    Options(String),
}

impl RehearsalError {
    /// Whether trying again without a change cannot help.
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::Media(error) => error.is_permanent(),
            Self::Options(_) => true,
            Self::Io { .. } | Self::Child { .. } => false,
        }
    }

    pub(crate) fn io(what: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |error| Self::Io { what, error }
    }
}
