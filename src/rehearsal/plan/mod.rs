//! What happens in a rehearsal, and when. Inert data, read from `config/rehearsals/` or an operator's own file.

mod shipped;
mod step;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;

use self::shipped::SHIPPED;
use self::step::Written;
pub use self::step::{Act, Expectation, Step, Wait};
use super::RehearsalError;
use super::space::{Order, SpaceArgs};
use crate::config::units::parse_duration;

/// Largest file that is read: thousands of steps.
const FILE_MAX: u64 = 1 << 20;
/// Greatest speed: faster than this the waits are shorter than the pauses between two looks at the schedule.
pub const SPEED_MAX: f64 = 100.0;

/// A plan of one rehearsal.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Its name, for the report.
    pub name: String,
    /// Seconds that the space has been running when the bridge joins; none if it has not started.
    pub running_for_seconds: Option<u32>,
    /// How long after the beginning, on the schedule, the space is announced for.
    pub announced: Option<Duration>,
    /// Media sequence number of the space's first chunk.
    pub first_sequence: u64,
    /// Chunks are listed late by up to so many ms.
    pub jitter_ms: u64,
    /// Whether the plan makes gaps, so that gaps fail nothing.
    pub gaps_planned: bool,
    /// The show opens its outputs so long before the announced start, on the schedule.
    pub on_air_before: Option<Duration>,
    /// The show waits so long for the host's next space, on the schedule.
    pub follow_host: Option<Duration>,
    /// How fast the schedule goes unless it is said otherwise.
    pub speed: f64,
    /// Names of the ingests.
    pub outputs: Vec<String>,
    /// What happens, in order. After it the host ends the space, unless it is over.
    pub steps: Vec<Step>,
}

/// A plan as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    live_seconds: Option<u32>,
    #[serde(default)]
    running_for_seconds: Option<u32>,
    #[serde(default)]
    not_started: bool,
    #[serde(default)]
    announced: Option<String>,
    #[serde(default)]
    first_sequence: u64,
    #[serde(default)]
    jitter_ms: u64,
    #[serde(default)]
    gaps_planned: bool,
    #[serde(default)]
    on_air_before: Option<String>,
    #[serde(default)]
    follow_host: Option<String>,
    #[serde(default)]
    speed: Option<f64>,
    #[serde(default)]
    outputs: Option<Vec<String>>,
    #[serde(default, rename = "order")]
    orders: Vec<TimedOrder>,
    #[serde(default, rename = "step")]
    steps: Vec<Spanned<Written>>,
}

/// An order and its time: the short form for plans in which only the space does something.
#[derive(Debug, Deserialize)]
struct TimedOrder {
    /// Seconds after the bridge's first fetch.
    at_seconds: u32,
    #[serde(flatten)]
    order: Order,
}

impl Plan {
    /// The shipped plan of that name, or the one in a file of that path.
    ///
    /// # Errors
    /// When there is none, or it is wrong.
    pub fn find(name_or_file: &str) -> Result<Self, RehearsalError> {
        let is_file = name_or_file.contains('/') || name_or_file.ends_with(".toml");
        if !is_file {
            return Self::named(name_or_file);
        }
        let path = Path::new(name_or_file);
        let size = std::fs::metadata(path).map_err(RehearsalError::io("the scenario cannot be read"))?.len();
        if size > FILE_MAX {
            return Err(RehearsalError::Options(format!("{name_or_file} is too large for a scenario")));
        }
        let text = std::fs::read_to_string(path).map_err(RehearsalError::io("the scenario cannot be read"))?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        Self::parse(&name, &text).map_err(|error| RehearsalError::Options(format!("{name_or_file}: {error}")))
    }

    /// The shipped plan of that name.
    ///
    /// # Errors
    /// When there is none.
    pub fn named(name: &str) -> Result<Self, RehearsalError> {
        let Some((_, text)) = SHIPPED.iter().find(|(known, _)| *known == name) else {
            let names: Vec<&str> = SHIPPED.iter().map(|(name, _)| *name).collect();
            return Err(RehearsalError::Options(format!(
                "no scenario is named {name:?}; there are {}; a file of your own is named by its path",
                names.join(", ")
            )));
        };
        Self::parse(name, text)
    }

    /// A plan from the text of a file.
    ///
    /// # Errors
    /// When it is not a plan: with the line.
    pub fn parse(name: &str, text: &str) -> Result<Self, RehearsalError> {
        let file: File =
            toml::from_str(text).map_err(|error| RehearsalError::Options(format!("the plan is wrong: {error}")))?;
        file.check(name, text).map_err(RehearsalError::Options)
    }

