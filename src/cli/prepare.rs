//! From a command line to what a bridge needs: the configuration, its secrets, and the questions about missing ones.

use std::io::{self, BufRead, Write};
use std::path::Path;
use std::time::Duration;

use anyhow::Context;

use super::BadConfiguration;
use super::args::{RunArgs, SignIn};
use super::check::{ImageCheck, file_problems, problem_list};
use crate::config::key_store::KeyStore;
use crate::config::secrets::{Places, Prompt, Resolved, ask_on_terminal, resolve};
use crate::config::{AlertConfig, Known, OutputConfig, RunOptions, SecretRef, Secrets, ShowConfig, from_link, load};

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

/// Reads the configuration and finds its secrets, asking for missing ones where somebody `can_answer`.
pub(super) fn prepare(
    args: &RunArgs,
    can_answer: bool,
    known: Known<'_>,
    image: ImageCheck<'_>,
) -> anyhow::Result<Prepared> {
    let config = configuration(args, can_answer, known, image)?;
    let resolved = secrets(&config, can_answer)?;
    Ok(Prepared {
        show: config.show.name.clone(),
        handover: resolved.secrets.to_handover(&config),
        secret_variables: secret_variables(&config),
        closing: config.show.closing,
    })
}

/// A configuration file and its secrets.
pub(super) fn configured(file: &Path, can_answer: bool, known: Known<'_>) -> anyhow::Result<(ShowConfig, Secrets)> {
    let config = configuration_of(file, known)?;
    let resolved = secrets(&config, can_answer)?;
    Ok((config, resolved.secrets))
}

/// What is needed to ask a platform about the space behind `link`: a configuration, or the options, without outputs.
pub(super) fn asking(
    link: &str,
    file: Option<&Path>,
    who: &SignIn,
    known: Known<'_>,
) -> anyhow::Result<(ShowConfig, Secrets)> {
    let mut config = match file {
        Some(file) => configuration_of(file, known)?,
        None => {
            let SignIn { cookies, auth_token_env, ct0_env } = who.clone();
            let link = Some(link.to_owned());
            configuration(
                &RunArgs { link, cookies, auth_token_env, ct0_env, ..RunArgs::default() },
                false,
                known,
                &|_, _| Ok(()),
            )?
        }
    };
    config.outputs.clear();
    config.alerts.clear();
    let resolved = secrets(&config, false)?;
    Ok((config, resolved.secrets))
}

fn configuration(
    args: &RunArgs,
    can_answer: bool,
    known: Known<'_>,
    image: ImageCheck<'_>,
) -> anyhow::Result<ShowConfig> {
    let here = std::env::current_dir().context("cannot find the current folder")?;
    let (subject, read) = match &args.config {
        Some(file) => (file.display().to_string(), load(file, known)),
        None => ("the command line".to_owned(), from_link(&options(args, can_answer), &here, known)),
    };
    let checked = read.and_then(|config| {
        let faults = file_problems(&config, image, &[]);
        if faults.is_empty() { Ok(config) } else { Err(faults) }
    });
    checked.map_err(|faults| BadConfiguration(problem_list(&subject, &faults)).into())
}

fn options(args: &RunArgs, on_terminal: bool) -> RunOptions {
    let args = args.clone();
    RunOptions {
        link: args.link.unwrap_or_default(),
        name: args.name,
        on_air_before: args.on_air_before,
        follow_host: args.follow_host,
        title: args.title,
        host: args.host,
        timezone: args.timezone,
        artwork: args.artwork,
        recordings: args.recordings,
        no_recording: args.no_recording,
        cookies: args.cookies,
        auth_token_env: args.auth_token_env,
        ct0_env: args.ct0_env,
        youtube: args.youtube,
        youtube_key_env: args.youtube_key_env,
        youtube_key_file: args.youtube_key_file,
        youtube_backup: args.youtube_backup,
        rumble_url: args.rumble_url,
        rumble_key_env: args.rumble_key_env,
        rumble_key_file: args.rumble_key_file,
        twitch: args.twitch,
        twitch_key_env: args.twitch_key_env,
        twitch_key_file: args.twitch_key_file,
        outputs: args.outputs,
        key_envs: args.key_envs,
        on_terminal,
    }
}

