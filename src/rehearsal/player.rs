//! Plays the steps of a plan on the simulated space, the fault proxies and the bridge's process.

use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::time::Instant;

use super::children::SpaceChild;
use super::diary::{Deed, Diary, What};
use super::plan::{Act, Expectation, Plan, Step, Wait};
use super::proxy::{Fault, FaultProxy, Scope};
use super::space::Order;
use super::witness::Witness;
use crate::clock::Clock;
use crate::status::{ShowState, ShowStatus};

/// How long the bridge may take to its first request.
pub(super) const JOIN: Duration = Duration::from_secs(60);
/// Pause between two looks.
const LOOK: Duration = Duration::from_millis(200);
/// How long a show that follows its host may take to see that the last space is over, before it is asked to end.
const SEEN_OVER: Duration = Duration::from_secs(30);

/// What the steps are played on.
pub(super) struct Player<'a, S> {
    pub(super) space: &'a SpaceChild,
    /// One proxy for each ingest that has one, by the output's name.
    pub(super) proxies: &'a [(String, FaultProxy)],
    pub(super) witness: &'a Witness,
    pub(super) clock: &'a Clock,
    /// Whether the bridge takes a speaker's seat.
    pub(super) seat: bool,
    pub(super) diary: &'a mut Diary,
    pub(super) say: S,
}

