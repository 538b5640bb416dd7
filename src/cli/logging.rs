//! Where log lines go and which.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Mutex;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::{EnvFilter, filter_fn};
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use super::args::{Global, LogFormat};

/// Where log lines go.
#[derive(Debug, Clone, Copy)]
pub(super) enum Destination<'a> {
    /// Standard error.
    Stderr,
    /// A file of this process alone, for standard error belongs to the terminal view.
    File(&'a Path),
}

/// Starts logging. `quiet` is the least that is logged without `-v` and `RUST_LOG`.
pub(super) fn start(global: &Global, quiet: LevelFilter, destination: Destination<'_>) -> io::Result<()> {
    let writer = match destination {
        Destination::Stderr => BoxMakeWriter::new(io::stderr),
        Destination::File(path) => {
            let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
            BoxMakeWriter::new(Mutex::new(file))
        }
    };
    let level = match global.verbose {
        0 => quiet,
        1 => quiet.max(LevelFilter::DEBUG),
        _ => LevelFilter::TRACE,
    };
    let wanted = EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| EnvFilter::new(format!("{},spacebridge={level}", quiet.min(LevelFilter::WARN))));
    // Libraries write whole headers, cookies included, at their finest levels: those are never logged, whoever asks.
    let no_headers =
        filter_fn(|line| line.target().starts_with("spacebridge") || *line.level() <= tracing::Level::INFO);
    let lines = tracing_subscriber::registry().with(wanted).with(no_headers);
    // What cannot be written is lost: the layer would complain on standard error, which is the same full disk, and a
    // complaint that cannot be written there is a panic in whichever thread had something to log.
    let format = tracing_subscriber::fmt::layer().with_writer(writer).with_ansi(false).log_internal_errors(false);
    match global.log_format {
        LogFormat::Text => lines.with(format.with_target(false)).try_init(),
        LogFormat::Json => lines.with(format.json()).try_init(),
    }
    .map_err(io::Error::other)
}