fn secrets(config: &ShowConfig, can_answer: bool) -> anyhow::Result<Resolved> {
    let env = |name: &str| std::env::var(name).ok();
    let store = KeyStore::of_user(&env);
    let mut ask = |output: &OutputConfig| ask_on_terminal(output);
    let prompt: Option<Prompt<'_>> = if can_answer { Some(&mut ask) } else { None };
    let credentials = std::env::var_os("CREDENTIALS_DIRECTORY").map(Into::into);
    let mut places = Places { env: &env, credentials, store: store.as_ref(), prompt };
    let resolved = resolve(config, &mut places).map_err(|errors| {
        let lines: Vec<String> = errors.iter().map(|error| format!("  {error}")).collect();
        BadConfiguration(format!("secrets are missing:\n{}", lines.join("\n")))
    })?;
    for note in &resolved.notes {
        tell(note);
    }
    if let Some(store) = &store {
        offer_to_save(config, &resolved, store);
    }
    Ok(resolved)
}

/// Keys that were typed just now are kept for the next time, if the operator wants so. A key that cannot be saved is
/// no reason to miss the show.
fn offer_to_save(config: &ShowConfig, resolved: &Resolved, store: &KeyStore) {
    for output in config.outputs.iter().filter(|output| resolved.typed.contains(&output.name)) {
        let Some(key) = resolved.secrets.output_key(&output.name) else { continue };
        if !agreed(&format!("Save the stream key of {} on this machine, readable by you alone? [y/N] ", output.name)) {
            continue;
        }
        match store.save_key(&output.name, &output.url, key) {
            Ok(path) => tell(&format!("Saved in {}.", path.display())),
            Err(error) => tell(&format!("It could not be saved: {error}")),
        }
    }
}

fn agreed(question: &str) -> bool {
    let mut answer = String::new();
    let asked = write!(io::stderr(), "{question}").and_then(|()| io::stdin().lock().read_line(&mut answer));
    asked.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes")
}

fn tell(line: &str) {
    drop(writeln!(io::stderr(), "{line}"));
}

pub(super) fn secret_variables(config: &ShowConfig) -> Vec<String> {
    let sources = config.sources.iter().flat_map(|source| source.kind.secrets()).map(|(_, secret)| secret);
    let keys = config.outputs.iter().filter_map(|output| output.key.as_ref());
    let named = sources.chain(keys).filter_map(variable);
    named.chain(alert_variables(config.alerts.iter())).collect()
}

/// Variables that alerts have their secrets from.
pub(super) fn alert_variables<'a>(alerts: impl Iterator<Item = &'a AlertConfig>) -> Vec<String> {
    let secrets = alerts.flat_map(|alert| [alert.action.secret(), alert.secret.as_ref()]).flatten();
    secrets.filter_map(variable).collect()
}

fn variable(secret: &SecretRef) -> Option<String> {
    if let SecretRef::Env(name) = secret { Some(name.clone()) } else { None }
}

/// The configuration in `file`, for verbs that only look.
pub(super) fn configuration_of(file: &Path, known: Known<'_>) -> anyhow::Result<ShowConfig> {
    load(file, known).map_err(|faults| BadConfiguration(problem_list(&file.display().to_string(), &faults)).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_that_holds_a_key_is_known_so_that_the_bridge_does_not_inherit_it() {
        let known = Known { presets: &[], space_link: &|_| Ok("1YpKkWmbnQaGj".into()) };
        let args = RunArgs {
            link: Some("tone".into()),
            // Cargo sets it for this test: any variable that exists will do.
            outputs: vec!["mine=rtmp://127.0.0.1/live".into()],
            key_envs: vec!["mine=CARGO_PKG_NAME".into()],
            ..RunArgs::default()
        };
        let prepared = prepare(&args, false, known, &|_, _| Ok(())).expect("in order");
        assert_eq!((prepared.show.as_str(), prepared.secret_variables), ("tone", vec!["CARGO_PKG_NAME".to_owned()]));
    }

    #[test]
    fn every_fault_of_a_command_line_is_told_at_once_and_counts_as_bad_configuration() {
        let known = Known { presets: &[], space_link: &|_| Err("no link".into()) };
        let args = RunArgs {
            link: Some("tone".into()),
            outputs: vec!["mine=http://127.0.0.1/live".into()],
            timezone: Some("Europe/Berlim".into()),
            ..RunArgs::default()
        };
        let error = prepare(&args, false, known, &|_, _| Ok(())).err().expect("faulty");
        assert!(error.is::<BadConfiguration>());
        let text = error.to_string();
        assert!(text.contains("--timezone") && text.contains("--output"), "{text}");
    }
}
