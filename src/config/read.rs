//! A file's text into a [`ShowConfig`], or into every fault in it at once. Reads no other file and no environment.

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use toml::de::DeTable;

use super::known::Known;
use super::problem::{Problem, Report};
use super::section::Section;
use super::{ShowConfig, ShowSettings};

mod alert;
mod daemon;
mod failover;
mod media;
mod output;
mod recording;
mod source;
mod x_api;

pub use daemon::read_daemon;

/// Longest file that is read, in bytes: hundreds of times the sample.
const MAX_FILE: usize = 1 << 20;

/// Reads a configuration. Relative paths in it belong to `base_dir`, the file's own folder.
///
/// # Errors
/// Every fault in the file, in its order.
pub fn read(text: &str, base_dir: &Path, known: Known<'_>) -> Result<ShowConfig, Vec<Problem>> {
    let report = Report::about(text);
    match read_into(text, base_dir, known, &report) {
        Some(config) if report.is_clean() => Ok(config),
        _ => Err(report.into_problems()),
    }
}

/// Every key that a file may have, as paths such as `output[].key_env`.
///
/// The reader's own questions are the schema, so that the sample's test can compare it with nothing written twice.
#[cfg(test)]
pub(super) fn schema_asked_by(text: &str, known: Known<'_>) -> std::collections::BTreeSet<String> {
    let report = Report::about(text);
    read_into(text, Path::new(""), known, &report);
    report.schema()
}

fn read_into(text: &str, base: &Path, known: Known<'_>, report: &Report) -> Option<ShowConfig> {
    if text.len() > MAX_FILE {
        report.add("file", None, "is larger than 1 MB", "Check that this is a configuration of spacebridge");
        return None;
    }
    let (document, faults) = DeTable::parse_recoverable(text);
    for fault in &faults {
        report.add_syntax(fault.span().map(|span| span.start), fault.message());
    }
    let mut root = Section::root(document.get_ref(), report);
    let show = show(root.section("show"));
    let sources = source::sources(&mut root, base, known);
    let failover = failover::failover(root.section("failover"), &sources);
    let program = media::program(root.section("program"), base);
    let slate = media::slate(root.section("slate"), base, show.as_ref().is_some_and(|show| show.consent.is_some()));
    let outputs = output::outputs(&mut root, base, known);
    let recording = recording::recording(root.section("recording"), base);
    let x = x_api::x_api(root.section("x"));
    let alerts = alert::alerts(&mut root, base);
    root.finish();
    Some(ShowConfig { show: show?, sources, failover, program, slate, outputs, recording, x, alerts, pace: None })
}

fn show(mut section: Section<'_>) -> Option<ShowSettings> {
    let name = section.text("name");
    let name = match name.map(|name| super::address::plain_name(&name)) {
        Some(Ok(name)) => Some(name),
        Some(Err((message, remedy))) => {
            section.problem("name", message, remedy);
            None
        }
        None if section.has("name") => None,
        None => {
            section.missing(
                "name",
                "Write [show] and name = \"friday-night\", say: it names the folder of the show's state",
            );
            None
        }
    };
    let timezone = section.text("timezone");
    if let Some(Err((message, remedy))) = timezone.as_deref().map(check_timezone) {
        section.problem("timezone", message, remedy);
    }
    let hour = Duration::from_secs(3600);
    let now = section.says("on_air_before", "now");
    let never = section.says("give_up_after", "never");
    let off = section.says("follow_host", "off");
    let settings = ShowSettings {
        name: name.unwrap_or_default(),
        title: section.text("title"),
        host: section.text("host"),
        timezone: timezone.unwrap_or_else(system_timezone),
        closing: section.duration("closing", Duration::ZERO..=hour).unwrap_or(super::CLOSING),
        give_up_after: if never {
            None
        } else {
            section.duration("give_up_after", Duration::from_secs(1)..=24 * 30 * hour)
        },
        on_air_before: if now { None } else { section.duration("on_air_before", Duration::ZERO..=24 * hour) },
        start: start(&mut section),
        follow_host: if off { None } else { section.duration("follow_host", Duration::from_secs(1)..=24 * hour) },
        consent: consent(&mut section),
        public_delay: section.duration("public_delay", Duration::ZERO..=hour / 60).unwrap_or_default(),
    };
    section.finish();
    Some(settings)
}

/// One line on the slate at most.
fn consent(section: &mut Section<'_>) -> Option<String> {
    let consent = section.text("consent")?;
    if consent.chars().count() > 200 {
        section.problem("consent", "is longer than 200 characters", "Say it in one sentence");
        return None;
    }
    Some(consent)
}

/// An announced start with its offset from UTC: a time of day alone could be meant in any zone.
fn start(section: &mut Section<'_>) -> Option<Timestamp> {
    let start = section.text("start")?.parse();
    if start.is_err() {
        let remedy = "Write date, time and offset, such as \"2024-08-12T20:00:00+02:00\", or Z for UTC";
        section.problem("start", "is no moment", remedy);
    }
    start.ok()
}

/// Checks an IANA time zone's name.
pub(super) fn check_timezone(name: &str) -> Result<(), (String, String)> {
    if name == "UTC" || jiff::tz::TimeZone::get(name).is_ok() {
        return Ok(());
    }
    let similar: Vec<String> = jiff::tz::db().available().map(|zone| zone.to_string()).collect();
    let names: Vec<&str> = similar.iter().map(String::as_str).collect();
    let remedy = match super::check::closest(name, &names) {
        Some(zone) => format!("Did you mean {zone}"),
        None if names.len() < 10 => "This machine knows no time zones: install the package tzdata, or write UTC".into(),
        None => "Write an IANA name such as \"Europe/Berlin\", or \"UTC\"".into(),
    };
    Err(("is an unknown time zone".into(), remedy))
}

/// The machine's time zone; UTC where it has none that has a name.
pub(super) fn system_timezone() -> String {
    jiff::tz::TimeZone::try_system().ok().and_then(|zone| zone.iana_name().map(str::to_owned)).unwrap_or("UTC".into())
}
