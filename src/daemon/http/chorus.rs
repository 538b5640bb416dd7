//! The levels of all shows in one stream: shows join it as they come on the air.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use futures_util::future::join_all;
use futures_util::stream::{SelectAll, unfold};
use futures_util::{Stream, StreamExt};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Interval, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::daemon::Ward;
use crate::daemon::roster::Roster;

/// Pause between two looks which shows are on the air.
const LOOK: Duration = Duration::from_secs(1);

/// How long a bridge may take to begin; one that is stuck holds up no other for longer.
const PATIENCE: Duration = Duration::from_millis(500);

type Voice = Pin<Box<dyn Stream<Item = Result<Bytes, String>> + Send>>;

/// Levels of every show on the air, after `first`, until `token` ends.
pub(super) fn levels(
    roster: Arc<Roster>,
    first: Bytes,
    token: CancellationToken,
) -> impl Stream<Item = Result<Bytes, Infallible>> {
    let mut looks = tokio::time::interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let chorus = Chorus { roster, voices: SelectAll::new(), heard: BTreeSet::new(), looks };
    unfold((chorus, Some(first), token), |(mut chorus, mut first, token)| async move {
        if let Some(first) = first.take() {
            return Some((Ok(first), (chorus, None, token)));
        }
        let piece = tokio::select! {
            () = token.cancelled() => return None,
            piece = chorus.next() => piece,
        };
        Some((Ok(piece), (chorus, None, token)))
    })
}

struct Chorus {
    roster: Arc<Roster>,
    voices: SelectAll<Voice>,
    /// Shows that are in it.
    heard: BTreeSet<String>,
    looks: Interval,
}

impl Chorus {
    async fn next(&mut self) -> Bytes {
        loop {
            tokio::select! {
                Some(piece) = self.voices.next() => match piece {
                    Ok(piece) => return piece,
                    Err(gone) => drop(self.heard.remove(&gone)),
                },
                _ = self.looks.tick() => self.look().await,
            }
        }
    }

    /// Lets shows join that have come on the air.
    async fn look(&mut self) {
        let new = |ward: &Arc<Ward>| ward.watch().borrow().0 && !self.heard.contains(ward.name());
        let wards: Vec<_> = self.roster.all().into_iter().filter(new).collect();
        let joining = wards.iter().map(async |ward| tokio::time::timeout(PATIENCE, ward.levels()).await);
        let joined: Vec<_> = join_all(joining).await;
        for (ward, levels) in wards.iter().zip(joined) {
            if let Ok(Ok(levels)) = levels {
                self.heard.insert(ward.name().to_owned());
                self.voices.push(voice(ward.name().to_owned(), levels));
            }
        }
    }
}

/// The levels of one show, and at their end its name.
fn voice(show: String, levels: Receiver<Bytes>) -> Voice {
    Box::pin(unfold(Some((show, levels)), async |state| {
        let (show, mut levels) = state?;
        loop {
            match levels.recv().await {
                Ok(piece) => return Some((Ok(piece), Some((show, levels)))),
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return Some((Err(show), None)),
            }
        }
    }))
}