impl<S: FnMut(&str) + Send> Player<'_, S> {
    /// Waits for the bridge, plays the steps, and ends the space.
    pub(super) async fn play(&mut self, plan: &Plan) -> Result<(), String> {
        if let Err(problem) = self.joined(plan).await {
            // The bridge must end all the same.
            drop(self.space.order(&Order::End { replay: false }).await);
            drop(self.witness.end().await);
            return Err(problem);
        }
        let line = format!("The bridge is listening. {} s of real time follow.", self.seconds(plan));
        (self.say)(&line);
        self.diary.started_ms = self.now_ms();
        let mut due = Instant::now();
        for step in &plan.steps {
            due = self.step(step, due).await?;
        }
        self.close(plan).await
    }

    fn seconds(&self, plan: &Plan) -> u64 {
        let scheduled = |step: &Step| match step.wait {
            Wait::None => Duration::ZERO,
            Wait::Scheduled(wait) => self.clock.real(wait),
            Wait::Real(wait) => wait,
        };
        plan.steps.iter().map(scheduled).sum::<Duration>().as_secs()
    }

    /// Waits for the bridge's first chunk, or, before the space starts, for its first look-up.
    async fn joined(&self, plan: &Plan) -> Result<(), String> {
        let joined = async {
            loop {
                let report = self.space.report().await.map_err(|error| error.to_string())?;
                let is_there = match plan.running_for_seconds {
                    Some(_) if self.seat => report.requests.contains_key("seat_negotiate"),
                    Some(_) => report.chunks.iter().any(|chunk| chunk.served > 0),
                    None => report.requests.contains_key("space"),
                };
                if is_there {
                    return Ok(());
                }
                tokio::time::sleep(LOOK).await;
            }
        };
        let waited = tokio::time::timeout(JOIN, joined).await;
        waited.unwrap_or_else(|_| Err(format!("the bridge asked for nothing within {} s", JOIN.as_secs())))
    }

    /// One step that may begin at `due`; when the next one may.
    async fn step(&mut self, step: &Step, due: Instant) -> Result<Instant, String> {
        let due = due
            + match step.wait {
                Wait::None => Duration::ZERO,
                Wait::Scheduled(wait) => self.clock.real(wait),
                Wait::Real(wait) => wait,
            };
        tokio::time::sleep_until(due).await;
        if let Some(line) = &step.say {
            self.note(What::Note(line.clone()));
        }
        match &step.act {
            None => {}
            Some(Act::Space(order)) => {
                self.space.order(order).await.map_err(|error| error.to_string())?;
                self.note(What::Space(order.clone()));
            }
            Some(Act::Ingest { name, fault, scope }) => self.ingest(name, *fault, *scope).await?,
            Some(Act::KillBridge) => self.kill().await?,
            Some(Act::Expect(expectation)) => self.expect(expectation).await,
        }
        Ok(due.max(Instant::now()))
    }

    async fn ingest(&mut self, name: &str, fault: Fault, scope: Scope) -> Result<(), String> {
        let Some((_, proxy)) = self.proxies.iter().find(|(one, _)| one == name) else {
            return Err(format!("there is no way to make faults at the ingest {name}: it is none of this machine"));
        };
        let status = self.witness.status().await;
        let output = status.and_then(|status| status.outputs.into_iter().find(|output| output.name == name));
        let retry_in_seconds = output.and_then(|output| output.retry_in_seconds);
        proxy.set_for(fault, scope).await;
        self.note(What::Ingest { name: name.to_owned(), fault, scope, retry_in_seconds });
        Ok(())
    }

    async fn kill(&mut self) -> Result<(), String> {
        let status = self.witness.status().await.ok_or("there is no bridge to be killed")?;
        let pid = Pid::from_raw(status.bridge.pid.cast_signed()).ok_or("the bridge has no process id")?;
        kill_process(pid, Signal::KILL).map_err(|error| format!("the bridge could not be killed: {error}"))?;
        self.note(What::BridgeKilled);
        Ok(())
    }

    async fn expect(&mut self, expectation: &Expectation) {
        let start = Instant::now();
        let met = async {
            while !self.witness.status().await.is_some_and(|status| is_met(expectation, &status)) {
                tokio::time::sleep(LOOK).await;
            }
        };
        let met = tokio::time::timeout(expectation.within, met).await;
        self.note(What::Expected {
            what: expectation.words(),
            within_seconds: expectation.within.as_secs_f64(),
            took_seconds: met.is_ok().then(|| start.elapsed().as_secs_f64()),
        });
    }

    /// The end: of the space, and of a show that would wait for the host's next one.
    async fn close(&mut self, plan: &Plan) -> Result<(), String> {
        let report = self.space.report().await.map_err(|error| error.to_string())?;
        if !report.state.is_some_and(super::space::script::SpaceState::is_over) {
            let order = Order::End { replay: false };
            self.space.order(&order).await.map_err(|error| error.to_string())?;
            self.note(What::Space(order));
        }
        if plan.follow_host.is_none() {
            return Ok(());
        }
        let over = async {
            let is_on = |status: &ShowStatus| matches!(status.state, ShowState::Live | ShowState::Gap);
            while self.witness.status().await.is_some_and(|status| is_on(&status)) {
                tokio::time::sleep(LOOK).await;
            }
        };
        if tokio::time::timeout(SEEN_OVER, over).await.is_err() {
            self.note(What::Note("The bridge did not see the end of the space.".to_owned()));
        }
        self.note(What::Note("The show is asked to end.".to_owned()));
        self.witness.end().await
    }

    fn note(&mut self, what: What) {
        let at_ms = self.now_ms();
        let line = what.words();
        let since = (at_ms - self.diary.started_ms) as f64 / 1000.0;
        (self.say)(&format!("{since:7.1} s  {line}"));
        self.diary.done.push(Deed { at_ms, what });
    }

    fn now_ms(&self) -> i64 {
        self.clock.wall().as_millisecond()
    }
}

/// Whether the status is as expected, in the status' own words.
fn is_met(expectation: &Expectation, status: &ShowStatus) -> bool {
    let word = |value: serde_json::Value| value.as_str().is_some_and(|word| word == expectation.state);
    match &expectation.output {
        None => serde_json::to_value(status.state).is_ok_and(word),
        Some(name) => {
            let output = status.outputs.iter().find(|output| output.name == *name);
            output.is_some_and(|output| serde_json::to_value(output.state).is_ok_and(word))
        }
    }
}
