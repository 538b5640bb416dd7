//! `spacebridge serve`: the daemon's process. It reads the environment, takes signals, and leaves the shows on the air
//! when it goes.

mod own;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::args::{Global, LogFormat, ServeArgs};
use super::check::{ImageUse, file_problems};
use super::prepare::{alert_variables, secret_variables};
use super::{runtime, service};
use crate::clock::Clock;
use crate::config::key_store::KeyStore;
use crate::config::secrets::{Places, SecretError, resolve};
use crate::config::{self, Known, PresetDefaults, Problem, RunOptions, Secrets, ShowConfig, SourceKind, from_link};
use crate::daemon::alerts::Alerts;
use crate::daemon::folders::Folders;
use crate::daemon::http;
use crate::daemon::hub::Hub;
use crate::daemon::roster::Roster;
use crate::daemon::{Autos, Planner, Settings, Standing};
use crate::supervisor::Launch;
use own::Own;

/// What is known of presets, links and images.
pub(super) struct Knowledge {
    pub(super) presets: Vec<PresetDefaults>,
    pub(super) space_link: fn(&str) -> Result<String, String>,
    pub(super) image: fn(&Path, ImageUse) -> Result<(), String>,
}

/// Carries shows until a signal.
pub(super) fn run(args: &ServeArgs, global: &Global, knowledge: Knowledge) -> anyhow::Result<ExitCode> {
    let own = own::own(args)?;
    let mut launch = own_launch(&own.settings, global)?;
    launch.secret_variables = alert_variables(own.alerts.iter().map(|one| &one.alert));
    let runtime = runtime()?;
    let ended = runtime.block_on(serve(own, Arc::new(Reader { knowledge, launch }), args.end_shows));
    // Supervisors are left where they are: their bridges go on without them.
    runtime.shutdown_background();
    ended
}

async fn serve(own: Own, planner: Arc<Reader>, end_shows: bool) -> anyhow::Result<ExitCode> {
    let Own { settings, door, alerts, secrets } = own;
    let mut signals = Signals::listen()?;
    let clock = Clock::system();
    // In this order: whoever comes second is refused before anything is touched.
    let folders = Folders::open(&settings.state)?;
    let _lock = folders.lock()?;
    let door = http::open(door).await?;
    let token_file = door.prepare(&folders, &clock)?;
    let (url, shows) = (door.url(), settings.shows.clone());
    folders.save_address(&url).context("cannot write down where the door is")?;
    let hub = Arc::new(Hub::new(clock.clone()));
    let roster = Arc::new(Roster::open(settings, folders, planner, hub, clock.clone())?);
    say(&format!("Listening at {url}; shows in {}; the token is in {}.", shows.display(), token_file.display()));
    let token = CancellationToken::new();
    let tasks = TaskTracker::new();
    let alerts = Alerts::start(&alerts, &secrets, &roster, &clock, &token, &tasks);
    let measuring = tokio::spawn(Arc::clone(&roster).measure());
    let autos = Autos::start(&roster, &clock, &token, &tasks);
    let serving = tokio::spawn(door.serve(Arc::clone(&roster), alerts, autos, clock, token.clone()));
    let (mut questions, _looked_after) = service::look_after(&url)?;
    loop {
        let told = tokio::select! {
            told = signals.next() => told,
            Some(question) = questions.recv() => {
                drop(question.send(in_words(&roster)));
                continue;
            }
        };
        match told {
            Told::Stop => break,
            Told::ReadAgain => read_again(&roster),
        }
    }
    service::stopping(if end_shows { "Ending all shows." } else { "The shows stay on the air." });
    if end_shows {
        say("Ending all shows.");
        tokio::select! {
            () = roster.end_all() => {}
            _ = signals.next() => say("Not waiting any longer."),
        }
    } else if roster.all().iter().any(|ward| ward.view().on_the_air) {
        say("Stopping; the shows stay on the air, and the next `spacebridge serve` finds them.");
    }
    measuring.abort();
    token.cancel();
    serving.await.context("the door broke")??;
    tasks.close();
    // What waits for a receiver is written down; a disk that hangs is not waited for.
    drop(tokio::time::timeout(Duration::from_secs(2), tasks.wait()).await);
    Ok(ExitCode::SUCCESS)
}

