//! The command line: one file per verb. With `main`, the only place that uses `anyhow`, prints, and reads the
//! environment.

mod archive;
pub mod args;
mod bridge;
pub mod check;
pub mod doctor;
mod end;
mod follow;
mod health;
mod live;
mod logging;
mod mark;
mod mending;
mod output;
mod plain;
mod prepare;
mod recordings;
mod rehearse;
mod run;
mod serve;
mod service;
mod show;
mod source;
mod status;
mod take_over;
mod tally;
mod ui;
mod view;
mod wiring;
mod words;

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use tracing::level_filters::LevelFilter;

use crate::bridge::client::BridgeClient;
use crate::bridge::state_folder::{self, StateFolder};
use args::{Cli, Command, Global};

/// The configuration or the command line is at fault, and will be the next time: exit code 64.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct BadConfiguration(pub String);

/// Exit code for a bad configuration or command line (`EX_USAGE` of sysexits).
const BAD_CONFIGURATION: u8 = 64;

/// The whole program: reads the command line, does it, and says how it went.
pub fn main() -> ExitCode {
    turn_core_dumps_off();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version come this way too.
            drop(error.print());
            return if error.use_stderr() { BAD_CONFIGURATION.into() } else { ExitCode::SUCCESS };
        }
    };
    dispatch(cli).unwrap_or_else(|error| {
        drop(writeln!(io::stderr(), "spacebridge: {error:#}"));
        if error.is::<BadConfiguration>() { BAD_CONFIGURATION.into() } else { ExitCode::FAILURE }
    })
}

fn dispatch(cli: Cli) -> anyhow::Result<ExitCode> {
    let Cli { global, command } = cli;
    match command {
        // It logs to a file while its view is on the terminal, and so starts the log by itself.
        Command::Run(_) => {}
        Command::Bridge(_) | Command::Serve(_) | Command::RehearsalSpace(_) | Command::RehearsalIngest(_) => {
            log_to_stderr(&global, LevelFilter::INFO)?;
        }
        _ => log_to_stderr(&global, LevelFilter::WARN)?,
    }
    match command {
        Command::Run(args) => run::run(&args, &global),
        Command::Archive(args) => archive::run(&args),
        Command::Serve(args) => wiring::serve(&args, &global),
        Command::Status(args) => status::run(&args),
        Command::Health => health::run(),
        Command::End(args) => end::run(&args),
        Command::Output(args) => output::run(&args),
        Command::Slate(command) => live::slate(&command),
        Command::Delay(command) => live::delay(&command),
        Command::Cut(args) => live::cut(&args),
        Command::Show(command) => show::run(&command),
        Command::Mark(args) => mark::run(&args),
        Command::Recordings(command) => recordings::run(&command),
        Command::Source(args) => source::run(&args),
        Command::Check(args) => wiring::check(&args),
        Command::Doctor(args) => wiring::doctor(&args),
        Command::Rehearse(args) => wiring::rehearse(&args, &global),
        Command::Bridge(args) => bridge::run(&args),
        Command::RehearsalSpace(args) => rehearse::space(args),
        Command::RehearsalIngest(args) => rehearse::ingest(args),
    }
}

fn log_to_stderr(global: &Global, quiet: LevelFilter) -> anyhow::Result<()> {
    logging::start(global, quiet, logging::Destination::Stderr).context("cannot start the log")
}

/// A dump of this process would hold stream keys and cookies. A limit of one byte, not zero: the kernel ignores zero
/// where dumps are piped to a program (core(5) and `do_coredump`), and treats one as "never" in both cases.
fn turn_core_dumps_off() {
    use rustix::process::{Resource, Rlimit, setrlimit};
    if setrlimit(Resource::Core, Rlimit { current: Some(1), maximum: Some(1) }).is_err() {
        // The limit is lower already, which is as good where dumps are files.
    }
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start the async runtime")
}

/// The client of the named show, or of the only one that is on the air.
fn client_of(show: Option<&str>) -> anyhow::Result<BridgeClient> {
    let root = state_folder::root()?;
    let name = match show {
        Some(name) => name.to_owned(),
        None => {
            let mut shows = state_folder::shows_on_the_air(&root);
            match shows.len() {
                0 => anyhow::bail!("no show is on the air"),
                1 => shows.remove(0),
                _ => anyhow::bail!("several shows are on the air, name one: {}", shows.join(", ")),
            }
        }
    };
    Ok(BridgeClient::new(StateFolder::at(&root, &name)?))
}

/// Prints a line of a command's answer. A reader that has gone away is no fault of ours.
fn say(line: &str) {
    drop(writeln!(io::stdout(), "{line}"));
}

/// Prints a value as one JSON object on a line of its own.
fn say_json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    say(&serde_json::to_string(value).context("cannot write JSON")?);
    Ok(())
}
