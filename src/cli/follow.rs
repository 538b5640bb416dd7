//! Follows a show over the restarts of its bridge process.

use std::time::Duration;

use tokio::sync::mpsc;

use crate::bridge::client::{BridgeClient, ClientError};
use crate::bridge::protocol::{EventPlace, Update};

/// Pause before the bridge is looked for again.
const AGAIN: Duration = Duration::from_millis(250);

/// What a follower hears.
#[derive(Debug)]
pub(super) enum Heard {
    /// Something from the bridge.
    Update(Update),
    /// The bridge is gone or not there yet; it is looked for until the reader goes away.
    Lost,
    /// It makes no sense to look for it again.
    Failed(ClientError),
}

/// Follows the show of `client` until nobody reads any more.
pub(super) fn follow(client: BridgeClient) -> mpsc::Receiver<Heard> {
    let (sender, receiver) = mpsc::channel(64);
    tokio::spawn(async move {
        let mut place = None;
        while !sender.is_closed() {
            let heard = match read_on(&client, &mut place, &sender).await {
                Err(error) if error.is_permanent() => Heard::Failed(error),
                _ => Heard::Lost,
            };
            let failed = matches!(heard, Heard::Failed(_));
            if sender.send(heard).await.is_err() || failed {
                return;
            }
            tokio::time::sleep(AGAIN).await;
        }
    });
    receiver
}

async fn read_on(
    client: &BridgeClient,
    place: &mut Option<EventPlace>,
    sender: &mpsc::Sender<Heard>,
) -> Result<(), ClientError> {
    let mut stream = client.events(*place).await?;
    while let Some(update) = stream.next().await? {
        *place = stream.place();
        if sender.send(Heard::Update(update)).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}
