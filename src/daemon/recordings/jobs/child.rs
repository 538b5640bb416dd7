//! The process of one job: started, listened to, stopped, judged. It keeps no list and tells no event.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, setpriority_process};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio_util::sync::CancellationToken;

use super::{JobKind, JobState, Order};
use crate::daemon::paths::without_paths;
use crate::text::plain;

/// Time for a child that was told to stop; it leaves nothing half-made by then.
const STOPPING: Duration = Duration::from_secs(20);

/// Most of what a child says that is read, in bytes.
const SAID_MAX: u64 = 1 << 20;

/// How far a child stands back behind the shows on the air, as `nice` counts.
const NICE: i32 = 10;

/// What a child said at its end.
#[derive(Debug, PartialEq)]
pub(super) struct Said {
    pub(super) state: JobState,
    pub(super) message: String,
    pub(super) files: Vec<String>,
}

/// Does what `order` says; `progress` hears how far it is, from 0 to 1.
pub(super) async fn run(
    program: &OsStr,
    order: &Order,
    stop: &CancellationToken,
    progress: impl Fn(f64) + Send + Sync,
) -> Said {
    let mut command = Command::new(program);
    command.args(&order.arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.kill_on_drop(true);
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => return failed(format!("it could not be started: {error}.")),
    };
    // At once, since threads take after the one that makes them.
    if let Some(Err(error)) = pid_of(&child).map(|pid| setpriority_process(Some(pid), NICE)) {
        tracing::debug!(%error, "A job keeps its place among other processes.");
    }
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let output = async { tokio::join!(whole(out), listen(err, progress)) };
    let ended = async {
        let ended = tokio::select! {
            ended = child.wait() => ended,
            () = stop.cancelled() => stopped(&mut child).await,
        };
        ended.ok().and_then(|status| status.code())
    };
    let ((out, last), code) = tokio::join!(output, ended);
    if stop.is_cancelled() && code != Some(0) {
        return Said { state: JobState::Cancelled, message: "nothing half-made is left.".into(), files: Vec::new() };
    }
    judge(order, code, &out, &last)
}

/// One line of a child's progress.
#[derive(serde::Deserialize)]
struct Step {
    done: u64,
    total: u64,
}

/// Reads what the child says while it works: progress as JSON, everything else as its last words.
async fn listen(err: Option<impl AsyncRead + Unpin>, progress: impl Fn(f64)) -> String {
    let mut last = String::new();
    let Some(err) = err else { return last };
    let mut lines = BufReader::new(err.take(SAID_MAX)).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        match serde_json::from_str::<Step>(&line) {
            Ok(step) if step.total > 0 => progress((step.done as f64 / step.total as f64).clamp(0.0, 1.0)),
            Ok(_) => {}
            Err(_) => last = line,
        }
    }
    last
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

fn pid_of(child: &Child) -> Option<Pid> {
    Pid::from_raw(i32::try_from(child.id()?).ok()?)
}

/// Asks a child to stop, and makes it when it does not.
async fn stopped(child: &mut Child) -> std::io::Result<std::process::ExitStatus> {
    if let Some(pid) = pid_of(child) {
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

/// What came of it, by the exit code and by what was printed. The child speaks to the machine's owner; a client is told
/// no path.
fn judge(order: &Order, code: Option<i32>, out: &str, last: &str) -> Said {
    let said: Value = serde_json::from_str(out.lines().last().unwrap_or_default()).unwrap_or_default();
    let clean = |text: &str, most| plain(&without_paths(&without_own(text, &order.arguments)), most);
    let done = |message, files| Said { state: JobState::Done, message, files };
    match (order.kind, code) {
        (JobKind::Verify, Some(0 | 1)) if said["words"].is_string() => {
            done(clean(said["words"].as_str().unwrap_or_default(), 500), Vec::new())
        }
        (_, Some(0)) => {
            let files = names(&said["files"]);
            let notes = said["notes"].as_array().into_iter().flatten().filter_map(Value::as_str);
            let made = match files.len() {
                0 => "nothing more was to be made.".to_owned(),
                1 => "one file.".to_owned(),
                count => format!("{count} files."),
            };
            let words: Vec<&str> = std::iter::once(made.as_str()).chain(notes).collect();
            done(clean(&words.join(" "), 2000), files)
        }
        (_, None) => failed("its process was killed.".to_owned()),
        (_, Some(_)) if last.is_empty() => failed("it gave no reason.".to_owned()),
        (_, Some(_)) => failed(clean(last.trim_start_matches("Error: "), 500)),
    }
}

/// The names of files that were made, without their folders.
fn names(list: &Value) -> Vec<String> {
    let all = list.as_array().into_iter().flatten();
    let path = |one: &Value| one.as_str().or_else(|| one["file"].as_str()).map(str::to_owned);
    let base = |path: String| path.rsplit('/').next().unwrap_or_default().to_owned();
    all.filter_map(path).map(base).collect()
}

/// `text` with the paths that the child was given cut to their last name: they may hold spaces.
fn without_own<'a>(text: &'a str, arguments: &[OsString]) -> Cow<'a, str> {
    let paths = arguments.iter().map(Path::new).filter(|path| path.is_absolute());
    paths.fold(Cow::Borrowed(text), |text, path| match (path.to_str(), path.file_name().and_then(OsStr::to_str)) {
        (Some(whole), Some(name)) => Cow::Owned(text.replace(whole, name)),
        _ => text,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(kind: JobKind, code: Option<i32>, out: &str, last: &str) -> (JobState, String) {
        let arguments = ["recordings", "export", "--config", "/home/a b/night.toml", "--", "/srv/my recordings/night"];
        let arguments = arguments.map(OsString::from).to_vec();
        let said = judge(&Order { kind, recording: String::new(), show: String::new(), arguments }, code, out, last);
        (said.state, [&[said.message], &said.files[..]].concat().join("|"))
    }

    #[test]
    fn what_a_child_says_is_judged_by_its_exit_code_and_tells_no_path() {
        use JobKind::{Export, Repair, Verify};
        use JobState::{Done, Failed};
        let made = r#"{"files":[{"file":"/var/lib/r/export/night.m4a"}],"notes":["See /srv/my recordings/night/a."]}"#;
        for (kind, code, out, last, state, message) in [
            (Export, Some(0), made, "", Done, "one file. See night/a.|night.m4a"),
            (Repair, Some(0), "{}", "", Done, "nothing more was to be made."),
            (Verify, Some(1), r#"{"words":"3 lack in /srv/x/y."}"#, "", Done, "3 lack in …/y."),
            (
                Export,
                Some(1),
                "",
                "Error: no room in /var/lib/recordings for it",
                Failed,
                "no room in …/recordings for it",
            ),
            (
                Export,
                Some(64),
                "",
                "cannot read \"/home/a b/night.toml\": no",
                Failed,
                "cannot read \"night.toml\": no",
            ),
            (Export, Some(1), "", "", Failed, "it gave no reason."),
            (Export, None, "", "x", Failed, "its process was killed."),
        ] {
            assert_eq!(judged(kind, code, out, last), (state, message.to_owned()), "{kind:?} {code:?}");
        }
    }
}
