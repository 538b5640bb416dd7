//! `spacebridge rehearse`: the real program against a simulated space and stand-in ingests, and a verdict.

use std::io::{IsTerminal, Write, stderr, stdin};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;

use super::args::{Global, RehearseArgs, RehearsedSeat};
use super::prepare::{self, Prepared};
use super::ui::Face;
use super::{run, runtime, say, say_json};
use crate::bridge::state_folder::StateFolder;
use crate::clock::Clock;
use crate::config::{Known, Secrets, ShowConfig};
use crate::rehearsal::ingest::{self, IngestArgs};
use crate::rehearsal::plan::{Plan, SPEED_MAX};
use crate::rehearsal::space::{self, SpaceArgs};
use crate::rehearsal::{self, RealOutputs, RehearsalOptions, RunOutcome};
use crate::supervisor::Outcome;

/// Where the bridge of a rehearsal keeps its state, in the rehearsal's folder.
const STATE: &str = "state";

/// Holds a rehearsal.
pub(super) fn run(args: &RehearseArgs, global: &Global, known: Known<'_>) -> anyhow::Result<ExitCode> {
    let clock = Clock::system();
    let started = clock.wall().strftime("%Y%m%dT%H%M%SZ").to_string();
    let folder = std::path::absolute(&args.folder).context("the rehearsal's folder has no path")?.join(started);
    let plan = Plan::find(&args.scenario)?;
    let speed = args.speed.unwrap_or(plan.speed);
    anyhow::ensure!((1.0..=SPEED_MAX).contains(&speed), "--speed {speed} is not between 1 and {SPEED_MAX}");
    let publish_for_real = real_outputs(args, known, &plan, speed)?;
    let state = args.state.clone().unwrap_or_else(|| folder.join(STATE));
    let show = args.show.clone();
    let root = state.clone();
    let seat = args.seat == RehearsedSeat::Speaker;
    let options = RehearsalOptions { folder, state, show, plan, speed, seat, publish_for_real, clock };
    let face = if args.json { Face::Silent } else { Face::choose(false, false) };
    let on_screen = Arc::new(AtomicBool::new(false));
    let screen = on_screen.clone();
    let bridge = async |config: ShowConfig, secrets: Secrets| {
        screen.store(face == Face::Screen, Ordering::Relaxed);
        let outcome = carry(&root, &config, &secrets, face, global).await;
        screen.store(false, Ordering::Relaxed);
        outcome.unwrap_or_else(|error| RunOutcome { status: None, error: Some(format!("{error:#}")) })
    };
    let say_line = |line: &str| {
        if !args.json && !on_screen.load(Ordering::Relaxed) {
            say(line);
        }
    };
    let judgement = runtime()?.block_on(rehearsal::run(options, bridge, say_line))?;
    if args.json {
        say_json(&judgement.verdict)?;
    } else {
        say("What was done, and how the bridge answered:");
        judgement.report().iter().chain(&judgement.lines()).for_each(|line| say(line));
    }
    Ok(if judgement.passed() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs the real bridge under the real supervisor, with its state beside the rehearsal's recording.
async fn carry(
    root: &Path,
    config: &ShowConfig,
    secrets: &Secrets,
    face: Face,
    global: &Global,
) -> anyhow::Result<RunOutcome> {
    let state = StateFolder::open_in(root, &config.show.name)?;
    let log = state.log();
    let prepared = Prepared {
        show: config.show.name.clone(),
        handover: secrets.to_handover(config),
        secret_variables: prepare::secret_variables(config),
        closing: config.show.closing,
    };
    let launch = run::launch(&prepared, root.to_owned(), global)?;
    let carried = run::carry(state, launch, prepared, face).await?;
    let error = match carried.outcome {
        Outcome::Clean => None,
        other => Some(format!("the bridge ended as {other:?}; its log is {}", log.display())),
    };
    Ok(RunOutcome { status: carried.last_status.clone(), error })
}

/// The operator's own outputs, named before anything is published to them.
fn real_outputs(args: &RehearseArgs, known: Known<'_>, plan: &Plan, speed: f64) -> anyhow::Result<Option<RealOutputs>> {
    let (true, Some(file)) = (args.publish_for_real, &args.config) else { return Ok(None) };
    let (config, secrets) = prepare::configured(file, stdin().is_terminal() && stderr().is_terminal(), known)?;
    let mut out = stderr().lock();
    let minutes = plan.length(speed).as_secs() / 60 + 1;
    writeln!(out, "This rehearsal publishes a test sound and a test picture for about {minutes} min to:")?;
    for output in &config.outputs {
        writeln!(out, "  {} at {}", output.name, output.url)?;
    }
    if stdin().is_terminal() {
        write!(out, "Type yes to go on: ")?;
        out.flush()?;
        let mut answer = String::new();
        stdin().read_line(&mut answer)?;
        anyhow::ensure!(answer.trim() == "yes", "nothing was published");
    }
    Ok(Some(RealOutputs { config, secrets }))
}

/// The simulated space, as a child of a rehearsal.
pub(super) fn space(args: SpaceArgs) -> anyhow::Result<ExitCode> {
    runtime()?.block_on(space::serve(args, tokio::io::stdout()))?;
    Ok(ExitCode::SUCCESS)
}

/// A stand-in ingest, as a child of a rehearsal.
pub(super) fn ingest(args: IngestArgs) -> anyhow::Result<ExitCode> {
    runtime()?.block_on(ingest::serve(args, tokio::io::stdout()))?;
    Ok(ExitCode::SUCCESS)
}
