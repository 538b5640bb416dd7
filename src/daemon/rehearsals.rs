//! Rehearsals that the interface asks for: the real program against a simulated Space and stand-in ingests, judged.
//!
//! Each is `spacebridge rehearse` as a child of its own, and its bridge is seen among the shows while it lasts. Nothing of
//! the operator's is touched: no key, no cookie, no output. The daemon starts it, shows it, and tells the verdict.

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::io::AsyncReadExt;
use tokio::process::{Child, Command};
use utoipa::ToSchema;

use super::paths;
use super::roster::{Roster, RosterError};
use crate::alert::Level;
use crate::clock::Clock;

/// Rehearsals that are remembered, and whose folders are kept.
const KEPT: usize = 5;

/// Largest verdict.
const VERDICT_MAX: u64 = 1 << 20;

/// Longest rehearsal; the longest of the program's own takes some twenty minutes.
const LONGEST: Duration = Duration::from_secs(40 * 60);

/// The scenarios that may be asked for: those of the program itself that need no speed.
const SCENARIOS: [&str; 3] = ["plain", "smooth", "rough_night"];

/// What is rehearsed.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RehearsalDraft {
    /// `plain` (a Space that runs and ends, about two minutes) where nothing is said; `smooth`; `rough_night` (with faults).
    pub scenario: Option<String>,
}

/// Where a rehearsal stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RehearsalState {
    /// It goes on.
    Running,
    /// Everything came through.
    Passed,
    /// Something did not: see `verdict`.
    Failed,
    /// It could not be held, or was ended early: there is nothing to be judged.
    Broken,
}

/// A rehearsal.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct RehearsalView {
    /// Its id, and the name of its show while it runs.
    pub id: String,
    /// What is rehearsed.
    pub scenario: String,
    /// Where it stands.
    pub state: RehearsalState,
    /// When it began.
    pub started_at: Timestamp,
    /// When it was over.
    pub ended_at: Option<Timestamp>,
    /// The verdict, as `spacebridge rehearse --json` prints it.
    #[schema(value_type = Option<Object>)]
    pub verdict: Option<Value>,
    /// Why there is none.
    pub error: Option<String>,
}

