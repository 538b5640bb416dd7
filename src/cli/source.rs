//! `spacebridge source`: says where a show's audio comes from, or points it at another space.

use std::process::ExitCode;

use super::args::SourceCommand;
use super::words::{clean, source_state};
use super::{client_of, runtime, say, say_json};

/// Does one verb.
pub(super) fn run(command: &SourceCommand) -> anyhow::Result<ExitCode> {
    let (SourceCommand::Set { show, .. }
    | SourceCommand::Pin { show, .. }
    | SourceCommand::Unpin { show }
    | SourceCommand::List { show, .. }) = command;
    let client = client_of(show.as_deref())?;
    runtime()?.block_on(async {
        match command {
            SourceCommand::Set { link, .. } => {
                let source = client.set_source(link).await?;
                say(&format!("The show goes over to {}; the outputs stay on the air.", clean(&source)));
            }
            SourceCommand::Pin { name, .. } => say(&clean(&client.pin_source(Some(name)).await?.message)),
            SourceCommand::Unpin { .. } => say(&clean(&client.pin_source(None).await?.message)),
            SourceCommand::List { json: true, .. } => say_json(&client.sources().await?)?,
            SourceCommand::List { .. } => {
                for (index, source) in client.sources().await?.iter().enumerate() {
                    let mark = if source.active { "on " } else { "   " };
                    let pinned = if source.pinned { "  (pinned)" } else { "" };
                    let state = source_state(source);
                    say(&format!("{mark} {}  {}  {state}{pinned}", index + 1, clean(&source.name)));
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    })
}
