//! What `rehearse` takes.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// How the bridge of a rehearsal sits in the simulated space.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RehearsedSeat {
    /// As every listener.
    Listener,
    /// On the stage, muted: needs Debian's package janus.
    Speaker,
}

/// Arguments of `rehearse`.
#[derive(Debug, Clone, Args)]
pub struct RehearseArgs {
    /// A configuration whose slate and outputs are rehearsed
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// What happens: a scenario by its name (plain, smooth, rough_night, august-12, host-drops, cdn-storm, ingest-storm,
    /// everything), or a file of your own
    #[arg(long, alias = "plan", value_name = "NAME|FILE", default_value = "plain")]
    pub scenario: String,
    /// How the bridge sits in the simulated space
    #[arg(long, value_enum, default_value = "listener")]
    pub seat: RehearsedSeat,
    /// How many times as fast the scripted waits go; media, time-outs and faults take their real time
    #[arg(long, value_name = "N")]
    pub speed: Option<f64>,
    /// Where the recording and the logs go
    #[arg(long, value_name = "DIR", default_value = "rehearsal")]
    pub folder: PathBuf,
    /// Root of the state in which its bridge is found [default: in its own folder]
    #[arg(long, hide = true)]
    pub state: Option<PathBuf>,
    /// Name of its show
    #[arg(long, hide = true)]
    pub show: Option<String>,
    /// Publish to the configuration's own ingests
    #[arg(long, requires = "config")]
    pub publish_for_real: bool,
    /// Print one JSON object at the end
    #[arg(long)]
    pub json: bool,
}
