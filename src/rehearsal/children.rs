//! Child processes of a rehearsal: started from this very binary, told over standard input, ended by their own id.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde::de::DeserializeOwned;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{ChildStdin, ChildStdout, Command};

use super::RehearsalError;
use super::ingest::{IngestArgs, IngestReport, IngestStarted};
use super::space::{Order, SpaceArgs, SpaceReport, SpaceStarted};
use crate::secret::Secret;

/// A child that has not said where it is by then is broken; encoding the first minutes takes a second.
const START: Duration = Duration::from_secs(60);
/// How long a child may take to end by itself.
const END: Duration = Duration::from_secs(30);
/// Longest line that a child may say: the report of a day.
const LINE_LIMIT: u64 = 64 << 20;
/// Variables that a child gets from this process's environment, which may hold the operator's keys.
const PASSED: [&str; 5] = ["PATH", "HOME", "LANG", "TZ", "RUST_LOG"];
/// How long an answer of a child may take.
const ANSWER: Duration = Duration::from_secs(20);

/// A running child.
#[derive(Debug)]
struct Child {
    name: String,
    process: tokio::process::Child,
    // Closing it tells the child to end.
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Child {
    async fn start(
        name: &str,
        arguments: Vec<String>,
        secret: Option<&Secret>,
        log: &Path,
    ) -> Result<Self, RehearsalError> {
        let program = std::env::current_exe().map_err(RehearsalError::io("this program cannot find itself"))?;
        let log = std::fs::File::create(log).map_err(RehearsalError::io("the log of a child cannot be written"))?;
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log).kill_on_drop(true);
        command.env_clear().envs(environment());
        let mut process = command.spawn().map_err(RehearsalError::io("a child of the rehearsal did not start"))?;
        let (Some(mut stdin), Some(stdout)) = (process.stdin.take(), process.stdout.take()) else {
            return Err(RehearsalError::Options("a child of the rehearsal has no pipes".to_owned()));
        };
        if let Some(secret) = secret {
            let line = format!("{}\n", secret.expose());
            stdin.write_all(line.as_bytes()).await.map_err(RehearsalError::io("a child did not take its key"))?;
        }
        Ok(Self { name: name.to_owned(), process, stdin: Some(stdin), stdout: BufReader::new(stdout) })
    }

    async fn line<T: DeserializeOwned>(&mut self, patience: Duration) -> Result<T, RehearsalError> {
        let mut line = String::new();
        let mut bounded = (&mut self.stdout).take(LINE_LIMIT);
        let read = tokio::time::timeout(patience, bounded.read_line(&mut line)).await;
        match read {
            Ok(Ok(1..)) => {
                serde_json::from_str(&line).map_err(|error| self.fault(format!("said something else: {error}")))
            }
            Ok(_) => Err(self.fault("ended before it was ready; its log says why".to_owned())),
            Err(_) => Err(self.fault(format!("said nothing for {} s", patience.as_secs()))),
        }
    }

    /// Lets it end, and waits for it.
    async fn end(mut self) {
        drop(self.stdin.take());
        // Its last words would block it if nobody read them.
        let mut rest = tokio::io::sink();
        let drained = tokio::io::copy(&mut self.stdout, &mut rest);
        let ended = tokio::time::timeout(END, async { drop(tokio::join!(drained, self.process.wait())) }).await;
        if ended.is_err() && self.process.kill().await.is_err() {
            tracing::warn!(child = self.name, "Child of the rehearsal could not be ended.");
        }
    }

    fn fault(&self, reason: String) -> RehearsalError {
        RehearsalError::Child { child: self.name.clone(), reason }
    }
}

/// What a child gets of this process's environment.
pub(super) fn environment() -> impl Iterator<Item = (OsString, OsString)> {
    std::env::vars_os().filter(|(name, _)| is_passed(name))
}

fn is_passed(name: &OsStr) -> bool {
    name.to_str().is_some_and(|name| PASSED.contains(&name) || ["GST_", "XDG_"].iter().any(|own| name.starts_with(own)))
}

/// HTTP to children on loopback, whatever proxy the environment names.
fn client() -> Result<reqwest::Client, RehearsalError> {
    let builder = reqwest::Client::builder().no_proxy().timeout(ANSWER);
    builder.build().map_err(|error| RehearsalError::Options(format!("no HTTP client: {error}")))
}

async fn ask<T: DeserializeOwned>(request: reqwest::RequestBuilder, child: &str) -> Result<T, RehearsalError> {
    let fault = |error: reqwest::Error| RehearsalError::Child {
        child: child.to_owned(),
        reason: format!("did not answer: {}", error.without_url()),
    };
    let answer = request.send().await.and_then(reqwest::Response::error_for_status).map_err(fault)?;
    answer.json().await.map_err(fault)
}

/// The simulated space as a child.
#[derive(Debug)]
pub struct SpaceChild {
    child: Child,
    client: reqwest::Client,
    /// Where it is.
    pub started: SpaceStarted,
}

impl SpaceChild {
    /// Starts it; what it logs goes to `folder`.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start(args: &SpaceArgs, folder: &Path) -> Result<Self, RehearsalError> {
        let log = folder.join("space.log");
        let mut child = Child::start("simulated space", args.to_arguments(), None, &log).await?;
        let started = child.line(START).await?;
        Ok(Self { child, client: client()?, started })
    }

    /// Gives an order.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn order(&self, order: &Order) -> Result<SpaceReport, RehearsalError> {
        let url = format!("{}/control", self.started.guest_base);
        ask(self.client.post(url).json(order), &self.child.name).await
    }

    /// What it saw so far.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn report(&self) -> Result<SpaceReport, RehearsalError> {
        let url = format!("{}/control/report", self.started.guest_base);
        ask(self.client.get(url), &self.child.name).await
    }

    /// Ends it.
    pub async fn end(self) {
        self.child.end().await;
    }
}

/// A stand-in ingest as a child.
#[derive(Debug)]
pub struct IngestChild {
    child: Child,
    client: reqwest::Client,
    /// Where it is.
    pub started: IngestStarted,
}

impl IngestChild {
    /// Starts it with the key that it is to take; what it logs goes to `folder`.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start(args: &IngestArgs, key: &Secret, folder: &Path) -> Result<Self, RehearsalError> {
        let name = format!("stand-in ingest {}", args.name);
        let log = folder.join(format!("ingest-{}.log", args.name));
        let mut child = Child::start(&name, args.to_arguments(), Some(key), &log).await?;
        let started = child.line(START).await?;
        Ok(Self { child, client: client()?, started })
    }

    /// What it saw so far.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn report(&self) -> Result<IngestReport, RehearsalError> {
        let url = format!("http://127.0.0.1:{}/report", self.started.report_port);
        ask(self.client.get(url), &self.child.name).await
    }

    /// Ends it; what it says at the end.
    ///
    /// # Errors
    /// When it says nothing.
    pub async fn end(mut self) -> Result<IngestReport, RehearsalError> {
        drop(self.child.stdin.take());
        let report = self.child.line(END).await;
        self.child.end().await;
        report
    }
}
