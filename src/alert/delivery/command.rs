//! An alert's command: a program of the operator's, without a shell, with an environment of its own and an end.

use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use super::Undelivered;
use super::payload::Payload;

/// How long a command may run.
const TIME_LIMIT: Duration = Duration::from_secs(10);

/// Variables that a command gets from the bridge's environment: what programs need to find their files and their tongue.
const PASSED: [&str; 5] = ["PATH", "HOME", "LANG", "LC_ALL", "TZ"];

/// Longest value of a variable, in bytes; the whole text is in the JSON.
const MAX_VALUE: usize = 1000;

/// The process group of a command that has not ended yet: everything in it ends with this value.
struct Group(Option<Pid>);

impl Group {
    /// The command ended by itself. Its number may be another's from now on, and is not touched any more.
    fn ended(&mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(Err(error)) = self.0.map(|pid| kill_process_group(pid, Signal::KILL)) {
            tracing::warn!(%error, "An alert's command could not be stopped.");
        }
    }
}

/// Runs the command once and gives it the event.
///
/// # Errors
/// [`Undelivered`] when it cannot be started, fails, or takes too long.
pub(super) async fn run(command: &[String], payload: &Payload<'_>) -> Result<(), Undelivered> {
    run_within(command, payload, TIME_LIMIT).await
}

async fn run_within(command: &[String], payload: &Payload<'_>, limit: Duration) -> Result<(), Undelivered> {
    let (program, arguments) = command.split_first().ok_or_else(|| Undelivered("it has no command".to_owned()))?;
    let mut child = Command::new(program)
        .args(arguments)
        .env_clear()
        .envs(PASSED.iter().filter_map(|name| Some((name, std::env::var_os(name)?))))
        .envs(variables(payload))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| Undelivered(format!("its command cannot be started: {error}")))?;
    let mut group = Group(child.id().and_then(|pid| Pid::from_raw(pid.cast_signed())));
    let stdin = child.stdin.take();
    let json = payload.json();
    let exchange = async {
        if let Some(mut stdin) = stdin {
            // A command that does not read it needs no more than its variables.
            drop(stdin.write_all(&json).await);
        }
        let ended = child.wait().await;
        group.ended();
        ended
    };
    match tokio::time::timeout(limit, exchange).await {
        Ok(Ok(status)) if status.success() => Ok(()),
        Ok(Ok(status)) => Err(Undelivered(format!("its command ended with {status}"))),
        Ok(Err(error)) => Err(Undelivered(format!("its command was lost: {error}"))),
        Err(_) => Err(Undelivered(format!("its command was stopped after {} s", limit.as_secs_f32()))),
    }
}

fn variables(payload: &Payload<'_>) -> [(&'static str, String); 5] {
    let event = payload.event;
    [
        ("SPACEBRIDGE_SHOW", payload.show.to_owned()),
        ("SPACEBRIDGE_CODE", event.code.clone()),
        ("SPACEBRIDGE_LEVEL", event.level.as_str().to_owned()),
        ("SPACEBRIDGE_SUBJECT", cut(&event.subject)),
        ("SPACEBRIDGE_MESSAGE", cut(&event.message)),
    ]
}

fn cut(text: &str) -> String {
    text[..text.floor_char_boundary(MAX_VALUE)].to_owned()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::alert::{Event, Events};
    use crate::clock::Clock;

    fn event() -> Event {
        let events = Events::new(Clock::system());
        events.warning("output.broke", "output a", "It said $(id) and \"quotes\".", None);
        events.recent(1).remove(0)
    }

    async fn shell(script: &str, limit: Duration) -> Result<(), Undelivered> {
        let command = ["/bin/sh", "-c", script].map(str::to_owned);
        run_within(&command, &Payload { show: "night", event: &event(), left_out: 0 }, limit).await
    }

    fn read(path: &Path) -> String {
        fs::read_to_string(path).expect("what the command wrote")
    }

    #[tokio::test]
    async fn a_command_gets_the_event_and_a_bare_environment() {
        let folder = tempfile::tempdir().expect("a folder");
        let (stdin, env) = (folder.path().join("stdin"), folder.path().join("env"));
        let script = format!("cat > {}; /usr/bin/env > {}", stdin.display(), env.display());
        shell(&script, TIME_LIMIT).await.expect("it runs");
        let value: serde_json::Value = serde_json::from_str(&read(&stdin)).expect("JSON");
        assert_eq!(value["message"], "It said $(id) and \"quotes\".");
        let env = read(&env);
        assert!(env.contains("SPACEBRIDGE_MESSAGE=It said $(id) and \"quotes\".\n"), "{env}");
        let allowed = |name: &str| {
            PASSED.contains(&name)
                || name.starts_with("SPACEBRIDGE_")
                || ["PWD", "SHLVL", "_", "OLDPWD"].contains(&name)
        };
        let others: Vec<&str> =
            env.lines().filter_map(|line| line.split('=').next()).filter(|name| !allowed(name)).collect();
        assert_eq!(others, [""; 0], "{env}");
    }

    #[tokio::test]
    async fn a_command_that_hangs_is_stopped_with_everything_it_started() {
        let folder = tempfile::tempdir().expect("a folder");
        let pid_file = folder.path().join("pid");
        let script = format!("sleep 600 & echo $! > {}; wait", pid_file.display());
        let error = shell(&script, Duration::from_millis(500)).await.expect_err("too long");
        assert_eq!(error.to_string(), "its command was stopped after 0.5 s");
        let pid: u32 = read(&pid_file).trim().parse().expect("a pid");
        let deadline = std::time::Instant::now() + Duration::from_secs(5);
        // Without a parent it may stay a zombie where nobody reaps: dead all the same.
        while fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z")) {
            assert!(std::time::Instant::now() < deadline, "{pid} still runs");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    #[tokio::test]
    async fn a_command_that_fails_or_is_not_there_says_so() {
        let error = shell("exit 3", TIME_LIMIT).await.expect_err("a failure");
        assert_eq!(error.to_string(), "its command ended with exit status: 3");
        let missing = run(&["/nowhere/at-all".to_owned()], &Payload { show: "n", event: &event(), left_out: 0 }).await;
        assert!(missing.expect_err("not there").to_string().contains("cannot be started"));
        shell("exec 0<&-; exit 0", TIME_LIMIT).await.expect("a command need not read its input");
    }
}
