//! How a show comes to its end: what was placed is heard, the slate says goodbye, files are made, everything is closed.

use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{ENDING, HAND_ON, STATUS_INTERVAL, Show, ShowEnd};
use crate::bridge::conductor::Outcome;
use crate::bridge::housekeeping;
use crate::bridge::protocol::BridgeCommand;
use crate::bridge::protocol::live::PUBLIC_DELAY_MAX;
use crate::media::ProgramTime;
use crate::status::ShowState;

/// How long the conductor may take to stop: its sources have 3 s.
const STOPPING: Duration = Duration::from_secs(4);

/// How long the end waits for old recordings to be deleted: a disk that hangs holds no show.
const TIDYING: Duration = Duration::from_secs(20);

impl Show {
    /// Waits until what was placed is heard; a second word to end or suspend cuts it short.
    pub(super) async fn hear_out(&mut self, heard: ProgramTime) {
        let left = Duration::from_nanos(ProgramTime::from_samples(heard.since(self.program.now())).nanos());
        self.wait(left.min(Duration::from_secs(60) + PUBLIC_DELAY_MAX)).await;
    }

    pub(super) async fn closing_slate(&mut self) {
        self.board.set_state(ShowState::Ending);
        if self.outputs.is_empty() || self.gate.is_closed() {
            return;
        }
        self.wait(self.config.show.closing + HAND_ON).await;
    }

    /// Waits, with the status going on, until the time is over or a command says that it is enough.
    pub(super) async fn wait(&mut self, duration: Duration) {
        let until = tokio::time::Instant::now() + duration;
        let mut status = tokio::time::interval(STATUS_INTERVAL);
        let suspend = self.suspend.clone();
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(until) => return,
                Some(command) = self.commands.recv() => match command {
                    BridgeCommand::End | BridgeCommand::Suspend => {
                        self.is_hurried = true;
                        return;
                    }
                    other => self.answer_late(other).await,
                },
                // A host that goes down does not wait for a closing slate.
                () = suspend.cancelled() => return,
                _ = status.tick() => {
                    self.watchdog.heart().beat();
                    self.refuse_pictures();
                    self.board.update(&self.events);
                }
            }
        }
    }

    /// Answers what is asked of a show that is ending.
    pub(super) async fn answer_late(&mut self, command: BridgeCommand) {
        match command {
            BridgeCommand::Output { name, action, reply } => self.switch(&name, action, reply).await,
            BridgeCommand::Mark { title, reply } => drop(reply.send(self.mark(&title))),
            BridgeCommand::Adopt { pid, reply } => drop(reply.send(self.board.adopt(pid, &self.events))),
            BridgeCommand::Live { reply, .. } => drop(reply.send(Err(ENDING.to_owned()))),
            BridgeCommand::Source { reply, .. } => drop(reply.send(Err(ENDING.to_owned()))),
            BridgeCommand::End | BridgeCommand::Suspend => self.is_hurried = true,
        }
    }

    pub(super) async fn stop_conductor(&mut self) {
        self.watchdog.heart().rest();
        stop(&self.conductor_token, &mut self.conductor).await;
    }

    /// The recording is safe and the outputs are closed, side by side: a host that goes down waits for neither.
    pub(super) async fn suspend_stages(&mut self) {
        self.watchdog.heart().rest();
        let (token, conductor, archive) = (&self.conductor_token, &mut self.conductor, &self.archive);
        tokio::join!(self.outputs.stop(), async {
            stop(token, conductor).await;
            archive.suspend().await;
        });
    }

    /// From now on a bridge that takes the show up opens no output again: only its files are still to be made.
    pub(super) async fn is_over(&mut self) {
        self.refuse_pictures();
        self.record.repairing = true;
        self.save_record();
        self.keeper.flush().await;
    }

    pub(super) async fn finish(&mut self) -> ShowEnd {
        self.watchdog.heart().rest();
        self.outputs.stop().await;
        self.is_over().await;
        self.board.update(&self.events);
        let files = self.archive.finish(&self.config, &self.events).await;
        for file in &files {
            self.events.info("recording.file", "recording", format!("Ready to post: {file}"));
        }
        let tidying = housekeeping::tidy(&self.config.recording, &self.events, &self.clock);
        if let Some(tidying) = tidying
            && tokio::time::timeout(TIDYING, tidying).await.is_err()
        {
            tracing::warn!("Old recordings are still being deleted; the next show goes on with it.");
        }
        self.record.ended_at = Some(self.clock.wall());
        self.close(ShowState::Ended).await;
        ShowEnd::Ended
    }

    /// Closes the outputs and the socket; readers of the status see the last one.
    pub(super) async fn close(&mut self, state: ShowState) {
        self.watchdog.heart().rest();
        self.outputs.stop().await;
        self.board.set_state(state);
        self.board.update(&self.events);
        self.save_record();
        self.keeper.flush().await;
        self.telling.finish().await;
        self.board.update(&self.events);
        self.socket_token.cancel();
        if (&mut self.socket).await.is_err() {
            tracing::warn!("The show's socket broke.");
        }
    }

    pub(super) fn save_record(&mut self) {
        self.record.alive_at = self.clock.wall();
        self.record.alive_mark = self.clock.boot();
        self.record.archive = self.archive.folder();
        self.record.publishes = self.outputs.publishes(&self.clock);
        self.record.on_air |= !self.gate.is_closed();
        self.record.live.slate = self.desk.own();
        {
            let view = self.board.view();
            self.following = self.following.take().filter(|link| view.link.as_ref() != Some(link));
            let other = self.record.source != view.link && view.state.is_some();
            let known = self.record.playlist_url.take().filter(|_| !other);
            self.record.playlist_url = view.info.playlist_url.clone().or(known);
            if other {
                self.record.source = view.link.clone();
            }
        }
        if let Some(link) = &self.following {
            (self.record.source, self.record.playlist_url) = (Some(link.clone()), None);
        }
        self.keeper.save(&self.record);
    }
}

async fn stop(token: &CancellationToken, conductor: &mut JoinHandle<Outcome>) {
    token.cancel();
    if tokio::time::timeout(STOPPING, &mut *conductor).await.is_err() {
        tracing::warn!("The source did not stop in time.");
        conductor.abort();
    }
}
