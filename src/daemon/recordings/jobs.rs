//! What is being made of recordings: exports, repairs, checks. Each is a child process of this program, so that no codec
//! ends the daemon; and one at a time, so that shows on the air do not feel it.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use rustix::process::{Pid, Signal, kill_process};
use serde::Serialize;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;

use crate::alert::Level;
use crate::clock::Clock;
use crate::daemon::hub::Hub;
use crate::text::plain;

/// Jobs that wait at most.
const WAITING_MAX: usize = 64;

/// Jobs that are over and remembered.
const OVER_MAX: usize = 200;

/// Time for a child that was told to stop; it leaves nothing half-made by then.
const STOPPING: Duration = Duration::from_secs(20);

/// Most of what a child says that is read, in bytes.
const SAID_MAX: u64 = 1 << 20;

/// What is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum JobKind {
    /// Files to post.
    Export,
    /// What is missing is looked for in what the platform still holds.
    Repair,
    /// Every checksum is computed again.
    Verify,
}

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum JobState {
    /// Others are before it.
    Waiting,
    /// It is being done.
    Running,
    /// It is done.
    Done,
    /// It could not be done.
    Failed,
    /// Somebody stopped it.
    Cancelled,
}

impl JobState {
    fn is_over(self) -> bool {
        !matches!(self, Self::Waiting | Self::Running)
    }
}

/// A job as it is now.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct JobView {
    /// Its id; it is forgotten when the daemon ends.
    pub id: String,
    /// What is made.
    pub kind: JobKind,
    /// Id of the recording.
    pub recording: String,
    /// Where it stands.
    pub state: JobState,
    /// From 0 to 1; none where it cannot be told.
    pub progress: Option<f64>,
    /// What came of it, or why nothing did, in a sentence for people.
    pub message: Option<String>,
    /// Names of the files that it made.
    pub files: Vec<String>,
    /// When it was asked for.
    pub asked_at: Timestamp,
    /// When it was over.
    pub over_at: Option<Timestamp>,
}

/// What is to be done, as the command line says it.
#[derive(Debug, Clone)]
pub struct Order {
    /// What is made.
    pub kind: JobKind,
    /// Id of the recording.
    pub recording: String,
    /// Its show, for the event.
    pub show: String,
    /// The command line, without the program.
    pub arguments: Vec<OsString>,
}

#[derive(Debug)]
struct Job {
    view: JobView,
    order: Order,
    stop: CancellationToken,
}

/// All jobs.
#[derive(Debug)]
pub struct Jobs {
    jobs: Mutex<VecDeque<Job>>,
    asked: Notify,
    program: OsString,
    clock: Clock,
    hub: Arc<Hub>,
}

/// What a child said at its end.
struct Said {
    state: JobState,
    message: String,
    files: Vec<String>,
}

impl Jobs {
    /// None yet; [`Jobs::work`] does them.
    pub fn new(program: OsString, clock: Clock, hub: Arc<Hub>) -> Self {
        Self { jobs: Mutex::default(), asked: Notify::new(), program, clock, hub }
    }

    fn all(&self) -> MutexGuard<'_, VecDeque<Job>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts an order behind the others; none when too many wait.
    pub fn ask(&self, order: Order) -> Option<JobView> {
        let mut all = self.all();
        if all.iter().filter(|job| !job.view.state.is_over()).count() >= WAITING_MAX {
            return None;
        }
        while all.iter().filter(|job| job.view.state.is_over()).count() > OVER_MAX {
            let oldest = all.iter().position(|job| job.view.state.is_over())?;
            all.remove(oldest);
        }
        let view = JobView {
            id: format!("{:016x}", fastrand::u64(..)),
            kind: order.kind,
            recording: order.recording.clone(),
            state: JobState::Waiting,
            progress: None,
            message: None,
            files: Vec::new(),
            asked_at: self.clock.wall(),
            over_at: None,
        };
        all.push_back(Job { view: view.clone(), order, stop: CancellationToken::new() });
        self.asked.notify_one();
        Some(view)
    }

    /// Every job, oldest first.
    pub fn list(&self) -> Vec<JobView> {
        self.all().iter().map(|job| job.view.clone()).collect()
    }

