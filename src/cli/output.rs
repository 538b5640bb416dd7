//! `spacebridge output`: lists the outputs of a show, or gives one an order.

use std::process::ExitCode;

use super::args::OutputCommand;
use super::words::{clean, clock, output_state};
use super::{client_of, live, runtime, say, say_json};
use crate::status::{OutputState, OutputStatus};

/// Does one verb.
pub(super) fn run(command: &OutputCommand) -> anyhow::Result<ExitCode> {
    let show = match command {
        OutputCommand::Add(args) => return live::add_output(args),
        OutputCommand::Remove(one) => return live::remove_output(one),
        OutputCommand::List { show, .. } => show,
        OutputCommand::Start(one) | OutputCommand::Stop(one) | OutputCommand::Restart(one) => &one.show,
    };
    let client = client_of(show.as_deref())?;
    runtime()?.block_on(async {
        if let Some((one, action)) = command.order() {
            client.output(&one.output, action).await?;
            say(&format!("{}: {} is on its way.", one.output, action.as_str()));
            return Ok(ExitCode::SUCCESS);
        }
        let outputs = client.outputs().await?;
        if matches!(command, OutputCommand::List { json: true, .. }) {
            say_json(&outputs)?;
        } else if outputs.is_empty() {
            say("The show has no outputs: it is only recorded.");
        }
        if matches!(command, OutputCommand::List { json: false, .. }) {
            outputs.iter().for_each(|output| say(&line(output)));
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// One output in one line.
pub(super) fn line(output: &OutputStatus) -> String {
    let mut line = format!("{:<14} {:<14} {}", clean(&output.name), output_state(output), clean(&output.server));
    if output.state == OutputState::Live {
        line.push_str(&format!("  {}  {} kbit/s", clock(output.state_seconds), output.kbps));
    }
    if let Some(budget) = budget(output) {
        line.push_str(&format!("  {budget}"));
    }
    let reconnects = output.connections.saturating_sub(1);
    if reconnects > 0 {
        line.push_str(&format!("  {reconnects} reconnects"));
    }
    if let Some(error) = &output.last_error {
        line.push_str(&format!("  last error: {}", clean(error)));
    }
    line
}

/// What an output's budget is doing to it, if anything.
pub(super) fn budget(output: &OutputStatus) -> Option<String> {
    let budget = &output.budget;
    budget.next_in_seconds?;
    let name = clean(&output.name);
    let (used, limit) = (budget.used, budget.limit);
    Some(format!(
        "{used} of {limit} broadcasts spent in the last hour: `spacebridge output restart {name}` connects now"
    ))
}
