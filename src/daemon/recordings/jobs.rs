//! What is being made of recordings: exports, repairs, checks. Each is a child process of this program, so that no codec
//! ends the daemon; and one at a time, so that shows on the air do not feel it.

mod child;

use std::collections::VecDeque;
use std::ffi::OsString;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;

use crate::alert::Level;
use crate::clock::Clock;
use crate::daemon::hub::Hub;
use child::Said;

/// Jobs that wait at most.
const WAITING_MAX: usize = 64;

/// Jobs that are over and remembered.
const OVER_MAX: usize = 200;

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
        let progress = |progress| self.change(id, |view| view.progress = Some(progress));
        child::run(&self.program, order, stop, progress).await
    }
}