    /// The job of this id.
    pub fn get(&self, id: &str) -> Option<JobView> {
        self.all().iter().find(|job| job.view.id == id).map(|job| job.view.clone())
    }

    /// Whether something is made of this recording, or waits to be.
    pub fn is_busy(&self, recording: &str) -> bool {
        self.all().iter().any(|job| job.view.recording == recording && !job.view.state.is_over())
    }

    /// Stops a job; what it has made whole stays. The job as it is then.
    pub fn cancel(&self, id: &str) -> Option<JobView> {
        let mut all = self.all();
        let job = all.iter_mut().find(|job| job.view.id == id)?;
        job.stop.cancel();
        if job.view.state == JobState::Waiting {
            (job.view.state, job.view.over_at) = (JobState::Cancelled, Some(self.clock.wall()));
        }
        Some(job.view.clone())
    }

    /// Does one job after the other until `token` ends.
    pub async fn work(&self, token: CancellationToken) {
        loop {
            let asked = self.asked.notified();
            let next = self.take();
            match next {
                Some((id, order, stop)) => {
                    let said = tokio::select! {
                        said = self.run(&id, &order, &stop) => said,
                        // The child is killed with what it holds: nothing half-made has a final name.
                        () = token.cancelled() => return,
                    };
                    self.over(&id, &order, said);
                }
                None => tokio::select! {
                    () = asked => {}
                    () = token.cancelled() => return,
                },
            }
        }
    }

    fn take(&self) -> Option<(String, Order, CancellationToken)> {
        let mut all = self.all();
        let job = all.iter_mut().find(|job| job.view.state == JobState::Waiting)?;
        job.view.state = JobState::Running;
        Some((job.view.id.clone(), job.order.clone(), job.stop.clone()))
    }

    fn change(&self, id: &str, change: impl FnOnce(&mut JobView)) {
        if let Some(job) = self.all().iter_mut().find(|job| job.view.id == id) {
            change(&mut job.view);
        }
    }

    fn over(&self, id: &str, order: &Order, said: Said) {
        let kind = match order.kind {
            JobKind::Export => "export",
            JobKind::Repair => "repair",
            JobKind::Verify => "check",
        };
        let (level, code, what) = match said.state {
            JobState::Done => (Level::Info, "daemon.job_done", "is done"),
            JobState::Cancelled => (Level::Info, "daemon.job_done", "was stopped"),
            _ => (Level::Warning, "daemon.job_failed", "failed"),
        };
        let message = format!("The {kind} of a recording {what}: {}", said.message);
        self.change(id, |view| {
            (view.state, view.message, view.files) = (said.state, Some(said.message), said.files);
            view.over_at = Some(self.clock.wall());
            if view.state == JobState::Done {
                view.progress = Some(1.0);
            }
        });
        self.hub.tell(&order.show, level, code, message, None);
    }

    async fn run(&self, id: &str, order: &Order, stop: &CancellationToken) -> Said {
        let mut command = Command::new(&self.program);
        command.args(&order.arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.kill_on_drop(true);
        let mut child = match command.spawn() {
            Ok(child) => child,
            Err(error) => return failed(format!("it could not be started: {error}.")),
        };
        let (out, err) = (child.stdout.take(), child.stderr.take());
        let output = async { tokio::join!(whole(out), self.listen(id, err)) };
        let ended = async {
            let ended = tokio::select! {
                ended = child.wait() => ended,
                () = stop.cancelled() => stopped(&mut child).await,
            };
            ended.ok().and_then(|status| status.code())
        };
        let ((out, last), code) = tokio::join!(output, ended);
        if stop.is_cancelled() && code != Some(0) {
            return Said {
                state: JobState::Cancelled,
                message: "nothing half-made is left.".into(),
                files: Vec::new(),
            };
        }
        judge(order.kind, code, &out, &last)
    }

    /// Reads what the child says while it works: progress as JSON, everything else as its last words.
    async fn listen(&self, id: &str, err: Option<impl AsyncRead + Unpin>) -> String {
        let mut last = String::new();
        let Some(err) = err else { return last };
        let mut lines = BufReader::new(err.take(SAID_MAX)).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            match serde_json::from_str::<Step>(&line) {
                Ok(step) if step.total > 0 => {
                    let progress = (step.done as f64 / step.total as f64).clamp(0.0, 1.0);
                    self.change(id, |view| view.progress = Some(progress));
                }
                Ok(_) => {}
                Err(_) => last = plain(&line, 500),
            }
        }
        last
    }
}

