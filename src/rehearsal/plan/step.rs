//! One step of a scenario: a wait, and what happens after it.

use std::time::Duration;

use serde::Deserialize;

use crate::config::units::parse_duration;
use crate::rehearsal::proxy::{Fault, Scope, Way};
use crate::rehearsal::space::Order;

/// One step, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// What is waited for first.
    pub wait: Wait,
    /// A line for people.
    pub say: Option<String>,
    /// What happens then.
    pub act: Option<Act>,
}

/// A pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// None.
    None,
    /// Of the schedule: divided by the rehearsal's speed.
    Scheduled(Duration),
    /// Of real time: how long a fault lasts, or media are listened to.
    Real(Duration),
}

/// What happens in a step.
#[derive(Debug, Clone, PartialEq)]
pub enum Act {
    /// The space is told something.
    Space(Order),
    /// The way to an ingest changes.
    Ingest {
        /// The output's name.
        name: String,
        /// How.
        fault: Fault,
        /// For which connections.
        scope: Scope,
    },
    /// The bridge process is killed with signal 9.
    KillBridge,
    /// The rehearsal goes on once the bridge is so; it fails if that takes too long.
    Expect(Expectation),
}

/// What the bridge should be like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expectation {
    /// An output's name; none for the show.
    pub output: Option<String>,
    /// The state in the status' own word.
    pub state: String,
    /// In real time.
    pub within: Duration,
}

/// States of a show and of an output that a scenario can wait for.
const SHOW_STATES: [&str; 5] = ["starting", "waiting", "live", "gap", "ending"];
const OUTPUT_STATES: [&str; 4] = ["stopped", "connecting", "live", "backoff"];

/// A step as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    wait: Option<String>,
    real: Option<String>,
    say: Option<String>,
    space: Option<Order>,
    ingest: Option<String>,
    fault: Option<Fault>,
    #[serde(rename = "do")]
    deed: Option<IngestDeed>,
    scope: Option<Scope>,
    bridge: Option<BridgeDeed>,
    expect: Option<String>,
}

/// Short words for what happens to an ingest.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum IngestDeed {
    Kill,
    Freeze,
    Return,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum BridgeDeed {
    Kill,
}

impl Written {
    /// Checks the step. `outputs` are the names that may be used.
    pub(super) fn check(self, outputs: &[String]) -> Result<Step, String> {
        let wait = match (&self.wait, &self.real) {
            (None, None) => Wait::None,
            (Some(text), None) => Wait::Scheduled(time("wait", text)?),
            (None, Some(text)) => Wait::Real(time("real", text)?),
            (Some(_), Some(_)) => return Err("`wait` and `real` exclude each other: write two steps".into()),
        };
        let deeds = [self.space.is_some(), self.ingest.is_some(), self.bridge.is_some(), self.expect.is_some()];
        if deeds.into_iter().filter(|is_there| *is_there).count() > 1 {
            return Err("one step has one of `space`, `ingest`, `bridge` and `expect`: write two steps".into());
        }
        if self.ingest.is_none() && (self.fault.is_some() || self.deed.is_some() || self.scope.is_some()) {
            return Err("`fault`, `do` and `scope` need `ingest = \"NAME\"`".into());
        }
        let say = self.say.clone();
        let act = self.act(outputs)?;
        if wait == Wait::None && say.is_none() && act.is_none() {
            return Err("nothing happens in it".into());
        }
        Ok(Step { wait, say, act })
    }

    fn act(self, outputs: &[String]) -> Result<Option<Act>, String> {
        if let Some(order) = self.space {
            return Ok(Some(Act::Space(order)));
        }
        if self.bridge.is_some() {
            return Ok(Some(Act::KillBridge));
        }
        if let Some(text) = self.expect {
            return expectation(&text, outputs).map(|expected| Some(Act::Expect(expected)));
        }
        let Some(name) = self.ingest else { return Ok(None) };
        known(&name, outputs)?;
        let fault = match (self.fault, self.deed) {
            (Some(fault), None) => fault,
            (None, Some(IngestDeed::Kill)) => Fault::Refuse,
            (None, Some(IngestDeed::Freeze)) => Fault::Stall { way: Way::Both },
            (None, Some(IngestDeed::Return)) => Fault::Pass,
            _ => return Err("`ingest` needs either `do` or `fault`".into()),
        };
        Ok(Some(Act::Ingest { name, fault, scope: self.scope.unwrap_or_default() }))
    }
}

fn time(key: &str, text: &str) -> Result<Duration, String> {
    parse_duration(text).map_err(|error| format!("`{key} = {text:?}` {error}: write it as 20s, 5m or 1h"))
}

fn known(name: &str, outputs: &[String]) -> Result<(), String> {
    let is_known = outputs.iter().any(|output| output == name);
    if is_known { Ok(()) } else { Err(format!("there is no ingest {name:?}, only {}", outputs.join(", "))) }
}

/// `STATE within TIME`, or `OUTPUT STATE within TIME`.
fn expectation(text: &str, outputs: &[String]) -> Result<Expectation, String> {
    const FORM: &str = "write \"live within 10s\", or \"youtube live within 10s\"";
    let words: Vec<&str> = text.split_whitespace().collect();
    let (output, state, within) = match words[..] {
        [state, "within", within] => (None, state, within),
        [output, state, "within", within] => (Some(output.to_owned()), state, within),
        _ => return Err(format!("`expect = {text:?}` is not understood: {FORM}")),
    };
    if let Some(name) = &output {
        known(name, outputs)?;
    }
    let states: &[&str] = if output.is_some() { &OUTPUT_STATES } else { &SHOW_STATES };
    if !states.contains(&state) {
        return Err(format!("`expect` knows no state {state:?}, only {}", states.join(", ")));
    }
    Ok(Expectation { output, state: state.to_owned(), within: time("expect", within)? })
}
