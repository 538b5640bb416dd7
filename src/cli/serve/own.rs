//! What the daemon is told: its own configuration file, and the command line, which counts more.

use std::path::{Path, PathBuf};

use anyhow::Context;

use super::super::BadConfiguration;
use super::super::args::ServeArgs;
use super::super::check::problem_list;
use super::fault_of;
use crate::bridge::state_folder;
use crate::config::secrets::{Places, resolve_alerts};
use crate::config::{DaemonAlert, DaemonConfig, LISTEN, Problem, Secrets, load_daemon};
use crate::daemon::Settings;
use crate::daemon::http::DoorSettings;

/// The file that is read when none is named, beside the folder of shows.
const FILE: &str = "serve.toml";

/// What the daemon is told.
pub(super) struct Own {
    pub(super) settings: Settings,
    pub(super) door: DoorSettings,
    pub(super) alerts: Vec<DaemonAlert>,
    pub(super) secrets: Secrets,
}

/// Reads the file that was named, or the usual one if it is there, and the secrets of its alerts.
pub(super) fn own(args: &ServeArgs) -> anyhow::Result<Own> {
    let shows = args.shows.clone().or_else(|| configuration().map(|path| path.join("shows")));
    let usual = shows.as_deref().and_then(Path::parent).map(|folder| folder.join(FILE)).filter(|path| path.is_file());
    let Some(file) = args.config.clone().or(usual) else {
        return put_together(args, DaemonConfig::default(), shows, Secrets::default());
    };
    let bad = |faults: &[Problem]| BadConfiguration(problem_list(&file.display().to_string(), faults));
    let config = load_daemon(&file).map_err(|faults| bad(&faults))?;
    tracing::info!(file = %file.display(), "The daemon's configuration is read.");
    let secrets = secrets(&config.alerts).map_err(|faults| bad(&faults))?;
    let shows = args.shows.clone().or_else(|| config.shows.clone()).or(shows);
    put_together(args, config, shows, secrets)
}

fn put_together(
    args: &ServeArgs,
    config: DaemonConfig,
    shows: Option<PathBuf>,
    secrets: Secrets,
) -> anyhow::Result<Own> {
    let data = args.data.clone().or(config.data);
    let data = data.or_else(|| below_home("XDG_DATA_HOME", ".local/share").map(|path| path.join("spacebridge")));
    let cookies = args.cookies.clone().or(config.cookies);
    let full = |path: Option<PathBuf>, option: &str| {
        let path = path.with_context(|| format!("there is no home folder: give {option}"))?;
        std::path::absolute(&path).with_context(|| format!("cannot use {}", path.display()))
    };
    let settings = Settings {
        state: state_folder::root()?,
        shows: full(shows, "--shows")?,
        data: full(data, "--data")?,
        cookies: cookies.map(std::path::absolute).transpose().context("cannot use the file of cookies")?,
        limits: config.limits,
    };
    let door = DoorSettings {
        listen: args.listen.or(config.listen).unwrap_or(LISTEN),
        tls: args.tls_cert.clone().zip(args.tls_key.clone()).or(config.tls),
        behind_proxy: args.behind_proxy || config.behind_proxy,
        names: if args.names.is_empty() { config.names } else { args.names.clone() },
    };
    Ok(Own { settings, door, alerts: config.alerts, secrets })
}

/// The secrets of the alerts.
fn secrets(alerts: &[DaemonAlert]) -> Result<Secrets, Vec<Problem>> {
    let env = |name: &str| std::env::var(name).ok();
    let credentials = std::env::var_os("CREDENTIALS_DIRECTORY").map(Into::into);
    let mut places = Places { env: &env, credentials, store: None, prompt: None };
    let resolved = resolve_alerts(alerts, &mut places)
        .map_err(|errors| errors.into_iter().map(fault_of).collect::<Vec<Problem>>())?;
    for note in &resolved.notes {
        tracing::warn!(note, "A secret has a note.");
    }
    Ok(resolved.secrets)
}

/// The folder of configurations.
fn configuration() -> Option<PathBuf> {
    let own = absolute("CONFIGURATION_DIRECTORY");
    own.or_else(|| below_home("XDG_CONFIG_HOME", ".config").map(|path| path.join("spacebridge")))
}

fn below_home(variable: &str, below: &str) -> Option<PathBuf> {
    absolute(variable).or_else(|| absolute("HOME").map(|home| home.join(below)))
}

fn absolute(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute())
}