/// One line of a child's progress.
#[derive(serde::Deserialize)]
struct Step {
    done: u64,
    total: u64,
}

async fn whole(out: Option<impl AsyncRead + Unpin>) -> String {
    let mut text = String::new();
    if let Some(out) = out
        && out.take(SAID_MAX).read_to_string(&mut text).await.is_err()
    {
        text.clear();
    }
    text
}

/// Asks a child to stop, and makes it when it does not.
async fn stopped(child: &mut Child) -> std::io::Result<std::process::ExitStatus> {
    let pid = child.id().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
    if let Some(pid) = pid {
        kill_process(pid, Signal::TERM)?;
    }
    match tokio::time::timeout(STOPPING, child.wait()).await {
        Ok(ended) => ended,
        Err(_) => {
            child.kill().await?;
            child.wait().await
        }
    }
}

fn failed(message: String) -> Said {
    Said { state: JobState::Failed, message, files: Vec::new() }
}

/// What came of it, by the exit code and by what was printed.
fn judge(kind: JobKind, code: Option<i32>, out: &str, last: &str) -> Said {
    let said: serde_json::Value = serde_json::from_str(out.lines().last().unwrap_or_default()).unwrap_or_default();
    let names = |list: &serde_json::Value| -> Vec<String> {
        let all = list.as_array().into_iter().flatten();
        let path = |one: &serde_json::Value| one.as_str().or_else(|| one["file"].as_str()).map(str::to_owned);
        let base = |path: String| path.rsplit('/').next().unwrap_or_default().to_owned();
        all.filter_map(path).map(base).collect()
    };
    match (kind, code) {
        (JobKind::Verify, Some(0 | 1)) if said["words"].is_string() => Said {
            state: JobState::Done,
            message: plain(said["words"].as_str().unwrap_or_default(), 500),
            files: Vec::new(),
        },
        (_, Some(0)) => {
            let files = names(&said["files"]);
            let notes: Vec<&str> = said["notes"].as_array().into_iter().flatten().filter_map(|n| n.as_str()).collect();
            let made = match files.len() {
                0 => "nothing more was to be made.".to_owned(),
                1 => "one file.".to_owned(),
                count => format!("{count} files."),
            };
            Said {
                state: JobState::Done,
                message: plain(&[&[made.as_str()], &notes[..]].concat().join(" "), 2000),
                files,
            }
        }
        (_, None) => failed("its process was killed.".to_owned()),
        (_, Some(_)) if last.is_empty() => failed("it gave no reason.".to_owned()),
        (_, Some(_)) => failed(without_paths(last)),
    }
}

/// The child speaks to the machine's owner; a client is told no path.
fn without_paths(words: &str) -> String {
    let word = |word: &str| if word.starts_with('/') { "(a path)".to_owned() } else { word.to_owned() };
    let words: Vec<String> = words.trim_start_matches("Error: ").split(' ').map(word).collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_child_says_is_judged_by_its_exit_code_and_tells_no_path() {
        let json = r#"{"files":[{"file":"/var/lib/r/export/night.m4a"}],"notes":["A note."]}"#;
        let done = judge(JobKind::Export, Some(0), json, "");
        assert_eq!(
            (done.state, done.files, done.message),
            (JobState::Done, vec!["night.m4a".to_owned()], "one file. A note.".to_owned())
        );
        let lacks = judge(JobKind::Verify, Some(1), r#"{"words":"3 segments lack."}"#, "");
        assert_eq!((lacks.state, lacks.message.as_str()), (JobState::Done, "3 segments lack."));
        let bad = judge(JobKind::Export, Some(1), "", "Error: no room in /var/lib/recordings for it");
        assert_eq!((bad.state, bad.message.as_str()), (JobState::Failed, "no room in (a path) for it"));
        assert_eq!(judge(JobKind::Export, None, "", "x").state, JobState::Failed);
    }
}
