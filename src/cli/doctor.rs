//! `spacebridge doctor [LINK]`: examines the machine, the way to the ingests and, with a link, the whole way to the
//! space's sound, step by step. Changes nothing, publishes nothing, and sends no stream key anywhere.

use std::future::Future;
use std::io::Write;
use std::path::PathBuf;
use std::pin::Pin;
use std::process::ExitCode;

use anyhow::Context;

use crate::clock::Clock;
use crate::config::{Known, Secrets, ShowConfig};

mod bundle;
pub mod chain;
mod egress;
mod machine;
mod step;

pub use bundle::redact;
pub use step::{Outcome, Step};

/// The steps on the way from a link to sound, in order, as [`ChainProbe`] reports them.
pub const CHAIN: [&str; 8] =
    ["link", "sign-in", "metadata", "state", "stream location", "playlist", "segment", "decoding"];

/// Walks the way from a link to sound. The command line joins it to the x-space source.
pub trait ChainProbe: Send {
    /// Reports each step as soon as it is known, named as in [`CHAIN`]. Ends at the first failure.
    fn probe<'a>(
        &'a mut self,
        link: &'a str,
        tell: &'a mut (dyn FnMut(Step) + Send),
    ) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>>;
}

/// What `doctor` was asked to do.
#[derive(Debug, Clone, Default)]
pub struct DoctorOptions {
    /// A Space's link or id.
    pub link: Option<String>,
    /// Where to write a bundle for a bug report.
    pub save: Option<PathBuf>,
}

/// What `doctor` asks of the rest of the program.
pub struct DoctorParts<'a> {
    /// Presets: without a configuration their servers are tried.
    pub known: Known<'a>,
    /// The configuration, if one was given and is in order.
    pub config: Option<&'a ShowConfig>,
    /// Its secrets, as far as they were found: the bundle is searched for them.
    pub secrets: &'a Secrets,
    /// Walks the chain; without one a link is not followed.
    pub probe: Option<&'a mut dyn ChainProbe>,
    /// Wall time.
    pub clock: Clock,
    /// The operator's home, shortened to `~` in the bundle.
    pub home: Option<PathBuf>,
}

/// Examines, writes each step as it is known, and saves the bundle. Fails (exit code 1) if any step failed.
///
/// # Errors
/// When the result or the bundle cannot be written.
pub async fn run(
    options: &DoctorOptions,
    parts: DoctorParts<'_>,
    out: &mut (dyn Write + Send),
) -> anyhow::Result<ExitCode> {
    let mut steps = Vec::new();
    section(out, "This machine", machine::steps(parts.config, &parts.clock), &mut steps)?;
    if let Some(config) = parts.config {
        section(out, "The way to the sound by WebRTC", egress::to_gateways(config).await, &mut steps)?;
    }
    let reached = match parts.config {
        Some(config) => egress::to_outputs(config).await,
        None => egress::to_presets(parts.known.presets).await,
    };
    section(out, "The way to the ingests (no key is sent)", reached, &mut steps)?;
    if let (Some(link), Some(probe)) = (&options.link, parts.probe) {
        writeln!(out, "\nThe way to the space")?;
        follow_chain(link, probe, out, &mut steps).await?;
    }
    let failed = steps.iter().filter(|step| step.outcome == Outcome::Failed).count();
    let warned = steps.iter().filter(|step| step.outcome == Outcome::Warning).count();
    writeln!(out, "\n{}", verdict(failed, warned))?;
    if let Some(path) = &options.save {
        let bundle = bundle::Bundle::new(parts.clock.wall(), &steps, parts.config);
        bundle
            .save(path, parts.secrets, parts.home.as_deref())
            .with_context(|| format!("saving {}", path.display()))?;
        writeln!(out, "Saved {}: without keys and cookies. Read it before you pass it on.", path.display())?;
    }
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn section(out: &mut (dyn Write + Send), title: &str, found: Vec<Step>, steps: &mut Vec<Step>) -> anyhow::Result<()> {
    if found.is_empty() {
        return Ok(());
    }
    let space = if steps.is_empty() { "" } else { "\n" };
    writeln!(out, "{space}{title}")?;
    for step in &found {
        writeln!(out, "{step}")?;
    }
    steps.extend(found);
    Ok(())
}

async fn follow_chain(
    link: &str,
    probe: &mut dyn ChainProbe,
    out: &mut (dyn Write + Send),
    steps: &mut Vec<Step>,
) -> anyhow::Result<()> {
    let mut written = Ok(());
    let mut told: Vec<Step> = Vec::new();
    let mut tell = |step: Step| {
        if written.is_ok() {
            written = writeln!(out, "{step}");
        }
        told.push(step);
    };
    probe.probe(link, &mut tell).await;
    for name in CHAIN.iter().filter(|name| !told.iter().any(|step| step.name == **name)).collect::<Vec<_>>() {
        let skipped = Step::new(*name, Outcome::Skipped, "not reached");
        if written.is_ok() {
            written = writeln!(out, "{skipped}");
        }
        told.push(skipped);
    }
    steps.extend(told);
    written.context("the result could not be written")
}

fn verdict(failed: usize, warned: usize) -> String {
    match (failed, warned) {
        (0, 0) => "All is well.".into(),
        (0, 1) => "It can work; one thing to look at.".into(),
        (0, _) => format!("It can work; {warned} things to look at."),
        (1, _) => "One thing must be mended first.".into(),
        _ => format!("{failed} things must be mended first."),
    }
}

#[cfg(test)]
mod tests;
