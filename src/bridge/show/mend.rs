//! After a show's end: what its recording lacks is looked for in the replay, for as long as the operator gives it.

use tokio_util::sync::CancellationToken;

use super::{STATUS_INTERVAL, Show};
use crate::bridge::mender::Mender;
use crate::bridge::protocol::BridgeCommand;
use crate::episode::Progress;
use crate::repair::{RepairEnd, RepairPolicy};
use crate::status::ShowState;

const OVER: &str = "The show is over: its outputs are closed.";

impl Show {
    /// Mends every session that lacks something. The outputs are closed; a command or a signal leaves the rest for later.
    pub(super) async fn mend(&mut self) {
        self.mending = None;
        let Some(mender) = self.mender.take() else { return };
        let sessions = mender.lacking();
        if sessions.is_empty() {
            return self.other_path(&mender).await;
        }
        self.watchdog.heart().rest();
        self.outputs.stop().await;
        self.board.set_state(ShowState::Ending);
        self.is_over().await;
        // Whatever comes of it, there is something to post.
        self.archive.make_files(&self.config, &self.events).await;
        let until = self.clock.now() + self.clock.real(mender.patience);
        for session in sessions {
            if !self.mend_session(&mender, &session, until).await {
                return;
            }
        }
        self.other_path(&mender).await;
    }

    /// Finds on the other paths of the show what one of them still lacks; a signal leaves it for later.
    async fn other_path(&mut self, mender: &Mender) {
        if self.is_hurried || !mender.has_another_path() {
            return;
        }
        self.watchdog.heart().rest();
        self.outputs.stop().await;
        self.board.set_state(ShowState::Ending);
        self.is_over().await;
        let progress = Progress::default();
        let suspend = self.suspend.clone();
        let work = mender.other_path(progress.clone());
        tokio::pin!(work);
        loop {
            tokio::select! {
                () = &mut work => return,
                () = suspend.cancelled(), if !progress.is_cancelled() => progress.cancel(),
                Some(command) = self.commands.recv() => match command {
                    BridgeCommand::End | BridgeCommand::Suspend => progress.cancel(),
                    BridgeCommand::Output { reply, .. } => drop(reply.send(Err(OVER.to_owned()))),
                    other => self.answer_late(other).await,
                },
            }
        }
    }

    /// Whether to go on with the next one.
    async fn mend_session(&mut self, mender: &Mender, session: &str, until: std::time::Instant) -> bool {
        let token = CancellationToken::new();
        mender.learn(session, self.record.playlist_url.clone().filter(|_| self.board.view().info.id == session));
        let Some((repair, progress)) = mender.repair(session, token.clone()) else { return true };
        if self.is_hurried {
            token.cancel();
        }
        let work = repair.after(RepairPolicy { until: Some(until), look_anyway: false });
        tokio::pin!(work);
        let suspend = self.suspend.clone();
        let mut status = tokio::time::interval(STATUS_INTERVAL);
        let end = loop {
            tokio::select! {
                end = &mut work => break end,
                () = suspend.cancelled(), if !token.is_cancelled() => token.cancel(),
                Some(command) = self.commands.recv() => match command {
                    BridgeCommand::End | BridgeCommand::Suspend => token.cancel(),
                    // No output is opened again.
                    BridgeCommand::Output { reply, .. } => drop(reply.send(Err(OVER.to_owned()))),
                    other => self.answer_late(other).await,
                },
                _ = status.tick() => {
                    let words = progress.borrow().words(self.clock.now());
                    let name = &self.config.show.name;
                    let later = format!("Ctrl-C leaves it for later: spacebridge recordings repair {name}");
                    self.board.set_words(format!("{words} {later}"));
                    self.board.update(&self.events);
                    if self.board.is_abandoned() {
                        token.cancel();
                    }
                }
            }
        };
        self.tell_end(&end);
        !matches!(end, RepairEnd::Pending { .. })
    }

    fn tell_end(&self, end: &RepairEnd) {
        let name = &self.config.show.name;
        match end {
            RepairEnd::Whole => {
                self.events.info("repair.whole", "recording", "Nothing is missing of the space any more")
            }
            RepairEnd::GivenUp { left, why } => {
                let message = format!("{left:.1} s of the space stay missing: {why}");
                let remedy = "spacebridge recordings show lists each gap; recordings repair looks once more.";
                self.events.warning("repair.given_up", "recording", message, Some(remedy));
            }
            RepairEnd::Pending { left, why } => {
                let message = format!("{left:.1} s of the space are missing, and are left for later: {why}");
                let remedy = format!("Use spacebridge recordings repair {name}.");
                self.events.warning("repair.pending", "recording", message, Some(&remedy));
            }
        }
    }
}
