//! Where the verbs meet the parts of the program that they start. Nothing is decided here.

use std::process::ExitCode;
use std::time::Duration;

use super::args::{BridgeArgs, CheckArgs, ChildArgs, DoctorArgs, Global, RehearseArgs, RunArgs};

/// What `run` needs of a configuration, whether it came from a file or from options.
pub(super) struct Prepared {
    /// The show's name.
    pub(super) show: String,
    /// What the bridge reads from its standard input: configuration and secrets.
    pub(super) handover: Vec<u8>,
    /// Variables of this process that the secrets came from.
    pub(super) secret_variables: Vec<String>,
    /// How long the closing slate stays.
    pub(super) closing: Duration,
}

/// Reads the configuration and finds its secrets, asking for missing ones where `can_ask`.
pub(super) fn prepare(_args: &RunArgs, _can_ask: bool) -> anyhow::Result<Prepared> {
    anyhow::bail!("this build has no configuration reader")
}

/// The process that carries one show.
pub(super) fn bridge(_args: &BridgeArgs) -> anyhow::Result<ExitCode> {
    anyhow::bail!("this build has no bridge")
}

/// `check`.
pub(super) fn check(_args: &CheckArgs) -> anyhow::Result<ExitCode> {
    anyhow::bail!("this build has no check")
}

/// `doctor`.
pub(super) fn doctor(_args: &DoctorArgs) -> anyhow::Result<ExitCode> {
    anyhow::bail!("this build has no doctor")
}

/// `rehearse`.
pub(super) fn rehearse(_args: &RehearseArgs, _global: &Global) -> anyhow::Result<ExitCode> {
    anyhow::bail!("this build has no rehearsal")
}

/// The simulated space.
pub(super) fn rehearsal_space(_args: &ChildArgs) -> anyhow::Result<ExitCode> {
    anyhow::bail!("this build has no rehearsal")
}

/// A stand-in ingest.
pub(super) fn rehearsal_ingest(_args: &ChildArgs) -> anyhow::Result<ExitCode> {
    anyhow::bail!("this build has no rehearsal")
}
