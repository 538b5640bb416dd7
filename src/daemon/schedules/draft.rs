//! A schedule as people write it.

use std::time::Duration;

use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::rule::{EARLY, GIVE_UP_AFTER, Rule};
use crate::config::units::parse_duration;

/// Longest text of a time.
const TEXT_MAX: usize = 100;

/// Longest time before a start, and after it.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// When a show begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ScheduleDraft {
    /// The start, with its time zone or its offset: `2026-12-01T20:00[Europe/Berlin]`.
    pub at: String,
    /// The weekdays on which it comes again at that time of day, `mon` to `sun`; then `at` needs a time zone. None for a
    /// single start.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub on: Vec<String>,
    /// The show goes on the air so long before, with its slate: `15m` where nothing is said, 24 h at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub early: Option<String>,
    /// A start that could not be kept is made up so long after: `2h` where nothing is said, 24 h at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub give_up_after: Option<String>,
}

impl ScheduleDraft {
    /// What it means.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub(super) fn rule(&self) -> Result<Rule, String> {
        let days = self.on.iter().map(|day| weekday(day)).collect::<Result<Vec<_>, _>>()?;
        Ok(Rule {
            at: moment(&self.at, !days.is_empty())?,
            days,
            early: stretch("early", self.early.as_deref(), EARLY)?,
            give_up_after: stretch("give_up_after", self.give_up_after.as_deref(), GIVE_UP_AFTER)?,
        })
    }
}

fn moment(text: &str, repeats: bool) -> Result<Zoned, String> {
    let remedy = "write it with its time zone, such as 2026-12-01T20:00[Europe/Berlin]";
    if text.len() > TEXT_MAX {
        return Err(format!("at is too long: {remedy}"));
    }
    match (text.parse::<Zoned>(), text.parse::<Timestamp>()) {
        (Ok(at), _) => Ok(at),
        (Err(_), Ok(_)) if repeats => Err(format!("at has no time zone, which a start that repeats needs: {remedy}")),
        (Err(_), Ok(at)) => Ok(at.to_zoned(TimeZone::UTC)),
        (Err(_), Err(_)) => Err(format!("at is no moment: {remedy}")),
    }
}

fn weekday(word: &str) -> Result<Weekday, String> {
    let days = [
        ("mon", Weekday::Monday),
        ("tue", Weekday::Tuesday),
        ("wed", Weekday::Wednesday),
        ("thu", Weekday::Thursday),
        ("fri", Weekday::Friday),
        ("sat", Weekday::Saturday),
        ("sun", Weekday::Sunday),
    ];
    let found = days.into_iter().find(|(name, _)| word.eq_ignore_ascii_case(name)).map(|(_, day)| day);
    found.ok_or_else(|| "on holds something that is no weekday: write mon, tue, wed, thu, fri, sat or sun".to_owned())
}

fn stretch(key: &str, text: Option<&str>, default: Duration) -> Result<Duration, String> {
    let Some(text) = text else { return Ok(default) };
    let known = if text.len() > TEXT_MAX { None } else { parse_duration(text).ok() };
    known.filter(|time| *time <= LONGEST).ok_or_else(|| format!("{key} is no time up to 24 h: write 15m or 2h"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_understood_is_refused_in_words_by_table() {
        let draft = |at: &str, on: &[&str], early: Option<&str>| ScheduleDraft {
            at: at.to_owned(),
            on: on.iter().map(|day| (*day).to_owned()).collect(),
            early: early.map(str::to_owned),
            give_up_after: None,
        };
        for (draft, fault) in [
            (draft("2026-12-01T20:00:00[Europe/Berlin]", &["fri", "SUN"], Some("10m")), None),
            (draft("2026-12-01T20:00:00+01:00[Europe/Berlin]", &[], None), None),
            (draft("2026-12-01T20:00:00+01:00", &[], None), None),
            (draft("2026-12-01T20:00:00Z", &["fri"], None), Some("no time zone")),
            (draft("2026-12-01T20:00:00", &[], None), Some("no moment")),
            (draft("2026-12-01T20:00[Mars/Olympus]", &[], None), Some("no moment")),
            (draft("tomorrow", &[], None), Some("no moment")),
            (draft(&"9".repeat(5000), &[], None), Some("too long")),
            (draft("2026-12-01T20:00[UTC]", &["friday?"], None), Some("no weekday")),
            (draft("2026-12-01T20:00[UTC]", &[], Some("25h")), Some("early")),
            (draft("2026-12-01T20:00[UTC]", &[], Some("15")), Some("early")),
        ] {
            match (draft.rule(), fault) {
                (Ok(_), None) => {}
                (Err(said), Some(fault)) => assert!(said.contains(fault), "{said}"),
                (read, fault) => panic!("{draft:?}: {read:?}, expected {fault:?}"),
            }
        }
    }
}
