//! What an output says of itself to people: the events of its troubles.

use super::budget::Budget;
use super::fault::FaultClass;
use super::slow::News;
use super::voice::Say;
use crate::alert::{Events, Report};
use crate::config::WhenSpent;

/// A failure, or a reminder of one that lasts, as one counted line.
pub(super) fn fault(events: &Events, subject: &str, class: FaultClass, say: Say, message: &str, remedy: Option<&str>) {
    let message = match say {
        Say::New => message.to_owned(),
        Say::Again { failures, lasting } => {
            let minutes = lasting.as_secs() / 60;
            format!("{message} It has been so for {minutes} min, with {failures} more failures since it was last told.")
        }
    };
    let report = if class.needs_operator() { Events::error } else { Events::warning };
    report(events, class.code(), subject, message, remedy);
}

/// The budget holds the output back.
pub(super) fn budget(events: &Events, subject: &str, name: &str, budget: &Budget) {
    let limit = budget.limit();
    let next = match budget.when_spent() {
        WhenSpent::Slow => "it is tried every 5 minutes now",
        WhenSpent::Hold => "it waits until the hour has room for another",
    };
    let message = format!("The {limit} broadcasts that it may begin in an hour are spent: {next}.");
    let remedy = format!(
        "`spacebridge output restart {name}` connects at once; on a platform each connection can become another video."
    );
    events.error("output.budget", subject, message, Some(&remedy));
}

/// The connection is too slow, or no longer.
pub(super) fn slow(events: &Events, subject: &str, server: &str, news: News) {
    match news {
        News::Slow { kbps, percent, seconds } => {
            let message = format!(
                "{server} took {kbps} kbit/s in the last {seconds} s: {percent} % of the stream had to be left out."
            );
            let remedy = "Check the upload of this machine: it may be too slow for all outputs.";
            let report = Report::warning("output.slow", subject, message).remedy(remedy);
            events.tell(report.doing("Leaves frames out rather than fall behind, and keeps the connection."));
        }
        News::Over => events.info("output.keeps_up", subject, format!("{server} takes the whole stream again.")),
    }
}

/// A pipeline did not come down.
pub(super) fn abandoned(events: &Events, subject: &str, count: u32) {
    let message = format!("A connection that did not come down was left behind ({count} so far); another one is made.");
    let remedy = "If it happens often, end the show when it suits you: what was left behind ends with it.";
    events.warning("output.abandoned", subject, message, Some(remedy));
}
