//! `spacebridge output add` and `remove`, `slate`, `delay` and `cut`: what is done to a show that is on the air.

use std::io::Read;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;

use super::args::{AddArgs, CutArgs, DelayCommand, OneOutput, SlateArgs, SlateCommand};
use super::words::clean;
use super::{BadConfiguration, client_of, runtime, say};
use crate::bridge::protocol::live::{LiveAnswer, NewOutput, PICTURE_MAX};
use crate::config::secrets::{Places, find_key};
use crate::config::{SecretRef, units};

/// `output add`.
pub(super) fn add_output(args: &AddArgs) -> anyhow::Result<ExitCode> {
    let reference = match (&args.key_env, &args.key_file) {
        (Some(name), _) => Some(SecretRef::Env(name.clone())),
        (None, Some(path)) => Some(SecretRef::File(path.clone())),
        (None, None) => None,
    };
    let env = |name: &str| std::env::var(name).ok();
    let mut places = Places { env: &env, credentials: None, store: None, prompt: None };
    let key = reference.map(|reference| find_key(&reference, &mut places)).transpose();
    let key = key.map_err(|error| BadConfiguration(error.to_string()))?;
    let output = NewOutput { name: args.output.clone(), preset: args.preset.clone(), url: args.url.clone(), key };
    let client = client_of(args.show.as_deref())?;
    runtime()?.block_on(async { answered(client.add_output(&output).await?) })
}

/// `output remove`.
pub(super) fn remove_output(one: &OneOutput) -> anyhow::Result<ExitCode> {
    let client = client_of(one.show.as_deref())?;
    runtime()?.block_on(async { answered(client.remove_output(&one.output).await?) })
}

/// `slate`.
pub(super) fn slate(command: &SlateCommand) -> anyhow::Result<ExitCode> {
    let SlateCommand::Set(SlateArgs { text, picture, show, .. }) = command;
    let bytes = picture.as_deref().map(read_picture).transpose()?;
    let client = client_of(show.as_deref())?;
    runtime()?.block_on(async {
        let answer = match bytes {
            Some(bytes) => client.slate_picture(bytes).await?,
            None => client.slate_text(text.as_deref()).await?,
        };
        answered(answer)
    })
}

/// `delay`.
pub(super) fn delay(command: &DelayCommand) -> anyhow::Result<ExitCode> {
    let DelayCommand::Set { time, show } = command;
    let delay =
        units::parse_duration(time).map_err(|fault| BadConfiguration(format!("{time:?} {fault}: write 20s")))?;
    let client = client_of(show.as_deref())?;
    runtime()?.block_on(async { answered(client.delay(delay.as_secs_f64()).await?) })
}

/// `cut`.
pub(super) fn cut(args: &CutArgs) -> anyhow::Result<ExitCode> {
    let client = client_of(args.show.as_deref())?;
    runtime()?.block_on(async { answered(client.cut(args.seconds).await?) })
}

fn answered(answer: LiveAnswer) -> anyhow::Result<ExitCode> {
    let names: Vec<String> = answer.outputs.iter().map(|name| format!("{}: ", clean(name))).collect();
    say(&format!("{}{}", names.concat(), clean(&answer.message)));
    Ok(ExitCode::SUCCESS)
}

fn read_picture(path: &Path) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    file.take(PICTURE_MAX as u64 + 1)
        .read_to_end(&mut bytes)
        .with_context(|| format!("cannot read {}", path.display()))?;
    anyhow::ensure!(
        bytes.len() <= PICTURE_MAX,
        "{} has more than {} MB: make it smaller",
        path.display(),
        PICTURE_MAX >> 20
    );
    Ok(bytes)
}
