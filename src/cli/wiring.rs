//! Where the verbs meet the parts of the program that they start. Nothing is decided here.

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;

use super::args::{CheckArgs, DoctorArgs, Global, RehearseArgs, RunArgs, ServeArgs, SignIn};
use super::bridge::Handed;
use super::check::{self, Checks, ImageUse};
use super::doctor::chain::SpaceChain;
use super::doctor::{self, DoctorOptions, DoctorParts};
use super::prepare::{self, Prepared};
use super::{rehearse, runtime, serve};
use crate::bridge::{self, ShowEnd};
use crate::clock::Clock;
use crate::config::{Known, PresetDefaults, RecordingConfig, Secrets, ShowConfig, SourceKind};
use crate::gst;
use crate::output::preset::Preset;
use crate::picture;
use crate::source::x_space::auth::{Auth, CookieError};
use crate::source::x_space::url::SpaceAddress;
use crate::supervisor::policy::EXIT_FAILED;

/// Everything that is known of destinations.
fn presets() -> Vec<PresetDefaults> {
    Preset::defaults()
}

/// The recordings' folder of a configuration.
pub(super) fn recordings_of(file: &Path) -> anyhow::Result<RecordingConfig> {
    Ok(show_of(file)?.recording)
}

/// A configuration, without its secrets.
pub(super) fn show_of(file: &Path) -> anyhow::Result<ShowConfig> {
    let presets = presets();
    let known = Known { presets: &presets, space_link: &space_link };
    prepare::configuration_of(file, known)
}

/// How the platform is asked for a space: as a configuration says, or as the options do. No output's key is asked for.
pub(super) fn asking(link: &str, file: Option<&Path>, who: &SignIn) -> anyhow::Result<(ShowConfig, Secrets)> {
    let presets = presets();
    prepare::asking(link, file, who, Known { presets: &presets, space_link: &space_link })
}

/// The id that a Space's link names.
fn space_link(link: &str) -> Result<String, String> {
    SpaceAddress::parse(link).map(|address| address.session_id()).map_err(|error| error.to_string())
}

/// Whether the picture stage can use an image.
fn image(path: &Path, purpose: ImageUse) -> Result<(), String> {
    let checked = match purpose {
        ImageUse::Template => picture::check_template(path),
        ImageUse::Still | ImageUse::Artwork => picture::check_image(path),
    };
    checked.map_err(|error| error.to_string())
}

/// Carries a show in this process.
pub(super) async fn carry(handed: Handed) -> anyhow::Result<ExitCode> {
    let Handed { config, secrets, folder, clock, suspend } = handed;
    // For an operator's own ingest behind a private authority; the system's store is trusted all the same.
    if let Some(file) = std::env::var_os("SPACEBRIDGE_CA_FILE") {
        gst::tls::trust_also(Path::new(&file)).context("SPACEBRIDGE_CA_FILE cannot be used")?;
    }
    match bridge::carry(config, secrets, folder, clock, suspend).await {
        Ok(ShowEnd::Ended | ShowEnd::Suspended) => Ok(ExitCode::SUCCESS),
        Ok(ShowEnd::Failed(_)) => Ok(EXIT_FAILED.into()),
        // Starting again would fail the same way.
        Err(error) if error.is_permanent() => {
            tracing::error!(%error, "The show cannot be carried.");
            drop(writeln!(io::stderr(), "spacebridge: {error}"));
            Ok(EXIT_FAILED.into())
        }
        Err(error) => Err(error.into()),
    }
}

/// What `run` needs, asking for missing keys where somebody `can_answer`.
pub(super) fn prepare(args: &RunArgs, can_answer: bool) -> anyhow::Result<Prepared> {
    let presets = presets();
    prepare::prepare(args, can_answer, Known { presets: &presets, space_link: &space_link }, &image)
}

/// `check`.
pub(super) fn check(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    let presets = presets();
    let known = Known { presets: &presets, space_link: &space_link };
    let env_is_set = |name: &str| std::env::var_os(name).is_some();
    check::run(&args.file, Checks { known, image: &image, env_is_set: &env_is_set }, &mut io::stdout())
}

/// `doctor`.
pub(super) fn doctor(args: &DoctorArgs) -> anyhow::Result<ExitCode> {
    let presets = presets();
    let known = Known { presets: &presets, space_link: &space_link };
    let config = args.config.as_ref().map(|file| prepare::configuration_of(file, known)).transpose()?;
    // Without the keys the machine is examined all the same.
    let secrets = args.config.as_ref().and_then(|file| prepare::configured(file, false, known).ok());
    let secrets = secrets.map(|(_, secrets)| secrets).unwrap_or_default();
    let clock = Clock::system();
    let mut chain = SpaceChain {
        config: config.as_ref().map(|config| config.x.clone()).unwrap_or_default(),
        auth: sign_in(args.cookies.as_deref(), config.as_ref(), &secrets, &clock).map_err(|error| error.to_string()),
        clock: clock.clone(),
    };
    let parts = DoctorParts {
        known,
        config: config.as_ref(),
        secrets: &secrets,
        probe: Some(&mut chain),
        clock,
        home: std::env::var_os("HOME").map(Into::into),
    };
    let options = DoctorOptions { link: args.link.clone(), save: args.save.clone() };
    runtime()?.block_on(doctor::run(&options, parts, &mut io::stdout()))
}

/// Who asks X: the cookies of the command line, of the configuration's first Space, or nobody.
fn sign_in(
    cookies: Option<&Path>,
    config: Option<&ShowConfig>,
    secrets: &Secrets,
    clock: &Clock,
) -> Result<Auth, CookieError> {
    if let Some(file) = cookies {
        return Auth::from_cookies_file(file, clock.wall());
    }
    let sources = config.map(|config| config.sources.as_slice()).unwrap_or_default();
    for (index, source) in sources.iter().enumerate() {
        if let SourceKind::XSpace { cookies_file, .. } = &source.kind {
            return match cookies_file {
                Some(file) => Auth::from_cookies_file(file, clock.wall()),
                None => {
                    Auth::from_secrets(secrets.source_cookie(index, "auth_token"), secrets.source_cookie(index, "ct0"))
                }
            };
        }
    }
    Ok(Auth::Guest)
}

/// `serve`.
pub(super) fn serve(args: &ServeArgs, global: &Global) -> anyhow::Result<ExitCode> {
    serve::run(args, global, serve::Knowledge { presets: presets(), space_link, image })
}

/// `rehearse`.
pub(super) fn rehearse(args: &RehearseArgs, global: &Global) -> anyhow::Result<ExitCode> {
    let presets = presets();
    rehearse::run(args, global, Known { presets: &presets, space_link: &space_link })
}