fn fault_of(error: SecretError) -> Problem {
    Problem { key: error.purpose, line: None, message: error.message, remedy: error.remedy }
}

fn read_again(roster: &Roster) {
    service::reloading();
    if let Err(error) = roster.scan() {
        tracing::error!(%error, "The shows cannot be read again.");
    }
    service::reloaded();
}

/// How the shows are doing, for `systemctl status`.
fn in_words(roster: &Roster) -> String {
    let views: Vec<_> = roster.all().iter().map(|ward| ward.view()).collect();
    let on_the_air = views.iter().filter(|view| view.on_the_air).count();
    let held = views.iter().filter(|view| view.standing == Standing::Held).count();
    let held = if held == 0 { String::new() } else { format!(", {held} held") };
    format!("{on_the_air} of {} shows on the air{held}", views.len())
}

fn say(line: &str) {
    drop(writeln!(io::stderr(), "spacebridge: {line}"));
}

/// How every bridge is started, but for the show's name.
fn own_launch(settings: &Settings, global: &Global) -> anyhow::Result<Launch> {
    let mut launch = Launch::this_program("", settings.state.clone()).context("cannot find this program")?;
    launch.arguments.clear();
    launch.arguments.extend((0..global.verbose).map(|_| "-v".into()));
    if global.log_format == LogFormat::Json {
        launch.arguments.extend(["--log-format", "json"].map(Into::into));
    }
    Ok(launch)
}

/// Reads configurations as `run` does.
struct Reader {
    knowledge: Knowledge,
    launch: Launch,
}

impl Reader {
    fn known(&self) -> Known<'_> {
        Known { presets: &self.knowledge.presets, space_link: &self.knowledge.space_link }
    }
}

impl Planner for Reader {
    fn read(&self, text: &str, base: &Path, awaited: &[PathBuf]) -> Result<ShowConfig, Vec<Problem>> {
        let config = config::read(text, base, self.known())?;
        let faults = file_problems(&config, &self.knowledge.image, awaited);
        if faults.is_empty() { Ok(config) } else { Err(faults) }
    }

    fn link(&self, link: &str) -> Result<(String, SourceKind), Vec<Problem>> {
        let options = RunOptions { link: link.to_owned(), ..RunOptions::default() };
        let mut config = from_link(&options, Path::new("/"), self.known())?;
        let kind = config.sources.pop().map_or(SourceKind::Tone { duration: None }, |source| source.kind);
        Ok((config.show.name, kind))
    }

    fn secrets(&self, config: &ShowConfig, keys: Option<&KeyStore>) -> Result<Secrets, Vec<Problem>> {
        let env = |name: &str| std::env::var(name).ok();
        let own = KeyStore::of_user(&env);
        let credentials = std::env::var_os("CREDENTIALS_DIRECTORY").map(Into::into);
        let mut places = Places { env: &env, credentials, store: keys.or(own.as_ref()), prompt: None };
        let resolved =
            resolve(config, &mut places).map_err(|errors| errors.into_iter().map(fault_of).collect::<Vec<_>>())?;
        for note in &resolved.notes {
            tracing::warn!(show = config.show.name, note, "A secret has a note.");
        }
        Ok(resolved.secrets)
    }

    fn launch(&self, config: &ShowConfig) -> io::Result<Launch> {
        let mut launch = self.launch.clone();
        let own = ["bridge", "--show", &config.show.name].map(Into::into);
        launch.arguments.splice(0..0, own);
        launch.secret_variables.extend(secret_variables(config));
        Ok(launch)
    }
}

/// What a signal means.
enum Told {
    Stop,
    ReadAgain,
}

struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    hangup: tokio::signal::unix::Signal,
}

impl Signals {
    fn listen() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("cannot listen to signals");
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hangup: listen(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Told {
        tokio::select! {
            _ = self.interrupt.recv() => Told::Stop,
            _ = self.terminate.recv() => Told::Stop,
            _ = self.hangup.recv() => Told::ReadAgain,
        }
    }
}
