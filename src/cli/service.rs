//! What the service manager is told (sd_notify(3)): that the daemon is ready, reads again, stops, and lives. Without a
//! manager it is told nothing, and nothing is asked.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::sync::{mpsc, oneshot};
use tokio_util::task::AbortOnDropHandle;

use crate::daemon::probe::{Probe, ProbeError};

/// How often the status line is told where the manager watches for no pulse.
const UNWATCHED: Duration = Duration::from_secs(30);

/// How soon a door that does not answer yet is asked again, while the daemon starts.
const STARTING: Duration = Duration::from_millis(100);

/// Asks the daemon's loop how the shows are doing: its answer is a line for people, and the proof that it goes round.
pub(super) type Question = oneshot::Sender<String>;

/// Questions that may wait for the loop.
const QUESTIONS: usize = 1;

/// That the shows are read again.
pub(super) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => tracing::debug!(%error, "The service manager is not told of reading again."),
    }
}

/// That they were read.
pub(super) fn reloaded() {
    tell(&[NotifyState::Ready]);
}

/// That the daemon goes, and what becomes of its shows.
pub(super) fn stopping(why: &str) {
    tell(&[NotifyState::Stopping, NotifyState::Status(why)]);
}

/// Tells the manager that the daemon is ready once its door answers, and from then on that it lives, as long as the door
/// and the loop behind the questions truly answer.
pub(super) fn look_after(url: &str) -> anyhow::Result<(mpsc::Receiver<Question>, Option<AbortOnDropHandle<()>>)> {
    let (questions, asked) = mpsc::channel(QUESTIONS);
    if std::env::var_os("NOTIFY_SOCKET").is_none() {
        return Ok((asked, None));
    }
    let watched = sd_notify::watchdog_enabled();
    // Three in the manager's time: one may come late on a machine that has much to do.
    let every = watched.map_or(UNWATCHED, |within| within / 3);
    let probe = Probe::new(url, every.max(Duration::from_secs(1)))?;
    let task = tokio::spawn(async move {
        while let Err(error) = probe.ready().await {
            tracing::debug!(%error, "The door does not answer yet.");
            tokio::time::sleep(STARTING).await;
        }
        tell(&[NotifyState::Ready]);
        loop {
            match beat(&questions, &probe, every.max(Duration::from_secs(1))).await {
                Ok(status) if watched.is_some() => tell(&[NotifyState::Watchdog, NotifyState::Status(&status)]),
                Ok(status) => tell(&[NotifyState::Status(&status)]),
                Err(error) => tracing::warn!(%error, "The daemon does not answer itself: the watchdog is not fed."),
            }
            tokio::time::sleep(every).await;
        }
    });
    Ok((asked, Some(AbortOnDropHandle::new(task))))
}

/// Why there was no beat.
#[derive(Debug, thiserror::Error)]
enum Stuck {
    #[error("its loop does not go round")]
    Loop,
    #[error(transparent)]
    Door(#[from] ProbeError),
}

/// One beat: the loop goes round and the door answers.
async fn beat(questions: &mpsc::Sender<Question>, probe: &Probe, within: Duration) -> Result<String, Stuck> {
    let answer = async {
        let (question, answer) = oneshot::channel();
        questions.send(question).await.ok()?;
        answer.await.ok()
    };
    let status = tokio::time::timeout(within, answer).await.ok().flatten().ok_or(Stuck::Loop)?;
    probe.ready().await?;
    Ok(status)
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "The service manager cannot be told.");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(200);

    #[tokio::test]
    async fn there_is_no_beat_while_the_loop_hangs_or_the_door_does_not_answer() {
        let app = axum::Router::new().route("/readyz", axum::routing::get(async || "{}"));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let probe = Probe::new(&format!("http://{}", listener.local_addr().unwrap()), SHORT).unwrap();
        let (questions, mut asked) = mpsc::channel::<Question>(QUESTIONS);
        // Nobody takes questions.
        assert!(matches!(beat(&questions, &probe, SHORT).await, Err(Stuck::Loop)));
        // From here on somebody does.
        let answering = tokio::spawn(async move {
            while let Some(question) = asked.recv().await {
                drop(question.send("2 of 3 shows on the air".to_owned()));
            }
        });
        // The port is there, and nobody behind it.
        assert!(matches!(beat(&questions, &probe, SHORT).await, Err(Stuck::Door(_))));
        let serving = tokio::spawn(async move { axum::serve(listener, app).await });
        assert_eq!(beat(&questions, &probe, SHORT * 10).await.unwrap(), "2 of 3 shows on the air");
        answering.abort();
        drop(answering.await);
        assert!(matches!(beat(&questions, &probe, SHORT).await, Err(Stuck::Loop)));
        serving.abort();
    }
}