/// Why no rehearsal begins.
#[derive(Debug, thiserror::Error)]
pub enum RehearsalRefusal {
    /// One is running.
    #[error("the rehearsal {0} is still running: wait for it, or end its show")]
    Busy(String),
    /// No such scenario.
    #[error("there is no such scenario: take plain, smooth or rough_night")]
    Unknown,
    /// Its show cannot be shown.
    #[error(transparent)]
    Roster(#[from] RosterError),
    /// The machine refused.
    #[error("it cannot be started: {0}")]
    Io(#[from] io::Error),
}

/// All rehearsals of this daemon process.
#[derive(Debug)]
pub struct Rehearsals {
    roster: Arc<Roster>,
    clock: Clock,
    known: Mutex<VecDeque<RehearsalView>>,
}

impl Rehearsals {
    /// None yet.
    pub fn new(roster: Arc<Roster>, clock: Clock) -> Self {
        Self { roster, clock, known: Mutex::default() }
    }

    fn known(&self) -> MutexGuard<'_, VecDeque<RehearsalView>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The last ones, newest first.
    pub fn all(&self) -> Vec<RehearsalView> {
        self.known().iter().cloned().collect()
    }

    /// The rehearsal of this id.
    pub fn get(&self, id: &str) -> Option<RehearsalView> {
        self.known().iter().find(|known| known.id == id).cloned()
    }

    /// Begins one.
    ///
    /// # Errors
    /// When one is running, or the machine refuses.
    pub fn start(self: &Arc<Self>, draft: &RehearsalDraft) -> Result<RehearsalView, RehearsalRefusal> {
        let wanted = draft.scenario.as_deref().unwrap_or("plain");
        let scenario = SCENARIOS.into_iter().find(|known| *known == wanted).ok_or(RehearsalRefusal::Unknown)?;
        let mut known = self.known();
        if let Some(running) = known.iter().find(|known| known.state == RehearsalState::Running) {
            return Err(RehearsalRefusal::Busy(running.id.clone()));
        }
        let started_at = self.clock.wall();
        let id = format!("rehearsal-{}", started_at.strftime("%Y%m%d-%H%M%S"));
        let child = self.spawn(&id, scenario)?;
        let view = RehearsalView {
            id,
            scenario: scenario.to_owned(),
            state: RehearsalState::Running,
            started_at,
            ended_at: None,
            verdict: None,
            error: None,
        };
        known.push_front(view.clone());
        known.truncate(KEPT);
        tokio::spawn(Arc::clone(self).attend(view.id.clone(), child));
        Ok(view)
    }

    fn folder(&self) -> PathBuf {
        self.roster.settings().data.join("rehearsals")
    }

    fn spawn(&self, id: &str, scenario: &str) -> Result<Child, RehearsalRefusal> {
        let folder = self.folder();
        fs::create_dir_all(&folder)?;
        prune(&folder)?;
        let ward = self.roster.take_guest(id)?;
        let started = ward.view().config.ok_or_else(|| io::Error::other("its show has no configuration"));
        let started = started.and_then(|config| self.roster.planner().launch(&config)).and_then(|launch| {
            let log = fs::File::create(folder.join(format!("{id}.log")))?;
            let mut command = Command::new(&launch.program);
            command.args(["rehearse", "--json", "--scenario", scenario, "--show", id]);
            command.arg("--folder").arg(&folder).arg("--state").arg(&self.roster.settings().state);
            command.env_clear().envs(std::env::vars_os().filter(|(name, _)| launch.passes(name)));
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).spawn()
        });
        started.map_err(|error| {
            self.roster.drop_guest(id);
            error.into()
        })
    }

    /// Waits for the child's end and tells how it went.
    async fn attend(self: Arc<Self>, id: String, mut child: Child) {
        let stdout = child.stdout.take();
        let read = async {
            let mut text = String::new();
            if let Some(stdout) = stdout {
                stdout.take(VERDICT_MAX).read_to_string(&mut text).await?;
            }
            child.wait().await?;
            io::Result::Ok(text)
        };
        let read = tokio::time::timeout(LONGEST, read).await;
        if read.is_err() {
            drop(child.kill().await);
        }
        let verdict = match read {
            Ok(Ok(text)) => serde_json::from_str::<Value>(&text).map_err(|_| "it gave no verdict".to_owned()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("it did not end".to_owned()),
        };
        let roster = Arc::clone(&self.roster);
        let guest = id.clone();
        drop(tokio::task::spawn_blocking(move || roster.drop_guest(&guest)).await);
        self.conclude(&id, verdict);
    }

    fn conclude(&self, id: &str, verdict: Result<Value, String>) {
        let state = match &verdict {
            Ok(verdict) if verdict["verdict"] == "pass" => RehearsalState::Passed,
            Ok(_) => RehearsalState::Failed,
            Err(_) => RehearsalState::Broken,
        };
        let (code, level, message) = match &verdict {
            _ if state == RehearsalState::Passed => {
                ("rehearsal.passed", Level::Info, "The rehearsal passed: everything came through".to_owned())
            }
            Ok(_) => (
                "rehearsal.failed",
                Level::Error,
                "The rehearsal failed: its verdict says what did not come through".to_owned(),
            ),
            Err(why) => ("rehearsal.failed", Level::Error, format!("The rehearsal could not be judged: {why}")),
        };
        let log = self.folder().join(format!("{id}.log"));
        let remedy = format!(
            "GET /api/v1/rehearsals/{id} has the verdict; its log is {} in the folder rehearsals.",
            log.display()
        );
        if let Some(known) = self.known().iter_mut().find(|known| known.id == id) {
            (known.state, known.ended_at) = (state, Some(self.clock.wall()));
            match verdict {
                Ok(mut verdict) => {
                    paths::clean_value(&mut verdict);
                    known.verdict = Some(verdict);
                }
                Err(error) => known.error = Some(error),
            }
        }
        self.roster.hub().tell(id, level, code, message, (level == Level::Error).then_some(remedy.as_str()));
    }
}

/// Keeps the folders and logs of the last rehearsals.
fn prune(folder: &std::path::Path) -> io::Result<()> {
    let mut found: Vec<PathBuf> = fs::read_dir(folder)?.filter_map(|entry| Some(entry.ok()?.path())).collect();
    // Both kinds of names end with a time, so that each kind sorts by it.
    found.sort();
    let (folders, logs): (Vec<_>, Vec<_>) = found.into_iter().partition(|path| path.is_dir());
    let old = |paths: Vec<PathBuf>| paths.into_iter().rev().skip(KEPT - 1);
    for path in old(folders) {
        fs::remove_dir_all(path)?;
    }
    old(logs).try_for_each(fs::remove_file)
}