    /// How the space is to be for this plan. It announces a time of the schedule, which the bridge's clock shortens.
    pub fn space(&self) -> SpaceArgs {
        let announced = self.announced.map(|announced| announced.as_secs());
        SpaceArgs {
            running_for_seconds: self.running_for_seconds.unwrap_or(0),
            not_started: self.running_for_seconds.is_none(),
            scheduled_in_seconds: announced.map(|seconds| u32::try_from(seconds).unwrap_or(u32::MAX)),
            first_sequence: self.first_sequence,
            jitter_ms: self.jitter_ms,
            ..SpaceArgs::default()
        }
    }

    /// How long the steps take at a speed, without what is expected.
    pub fn length(&self, speed: f64) -> Duration {
        let length = |step: &Step| match step.wait {
            Wait::None => Duration::ZERO,
            Wait::Scheduled(wait) => wait.div_f64(speed.max(1.0)),
            Wait::Real(wait) => wait,
        };
        self.steps.iter().map(length).sum()
    }
}

impl File {
    fn check(self, name: &str, text: &str) -> Result<Plan, String> {
        let outputs = self.outputs.clone().unwrap_or_else(|| vec!["youtube".to_owned(), "rumble".to_owned()]);
        let speed = self.speed.unwrap_or(1.0);
        if !(1.0..=SPEED_MAX).contains(&speed) {
            return Err(format!("`speed = {speed}` is not between 1 and {SPEED_MAX}"));
        }
        let running_for_seconds = match (self.not_started, self.running_for_seconds) {
            (true, Some(_)) => return Err("`not_started` and `running_for_seconds` exclude each other".to_owned()),
            (true, None) => None,
            (false, seconds) => Some(seconds.unwrap_or(30)),
        };
        let (announced, follow_host) =
            (optional("announced", self.announced.as_deref())?, optional("follow_host", self.follow_host.as_deref())?);
        let on_air_before = optional("on_air_before", self.on_air_before.as_deref())?;
        let (first_sequence, jitter_ms, gaps_planned) = (self.first_sequence, self.jitter_ms, self.gaps_planned);
        let steps = self.into_steps(&outputs, text)?;
        Ok(Plan {
            name: name.to_owned(),
            running_for_seconds,
            announced,
            first_sequence,
            jitter_ms,
            gaps_planned,
            on_air_before,
            follow_host,
            speed,
            outputs,
            steps,
        })
    }

    fn into_steps(self, outputs: &[String], text: &str) -> Result<Vec<Step>, String> {
        match (self.live_seconds, self.steps.is_empty()) {
            (Some(seconds), true) => timed(self.orders, seconds),
            (None, false) if self.orders.is_empty() => {
                let check = |step: Spanned<Written>| {
                    let line = 1 + text[..step.span().start.min(text.len())].matches('\n').count();
                    step.into_inner().check(outputs).map_err(|error| format!("the step at line {line}: {error}"))
                };
                self.steps.into_iter().map(check).collect()
            }
            (None, true) => Err("it needs steps, or `live_seconds`".to_owned()),
            _ => {
                Err("`live_seconds` and `[[order]]` are one form of a plan, `[[step]]` is another: use one".to_owned())
            }
        }
    }
}

fn optional(key: &str, text: Option<&str>) -> Result<Option<Duration>, String> {
    text.map(|text| parse_duration(text).map_err(|error| format!("`{key} = {text:?}` {error}"))).transpose()
}

/// The steps of the short form.
fn timed(mut orders: Vec<TimedOrder>, live_seconds: u32) -> Result<Vec<Step>, String> {
    orders.sort_by_key(|order| order.at_seconds);
    if let Some(late) = orders.iter().find(|order| order.at_seconds > live_seconds) {
        return Err(format!("an order comes at second {}, after the end at {live_seconds}", late.at_seconds));
    }
    let (mut steps, mut now) = (Vec::new(), 0);
    for TimedOrder { at_seconds, order } in orders {
        let wait = Wait::Real(Duration::from_secs(u64::from(at_seconds - now)));
        steps.push(Step { wait, say: None, act: Some(Act::Space(order)) });
        now = at_seconds;
    }
    steps.push(Step { wait: Wait::Real(Duration::from_secs(u64::from(live_seconds - now))), say: None, act: None });
    Ok(steps)
}
