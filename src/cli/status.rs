//! `spacebridge status`: how shows are doing, once or as a live view.

use std::process::ExitCode;

use super::args::StatusArgs;
use super::words::{clean, clock, count, show_state, size, source_state, whole};
use super::{client_of, output, run, runtime, say, say_json};
use crate::bridge::client::BridgeClient;
use crate::bridge::state_folder::{self, StateFolder};
use crate::status::{ShowStatus, SourceStatus};

/// Prints the status of one show, or of all.
pub(super) fn run(args: &StatusArgs) -> anyhow::Result<ExitCode> {
    if args.watch {
        return run::watch(client_of(args.show.as_deref())?);
    }
    runtime()?.block_on(async {
        for client in clients(args)? {
            let status = client.status().await?;
            if args.json {
                say_json(&status)?;
            } else {
                lines(&status).iter().for_each(|line| say(line));
            }
        }
        Ok(ExitCode::SUCCESS)
    })
}

fn clients(args: &StatusArgs) -> anyhow::Result<Vec<BridgeClient>> {
    if args.show.is_some() {
        return Ok(vec![client_of(args.show.as_deref())?]);
    }
    let root = state_folder::root()?;
    let shows = state_folder::shows_on_the_air(&root);
    if shows.is_empty() && !args.json {
        say("No show is on the air.");
    }
    shows.iter().map(|show| Ok(BridgeClient::new(StateFolder::at(&root, show)?))).collect()
}

fn lines(status: &ShowStatus) -> Vec<String> {
    let mut lines = vec![format!(
        "{}: {} for {}. {}",
        clean(&status.show),
        show_state(status.state).to_lowercase(),
        clock(whole(status.program.seconds)),
        clean(&status.words),
    )];
    if let Some(session) = &status.session {
        let title = session.title.as_deref().unwrap_or("untitled");
        let host = session.host.as_deref().map(|host| format!(" by {host}")).unwrap_or_default();
        lines.push(format!("  space {}: {}{}", clean(&session.id), clean(title), clean(&host)));
    }
    if status.sources.len() > 1 {
        let held = |source: &SourceStatus| if source.pinned { " (pinned)" } else { "" };
        let line = |one: &SourceStatus| format!("  source {}: {}{}", clean(&one.name), source_state(one), held(one));
        lines.extend(status.sources.iter().map(line));
    }
    lines.extend(status.outputs.iter().map(|one| format!("  output {}", output::line(one))));
    let recording = &status.recording;
    if let Some(folder) = &recording.folder {
        let gaps = count(recording.gaps.len() as u64, "gap", "gaps");
        let (length, bytes) = (clock(whole(recording.seconds)), size(recording.bytes));
        lines.push(format!("  recording {length}, {bytes}, {gaps}: {}", clean(folder)));
    }
    lines.extend(recording.error.iter().map(|error| format!("  recording: {}", clean(error))));
    lines
}
